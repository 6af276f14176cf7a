#include "tensor_caster.h"

#include <atomic>
#include <cstring>
#include <string_view>

#include "core/format.h"
#include "numpy_api.h"

namespace swath::python {
namespace {

constexpr const char* kConverted = "converted by numpy.asarray";

/// ml_dtypes registers bfloat16 at run time under a number of NumPy's choice. Recognised by name so
/// that nobody has to import ml_dtypes; remembered because names are slow to compare.
bool is_bfloat16(PyArray_Descr* descr) noexcept {
  static std::atomic<int> known{-1};
  if (descr->type_num < NPY_USERDEF) return false;
  if (descr->type_num == known.load(std::memory_order_relaxed)) return true;
  const std::string_view name = descr->typeobj->tp_name;
  if (!name.ends_with("bfloat16") || PyDataType_ELSIZE(descr) != 2) return false;
  known.store(descr->type_num, std::memory_order_relaxed);
  return true;
}

bool to_float_dtype(PyArray_Descr* descr, DType& dtype) noexcept {
  switch (descr->type_num) {
    case NPY_FLOAT:
      dtype = DType::f32;
      return true;
    case NPY_DOUBLE:
      dtype = DType::f64;
      return true;
    case NPY_HALF:
      dtype = DType::f16;
      return true;
    default:
      dtype = DType::bf16;
      return is_bfloat16(descr);
  }
}

bool to_any_dtype(PyArray_Descr* descr, DType& dtype) noexcept {
  if (to_float_dtype(descr, dtype)) return true;
  if (std::strchr("biufcmMV", descr->kind) == nullptr || PyDataType_REFCHK(descr)) return false;
  switch (PyDataType_ELSIZE(descr)) {
    case 1:
      dtype = descr->kind == 'b' ? DType::b8 : DType::u8;
      return true;
    case 2:
      dtype = DType::f16;
      return true;
    case 4:
      dtype = DType::i32;
      return true;
    case 8:
      dtype = DType::i64;
      return true;
    default:
      return false;
  }
}

[[noreturn]] void refuse_numpy_dtype(ArgName name, Accept accept, PyArrayObject* array) {
  PyArray_Descr* descr = PyArray_DESCR(array);
  const char* hint = "";
  if (accept != Accept::floats) {
    // nothing to convert to, or too many choices
  } else if (descr->type_num == NPY_UBYTE) {
    hint = ": convert an image with {}.astype(np.float32) / 255";
  } else if (std::strchr("biu", descr->kind) != nullptr) {
    hint = ": convert with {}.astype(np.float32)";
  } else if (descr->kind == 'c') {
    hint = ": use {}.real and {}.imag one after the other";
  }
  refuse_dtype(name, accept, py::str(reinterpret_cast<PyObject*>(descr)), hint);
}

bool to_mask_dtype(PyArray_Descr* descr, DType& dtype) noexcept {
  const bool is_bool = descr->type_num == NPY_BOOL;
  if (!is_bool && descr->type_num != NPY_UBYTE) return to_float_dtype(descr, dtype);
  dtype = is_bool ? DType::b8 : DType::u8;
  return true;
}

bool to_dtype(PyArray_Descr* descr, Accept accept, DType& dtype) noexcept {
  switch (accept) {
    case Accept::floats:
      return to_float_dtype(descr, dtype);
    case Accept::masks:
      return to_mask_dtype(descr, dtype);
    case Accept::any:
      return to_any_dtype(descr, dtype);
  }
  return false;
}

DType numpy_dtype(PyArrayObject* array, ArgName name, Accept accept) {
  PyArray_Descr* descr = PyArray_DESCR(array);
  DType dtype = DType::f32;
  if (!to_dtype(descr, accept, dtype)) refuse_numpy_dtype(name, accept, array);
  if (accept != Accept::any && PyArray_ISBYTESWAPPED(array)) {
    refuse_dtype(name, accept,
                 "byte-swapped " + std::string(py::str(reinterpret_cast<PyObject*>(descr))),
                 ": convert with {}.astype({}.dtype.newbyteorder('='))");
  }
  return dtype;
}

/// Kind letter, and the top bit for the other byte order.
uint8_t numpy_kind(PyArrayObject* array) noexcept {
  const int swapped = PyArray_ISBYTESWAPPED(array) ? 0x80 : 0;
  return static_cast<uint8_t>(PyArray_DESCR(array)->kind | swapped);
}

/// False if the elements cannot be addressed as a base pointer plus whole items.
bool has_item_strides(PyArrayObject* array) noexcept {
  const npy_intp item = PyArray_ITEMSIZE(array);
  if (reinterpret_cast<uintptr_t>(PyArray_DATA(array)) % item != 0) return PyArray_SIZE(array) == 0;
  for (int i = 0; i < PyArray_NDIM(array); ++i) {
    if (PyArray_STRIDE(array, i) % item != 0 && PyArray_DIM(array, i) > 1) return false;
  }
  return true;
}

void view_ndarray(PyArrayObject* array, DType dtype, TensorView& view) noexcept {
  const npy_intp item = PyArray_ITEMSIZE(array);
  view.data = PyArray_DATA(array);
  view.desc.dtype = dtype;
  view.desc.rank = PyArray_NDIM(array);
  for (int i = 0; i < view.desc.rank; ++i) {
    view.desc.shape[i] = PyArray_DIM(array, i);
    view.desc.strides[i] = PyArray_STRIDE(array, i) / item;
  }
}

void read_ndarray(PyArrayObject* array, ArgName name, Accept accept, bool may_copy,
                  ArrayArg& into) {
  const DType dtype = numpy_dtype(array, name, accept);
  check_extents(name, PyArray_NDIM(array), PyArray_DIMS(array));
  into.array = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(array));
  into.library = Library::numpy;
  into.is_writable = PyArray_ISWRITEABLE(array);
  if (accept == Accept::any) into.kind = numpy_kind(array);
  if (!has_item_strides(array)) {
    if (!may_copy) {
      refuse(ErrorCode::layout, name,
             format("{} is not aligned to its {}-byte items", name.arg, PyArray_ITEMSIZE(array)));
    }
    into.array = py::reinterpret_steal<py::object>(PyArray_NewCopy(array, NPY_CORDER));
    if (!into.array) throw py::error_already_set();
    into.copied = kNotAligned;
  }
  view_ndarray(as_ndarray(into.array.ptr()), dtype, into.view);
}

/// numpy.asarray for lists, numbers and everything else that NumPy understands.
py::object converted(py::handle object, ArgName name) {
  PyObject* array = PyArray_FromAny(object.ptr(), nullptr, 0, 0, 0, nullptr);
  if (array != nullptr) return py::reinterpret_steal<py::object>(array);
  if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_TypeError)) {
    throw py::error_already_set();  // not about the data: an interrupt, or the object's own error
  }
  PyErr_Clear();
  refuse(name, object, "an array");
}

}  // namespace

void refuse_dtype(ArgName name, Accept accept, const std::string& found, const char* hint) {
  std::string advice;
  for (std::string_view rest = hint; !rest.empty();) {
    const size_t at = rest.find("{}");
    advice += rest.substr(0, at);
    if (at == std::string_view::npos) break;
    advice += name.arg;
    rest.remove_prefix(at + 2);
  }
  static constexpr const char* kNeeded[] = {
      "float32, float64, float16 or bfloat16",
      "bool, uint8, float32, float64, float16 or bfloat16",
      "plain elements of 1, 2, 4 or 8 bytes",
  };
  refuse(ErrorCode::dtype, name,
         format("{} has dtype {}, needed is {}{}", name.arg, found,
                kNeeded[static_cast<int>(accept)], advice));
}

void check_extents(ArgName name, int64_t rank, const int64_t* shape) {
  // No real array reaches these: only zero-size or broadcast ones, whose sizes would overflow.
  constexpr int64_t kMaxExtent = int64_t{1} << 40, kMaxElements = int64_t{1} << 48;
  if (rank > kMaxRank) {
    refuse(ErrorCode::shape, name,
           format("{} has {} axes, at most {} are supported", name.arg, rank, kMaxRank));
  }
  int64_t n = 1;
  for (int i = 0; i < rank; ++i) {
    if (shape[i] > kMaxExtent || (shape[i] > 1 && n > kMaxElements / shape[i])) {
      refuse(ErrorCode::shape, name,
             format("{} has shape {}, which is too large", name.arg,
                    shape_text(shape, static_cast<int>(rank))));
    }
    if (shape[i] > 1) n *= shape[i];
  }
}

void read_array(py::handle object, ArgName name, Accept accept, ArrayArg& into) {
  into.object = py::reinterpret_borrow<py::object>(object);
  if (PyArray_Check(object.ptr())) {
    read_ndarray(as_ndarray(object.ptr()), name, accept, true, into);
  } else if (!read_dlpack(object, name, accept, into)) {
    const py::object array = converted(object, name);
    read_ndarray(as_ndarray(array.ptr()), name, accept, true, into);
    into.copied = kConverted;
  }
}

void read_output(py::handle object, ArgName name, Accept accept, ArrayArg& into) {
  into.object = py::reinterpret_borrow<py::object>(object);
  if (PyArray_Check(object.ptr())) {
    read_ndarray(as_ndarray(object.ptr()), name, accept, false, into);
  } else if (!read_dlpack(object, name, accept, into)) {
    refuse(name, object, "an array");
  } else if (*into.copied != '\0') {
    refuse(ErrorCode::layout, name, format("{} is {}", name.arg, into.copied));
  }
  if (!into.is_writable) refuse(ErrorCode::param, name, format("{} is read-only", name.arg));
}

py::object borrow_as_numpy(const TensorView& view) {
  const int64_t item = item_bytes(view.desc.dtype);
  const int type = item == 1   ? NPY_UINT8
                   : item == 2 ? NPY_UINT16
                   : item == 4 ? NPY_UINT32
                               : NPY_UINT64;
  npy_intp shape[kMaxRank], strides[kMaxRank];
  for (int i = 0; i < view.desc.rank; ++i) {
    shape[i] = view.desc.shape[i];
    strides[i] = view.desc.strides[i] * item;
  }
  PyObject* array = PyArray_NewFromDescr(&PyArray_Type, PyArray_DescrFromType(type), view.desc.rank,
                                         shape, strides, view.data, 0, nullptr);
  if (array == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(array);
}

py::object numpy_bfloat16(ArgName name) {
  try {
    return py::module_::import("numpy").attr("dtype")(
        py::module_::import("ml_dtypes").attr("bfloat16"));
  } catch (const py::error_already_set&) {
    refuse(ErrorCode::dtype, name, "a bfloat16 NumPy array needs the package ml_dtypes");
  }
}

}  // namespace swath::python
