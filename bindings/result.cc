#include "result.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "buffer.h"
#include "core/format.h"
#include "numpy_api.h"

namespace swath::python {
namespace {

[[noreturn]] void refuse_size(const TensorDesc& desc, ArgName name) {
  PyErr_Clear();  // NumPy's MemoryError, or its ValueError for sizes beyond any machine
  throw Error(ErrorCode::out_of_memory, name.op, name.arg,
              format("cannot allocate a result of shape {} and dtype {}", shape_text(desc),
                     name_of(desc.dtype)));
}

Result numpy_result(const TensorDesc& desc, PyArray_Descr* dtype) {
  npy_intp shape[kMaxRank];
  for (int i = 0; i < desc.rank; ++i) shape[i] = desc.shape[i];
  Py_INCREF(dtype);  // the next call takes it
  PyObject* array =
      PyArray_NewFromDescr(&PyArray_Type, dtype, desc.rank, shape, nullptr, nullptr, 0, nullptr);
  if (array == nullptr) return {};
  return {{PyArray_DATA(as_ndarray(array)), desc}, py::reinterpret_steal<py::object>(array)};
}

py::tuple shape_tuple(const TensorDesc& desc) {
  py::tuple shape(desc.rank);
  for (int i = 0; i < desc.rank; ++i) shape[i] = py::int_(desc.shape[i]);
  return shape;
}

constexpr const char* plain_name(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::u8:
      return "uint8";
    case DType::b8:
      return "bool";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
  }
  return "";
}

Result torch_result(const TensorDesc& desc, const ArrayArg& like) {
  py::object tensor;
  try {
    py::dict options;
    if (desc.dtype != like.view.desc.dtype) {
      options["dtype"] = py::module_::import("torch").attr(plain_name(desc.dtype));
    }
    tensor = like.object.attr("new_empty")(shape_tuple(desc), **options);
  } catch (py::error_already_set& error) {  // torch's allocator raises RuntimeError
    if (!error.matches(PyExc_RuntimeError)) throw;
    return {};
  }
  void* data = PyLong_AsVoidPtr(py::object(tensor.attr("data_ptr")()).ptr());
  return {{data, desc}, std::move(tensor)};
}

/// kind 0: the dtype is what its name says.
Result plain_numpy_result(const TensorDesc& desc, uint8_t kind, ArgName name) {
  py::object dtype;
  if (kind == 0 && desc.dtype == DType::bf16) {
    dtype = numpy_bfloat16(name);
  } else {
    const auto make = py::module_::import("numpy").attr("dtype");
    dtype = kind == 0 ? make(plain_name(desc.dtype))
                      : make(format("{}{}", static_cast<char>(kind), item_bytes(desc.dtype)));
  }
  return numpy_result(desc, reinterpret_cast<PyArray_Descr*>(dtype.ptr()));
}

/// As ArrayArg::kind, for a result whose dtype is not that of `like`.
uint8_t kind_of(const TensorDesc& desc, const ArrayArg& like) noexcept {
  if (desc.dtype == like.view.desc.dtype) return like.kind;
  switch (desc.dtype) {
    case DType::u8:
      return 'u';
    case DType::b8:
      return 'b';
    case DType::i32:
    case DType::i64:
      return 'i';
    default:
      return 0;
  }
}

/// The from_dlpack of the library that `like` belongs to; null object if it has none.
py::object from_dlpack_of(const ArrayArg& like) {
  if (!py::hasattr(like.object, "__array_namespace__")) return {};
  const py::object space = like.object.attr("__array_namespace__")();
  return py::getattr(space, "from_dlpack", py::object());
}

/// [first, last] byte of an array that is not empty.
std::array<uintptr_t, 2> byte_range(const TensorView& v) noexcept {
  const int64_t item = item_bytes(v.desc.dtype);
  int64_t low = 0, high = item - 1;
  for (int i = 0; i < v.desc.rank; ++i) {
    const int64_t reach = (v.desc.shape[i] - 1) * v.desc.strides[i] * item;
    (reach < 0 ? low : high) += reach;
  }
  const auto base = reinterpret_cast<uintptr_t>(v.data);
  return {base + static_cast<uintptr_t>(low), base + static_cast<uintptr_t>(high)};
}

/// Sufficient, and necessary for every array that slicing and transposing can make.
void check_no_self_overlap(const TensorDesc& out, ArgName name) {
  if (out.n_elements() == 0) return;
  int64_t reach = 0;  // of all axes with smaller strides
  std::array<bool, kMaxRank> is_done{};
  for (;;) {
    int next = -1;
    for (int i = 0; i < out.rank; ++i) {
      if (is_done[i] || out.shape[i] == 1) continue;
      if (next < 0 || std::abs(out.strides[i]) < std::abs(out.strides[next])) next = i;
    }
    if (next < 0) return;
    if (std::abs(out.strides[next]) <= reach) {
      refuse(ErrorCode::layout, name,
             format("{} has elements that share memory with each other", name.arg));
    }
    reach += std::abs(out.strides[next]) * (out.shape[next] - 1);
    is_done[next] = true;
  }
}

}  // namespace

Result allocate_result(const TensorDesc& desc, const ArrayArg& like, ArgName name) {
  Result result;
  switch (like.library) {
    case Library::numpy:
      result = desc.dtype == like.view.desc.dtype
                   ? numpy_result(desc, PyArray_DESCR(as_ndarray(like.array.ptr())))
                   : plain_numpy_result(desc, kind_of(desc, like), name);
      break;
    case Library::torch:
      result = torch_result(desc, like);
      break;
    case Library::other:
      if (from_dlpack_of(like)) {
        Buffer buffer(desc, kind_of(desc, like));
        const TensorView view = buffer.view();
        return {view, py::cast(std::move(buffer))};
      }
      result = plain_numpy_result(desc, kind_of(desc, like), name);
      break;
  }
  if (!result.object) refuse_size(desc, name);
  return result;
}

py::object finish_result(Result&& result, const ArrayArg& like) {
  if (like.library != Library::other || !py::isinstance<Buffer>(result.object)) {
    return std::move(result.object);
  }
  return from_dlpack_of(like)(result.object);
}

void check_out(const ArrayArg& out, const ArrayArg& like, ArgName name) {
  if (out.kind != like.kind) {
    refuse(ErrorCode::dtype, name, format("{} has another dtype than the input", name.arg));
  }
  check_no_self_overlap(out.view.desc, name);
}

bool overlaps(const TensorView& a, const TensorView& b) {
  if (a.desc.n_elements() == 0 || b.desc.n_elements() == 0) return false;
  const auto [a_first, a_last] = byte_range(a);
  const auto [b_first, b_last] = byte_range(b);
  if (a_last < b_first || b_last < a_first) return false;
  // Interleaved, such as two channel ranges of one image: NumPy solves this exactly, within a
  // limit.
  constexpr int kMaxWork = 10'000;
  try {
    return py::module_::import("numpy")
        .attr("shares_memory")(borrow_as_numpy(a), borrow_as_numpy(b), kMaxWork)
        .cast<bool>();
  } catch (py::error_already_set& too_hard) {
    if (!too_hard.matches(PyExc_RuntimeError)) throw;
    return true;
  }
}

bool is_same_array(const TensorView& a, const TensorView& b) noexcept {
  if (a.data != b.data || a.desc.rank != b.desc.rank || a.desc.dtype != b.desc.dtype) return false;
  for (int i = 0; i < a.desc.rank; ++i) {
    if (a.desc.shape[i] != b.desc.shape[i] || a.desc.strides[i] != b.desc.strides[i]) return false;
  }
  return true;
}

}  // namespace swath::python
