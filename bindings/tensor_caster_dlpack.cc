// DLPack producers: torch, jax and every other library with __dlpack__.
#include <algorithm>
#include <iterator>

#include "core/dlpack.h"
#include "core/format.h"
#include "numpy_api.h"
#include "tensor_caster.h"

namespace swath::python {
namespace {

/// Names and small tuples that every call needs, made once.
struct Constants {
  PyObject* dlpack = PyUnicode_InternFromString("__dlpack__");
  PyObject* torch = PyUnicode_InternFromString("torch");
  PyObject* tensor = PyUnicode_InternFromString("Tensor");
  PyObject* exchange = PyUnicode_InternFromString("__dlpack_c_exchange_api__");
  PyObject* requires_grad = PyUnicode_InternFromString("requires_grad");
  PyObject* is_neg = PyUnicode_InternFromString("is_neg");
  PyObject* keywords = Py_BuildValue("(s)", "max_version");
  PyObject* version = Py_BuildValue("(ii)", dlpack::kMajor, dlpack::kMinor);
};

const Constants& constants() {
  static const Constants made;
  return made;
}

/// The package that a type comes from.
std::string root_module(PyTypeObject* type) {
  const py::handle object(reinterpret_cast<PyObject*>(type));
  const auto name = py::cast<std::string>(py::str(py::getattr(object, "__module__", py::str())));
  return name.substr(0, name.find('.'));
}

/// torch.Tensor or a subclass, if torch is loaded; torch is never imported from here.
bool is_torch(PyObject* object) {
  const py::object torch = py::reinterpret_steal<py::object>(PyImport_GetModule(constants().torch));
  if (!torch) {
    PyErr_Clear();
    return false;
  }
  const py::object type =
      py::reinterpret_steal<py::object>(PyObject_GetAttr(torch.ptr(), constants().tensor));
  const int answer = type ? PyObject_IsInstance(object, type.ptr()) : -1;
  if (answer < 0) PyErr_Clear();  // a half-imported torch
  return answer == 1;
}

bool is_true(PyObject* stolen) {
  const py::object answer = py::reinterpret_steal<py::object>(stolen);
  const int truth = answer ? PyObject_IsTrue(answer.ptr()) : -1;
  if (truth < 0) PyErr_Clear();
  return truth != 0;
}

/// The C functions of a torch.Tensor that can be read without its Python __dlpack__, which takes
/// 4 us; else null. Those do not look at what makes __dlpack__ refuse a tensor.
const dlpack::ExchangeApi* exchange_api(PyObject* tensor) {
  const Constants& c = constants();
  const py::object capsule = py::reinterpret_steal<py::object>(
      PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(tensor)), c.exchange));
  if (!capsule) {
    PyErr_Clear();
    return nullptr;
  }
  static constexpr const char* kName = "dlpack_exchange_api";
  if (PyCapsule_IsValid(capsule.ptr(), kName) == 0) return nullptr;
  const auto* api =
      static_cast<const dlpack::ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), kName));
  if (api->version.major != dlpack::kMajor || api->view_object == nullptr) return nullptr;
  return is_true(PyObject_GetAttr(tensor, c.requires_grad)) ? nullptr : api;
}

[[noreturn]] void refuse_device(ArgName name, const std::string& device) {
  refuse(ErrorCode::device, name,
         format("{} is on {}, needed is the cpu: this build of swath has no kernels for others",
                name.arg, device));
}

std::string device_text(int32_t type, int32_t index) {
  const bool is_cuda = type == dlpack::kCuda || type == dlpack::kCudaManaged;
  return is_cuda ? format("cuda:{}", index)
                 : format("DLPack device type {}, index {}", type, index);
}

/// The export failed: says why in terms of the argument, with the producer's own error as cause.
[[noreturn]] void refuse_export(py::handle object, ArgName name, bool is_torch_tensor) {
  py::error_already_set cause;
  if (!cause.matches(PyExc_Exception)) throw cause;  // an interrupt
  if (is_torch_tensor && py::cast<bool>(object.attr("requires_grad"))) {
    refuse(ErrorCode::param, name,
           format("{} requires grad, which this function does not track: pass {}.detach()",
                  name.arg, name.arg));
  }
  if (is_torch_tensor) {
    const auto device = py::cast<std::string>(py::str(object.attr("device")));
    if (!device.starts_with("cpu")) refuse_device(name, device);
  }
  try {
    const auto device = py::cast<std::pair<int, int>>(object.attr("__dlpack_device__")());
    if (device.first != dlpack::kCpu) refuse_device(name, device_text(device.first, device.second));
  } catch (const py::builtin_exception&) {  // no such method, or not a pair: not about the device
  } catch (const py::error_already_set&) {
  }
  refuse(ErrorCode::layout, name,
         format("{} cannot be exported by DLPack: {}", name.arg,
                py::cast<std::string>(py::str(cause.value()))));
}

/// object.__dlpack__(max_version=(1, 0)), or without arguments for producers before DLPack 1.0.
py::object export_capsule(py::handle object, ArgName name, bool is_torch_tensor) {
  const Constants& c = constants();
  PyObject* arguments[] = {object.ptr(), c.version};
  PyObject* capsule = PyObject_VectorcallMethod(c.dlpack, arguments,
                                                1 | PY_VECTORCALL_ARGUMENTS_OFFSET, c.keywords);
  if (capsule == nullptr && PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Clear();
    capsule = PyObject_CallMethodNoArgs(object.ptr(), c.dlpack);
  }
  if (capsule == nullptr) refuse_export(object, name, is_torch_tensor);
  return py::reinterpret_steal<py::object>(capsule);
}

template <class Managed>
void release(void* tensor) {
  auto* managed = static_cast<Managed*>(tensor);
  if (managed->deleter != nullptr) managed->deleter(managed);
}

template <class Managed>
const dlpack::Tensor& consume(const py::object& capsule, const char* name, const char* used_name,
                              DlpackOwner& owner, Managed*& managed) {
  managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), name));
  PyCapsule_SetName(capsule.ptr(), used_name);
  owner = DlpackOwner(managed, release<Managed>);
  return managed->tensor;
}

std::string dtype_text(dlpack::DataType t) {
  static constexpr const char* kKinds[] = {"int",    "uint",    "float", "opaque",
                                           "bfloat", "complex", "bool"};
  const char* kind = t.code < std::size(kKinds) ? kKinds[t.code] : "of unknown kind ";
  std::string text = format("{}{}", kind, static_cast<int>(t.bits));
  if (t.lanes != 1) text += format(" in vectors of {}", t.lanes);
  return text;
}

bool to_dtype(dlpack::DataType t, Accept accept, DType& dtype) noexcept {
  if (t.lanes != 1) return false;
  if (t.code == dlpack::kBfloat && t.bits == 16) {
    dtype = DType::bf16;
    return true;
  }
  const bool is_float = t.code == dlpack::kFloat;
  const bool is_plain = t.code <= dlpack::kBool && t.code != dlpack::kOpaque;
  const bool is_mask = t.code == dlpack::kBool || (t.code == dlpack::kUInt && t.bits == 8);
  if (!is_float) {
    if (accept == Accept::floats || !is_plain) return false;
    if (accept == Accept::masks && !is_mask) return false;
  }
  switch (t.bits) {
    case 8:
      dtype = t.code == dlpack::kBool ? DType::b8 : DType::u8;
      return !is_float;
    case 16:
      dtype = DType::f16;
      return true;
    case 32:
      dtype = is_float ? DType::f32 : DType::i32;
      return true;
    case 64:
      dtype = is_float ? DType::f64 : DType::i64;
      return true;
    default:
      return false;
  }
}

const char* dtype_hint(dlpack::DataType t) noexcept {
  if (t.code == dlpack::kUInt && t.bits == 8)
    return ": convert an image to float32 and divide by 255";
  if (t.code <= dlpack::kUInt || t.code == dlpack::kBool) return ": convert it to float32";
  return "";
}

void view_dlpack(const dlpack::Tensor& t, ArgName name, Accept accept, ArrayArg& into) {
  TensorView& view = into.view;
  if (t.device.type != dlpack::kCpu) {
    refuse_device(name, device_text(t.device.type, t.device.index));
  }
  if (!to_dtype(t.dtype, accept, view.desc.dtype)) {
    refuse_dtype(name, accept, dtype_text(t.dtype),
                 accept == Accept::floats ? dtype_hint(t.dtype) : "");
  }
  if (accept == Accept::any) into.kind = static_cast<uint8_t>(dlpack::kKindLetters[t.dtype.code]);
  check_extents(name, t.ndim, t.shape);
  const bool is_empty = std::find(t.shape, t.shape + t.ndim, 0) != t.shape + t.ndim;
  if (t.data == nullptr && !is_empty) {  // torch's fake tensors
    refuse(ErrorCode::layout, name,
           format("{} has no memory, needed is an array with data", name.arg));
  }
  view.data = static_cast<char*>(t.data) + t.byte_offset;
  if (t.strides == nullptr) {
    view.desc = contiguous_desc(view.desc.dtype, t.shape, t.ndim);
    return;
  }
  view.desc.rank = t.ndim;
  for (int i = 0; i < t.ndim; ++i) {
    view.desc.shape[i] = t.shape[i];
    view.desc.strides[i] = t.strides[i];
  }
}

void copy_if_misaligned(ArrayArg& into) {
  if (reinterpret_cast<uintptr_t>(into.view.data) % item_bytes(into.view.desc.dtype) == 0) return;
  const py::object borrowed = borrow_as_numpy(into.view);
  into.array =
      py::reinterpret_steal<py::object>(PyArray_NewCopy(as_ndarray(borrowed.ptr()), NPY_CORDER));
  if (!into.array) throw py::error_already_set();
  into.copied = kNotAligned;
  const TensorDesc& d = into.view.desc;
  into.view = {PyArray_DATA(as_ndarray(into.array.ptr())),
               contiguous_desc(d.dtype, d.shape.data(), d.rank)};
}

/// torch tensors, by the C functions that torch offers from 2.10 on.
bool read_exchanged(py::handle tensor, ArgName name, Accept accept, ArrayArg& into) {
  const dlpack::ExchangeApi* api = exchange_api(tensor.ptr());
  if (api == nullptr) return false;
  dlpack::Tensor view;
  if (api->view_object(tensor.ptr(), &view) != 0) {
    PyErr_Clear();  // sparse, fake and batched tensors: __dlpack__ gives the reason
    return false;
  }
  into.is_writable = true;
  into.library = Library::torch;
  view_dlpack(view, name, accept, into);
  copy_if_misaligned(into);
  return true;
}

}  // namespace

bool read_dlpack(py::handle object, ArgName name, Accept accept, ArrayArg& into) {
  if (PyObject_HasAttr(reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())), constants().dlpack) ==
      0) {
    return false;
  }
  const bool is_torch_tensor = is_torch(object.ptr());
  // torch 2.13 exports such a view with the wrong sign
  if (is_torch_tensor && is_true(PyObject_CallMethodNoArgs(object.ptr(), constants().is_neg))) {
    into.array = object.attr("resolve_neg")();
    if (!read_dlpack(into.array, name, accept, into)) return false;
    into.copied = kNegated;
    return true;
  }
  if (is_torch_tensor && read_exchanged(object, name, accept, into)) return true;
  const py::object capsule = export_capsule(object, name, is_torch_tensor);
  // jax arrays are immutable, whatever their capsule's flags say
  into.is_writable = is_torch_tensor || !root_module(Py_TYPE(object.ptr())).starts_with("jax");
  into.library = is_torch_tensor ? Library::torch : Library::other;
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    dlpack::ManagedTensorVersioned* managed = nullptr;
    const dlpack::Tensor& tensor =
        consume(capsule, "dltensor_versioned", "used_dltensor_versioned", into.dlpack, managed);
    if (managed->version.major > dlpack::kMajor) {
      refuse(ErrorCode::layout, name,
             format("{} is exported as DLPack {}.{}, known is 1", name.arg, managed->version.major,
                    managed->version.minor));
    }
    into.is_writable = into.is_writable && (managed->flags & dlpack::kReadOnly) == 0;
    view_dlpack(tensor, name, accept, into);
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    dlpack::ManagedTensor* managed = nullptr;
    const dlpack::Tensor& tensor =
        consume(capsule, "dltensor", "used_dltensor", into.dlpack, managed);
    view_dlpack(tensor, name, accept, into);
  } else {
    refuse(ErrorCode::layout, name,
           format("{}.__dlpack__() did not return a fresh DLPack capsule", name.arg));
  }
  copy_if_misaligned(into);
  return true;
}

}  // namespace swath::python
