// Arrays of the small functions that are written in NumPy: any library's in, float64 to work with,
// the caller's library and dtype out.
#include "arguments.h"
#include "bindings.h"
#include "buffer.h"
#include "numpy_api.h"
#include "ops/common/scalar.h"
#include "result.h"

namespace swath::python {
namespace {

/// (a float64 NumPy copy, the name of the array's dtype)
py::tuple host_values(py::handle object, const std::string& op, const std::string& arg) {
  ArrayArg array;
  read_array(object, {op.c_str(), arg.c_str()}, Accept::floats, array);
  const Buffer copy(array.view);
  if (!is_floating(copy.desc.dtype)) {
    refuse(ErrorCode::dtype, {op.c_str(), arg.c_str()},
           arg + " is " + name_of(copy.desc.dtype) + ", needed is f32, f64, f16 or bf16");
  }
  npy_intp shape[kMaxRank];
  for (int i = 0; i < copy.desc.rank; ++i) shape[i] = copy.desc.shape[i];
  PyObject* made = PyArray_SimpleNew(copy.desc.rank, shape, NPY_DOUBLE);
  if (made == nullptr) throw py::error_already_set();
  py::object result = py::reinterpret_steal<py::object>(made);
  auto* to = static_cast<double*>(PyArray_DATA(as_ndarray(made)));
  for (int64_t i = 0; i < copy.desc.n_elements(); ++i) {
    to[i] = load_scalar(copy.desc.dtype, copy.memory.get(), i);
  }
  return py::make_tuple(result, name_of(copy.desc.dtype));
}

/// `values`, a C-contiguous float64 NumPy array, as an array of like's library and dtype.
py::object host_result(py::handle values, py::handle like, const std::string& op) {
  ArrayArg from, to;
  read_array(values, {op.c_str(), "values"}, Accept::floats, from);
  read_array(like, {op.c_str(), "like"}, Accept::floats, to);
  const TensorDesc& shape = from.view.desc;
  TensorDesc desc = contiguous_desc(to.view.desc.dtype, shape.shape.data(), shape.rank);
  Result result = allocate_result(desc, to, {op.c_str(), "out"});
  for (int64_t i = 0; i < desc.n_elements(); ++i) {
    store_scalar(desc.dtype, result.view.data, i, static_cast<const double*>(from.view.data)[i]);
  }
  return finish_result(std::move(result), to);
}

}  // namespace

void bind_host_arrays(py::module_& m) {
  m.def("host_values", &host_values, py::arg("array"), py::arg("op"), py::arg("arg"),
        py::pos_only());
  m.def("host_result", &host_result, py::arg("values"), py::arg("like"), py::arg("op"),
        py::pos_only());
}

}  // namespace swath::python
