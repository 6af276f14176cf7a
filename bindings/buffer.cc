#include "buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>

#include <swath/error.h>

#include <pybind11/stl.h>

#include "bindings.h"
#include "core/dlpack.h"
#include "core/format.h"
#include "numpy_api.h"
#include "tensor_caster.h"

namespace swath::python {
namespace {

constexpr std::align_val_t kAlign{64};

struct FreeAligned {
  void operator()(std::byte* p) const noexcept { ::operator delete[](p, kAlign); }
};

std::shared_ptr<std::byte[]> allocate(size_t n_bytes) {
  return {static_cast<std::byte*>(::operator new[](n_bytes, kAlign)), FreeAligned{}};
}

void copy_axis(const TensorView& source, int axis, int64_t item, const std::byte* from,
               std::byte*& to) noexcept {
  if (axis == source.desc.rank) {
    std::memcpy(to, from, static_cast<size_t>(item));
    to += item;
    return;
  }
  if (axis == source.desc.rank - 1 && source.desc.strides[axis] == 1) {
    const int64_t n_bytes = source.desc.shape[axis] * item;
    if (n_bytes > 0) std::memcpy(to, from, static_cast<size_t>(n_bytes));
    to += n_bytes;
    return;
  }
  for (int64_t i = 0; i < source.desc.shape[axis]; ++i) {
    copy_axis(source, axis + 1, item, from + i * source.desc.strides[axis] * item, to);
  }
}

dlpack::DataType dlpack_dtype(DType dtype, uint8_t kind) noexcept {
  const auto bits = static_cast<uint8_t>(8 * item_bytes(dtype));
  static constexpr std::string_view kLetters = dlpack::kKindLetters;
  if (const size_t code = kLetters.find(static_cast<char>(kind)); code < kLetters.size()) {
    return {static_cast<uint8_t>(code), bits, 1};
  }
  switch (dtype) {
    case DType::bf16:
      return {dlpack::kBfloat, bits, 1};
    case DType::u8:
      return {dlpack::kUInt, bits, 1};
    case DType::b8:
      return {dlpack::kBool, bits, 1};
    case DType::i32:
    case DType::i64:
      return {dlpack::kInt, bits, 1};
    default:
      return {dlpack::kFloat, bits, 1};
  }
}

/// What a capsule owns: a share of the memory, and the shape that its tensor points to.
template <class Managed>
struct Exported {
  Buffer buffer;
  Managed managed{};

  explicit Exported(const Buffer& source) : buffer(source) {
    managed.manager = this;
    managed.deleter = [](Managed* m) { delete static_cast<Exported*>(m->manager); };
    managed.tensor = {buffer.memory.get(),
                      {dlpack::kCpu, 0},
                      buffer.desc.rank,
                      dlpack_dtype(buffer.desc.dtype, buffer.kind),
                      buffer.desc.shape.data(),
                      buffer.desc.strides.data(),
                      0};
  }
};

template <class Managed>
py::object make_capsule(const Buffer& buffer, const char* name, PyCapsule_Destructor destructor) {
  auto exported = std::make_unique<Exported<Managed>>(buffer);
  if constexpr (requires { exported->managed.version; }) {
    exported->managed.version = {dlpack::kMajor, dlpack::kMinor};
  }
  PyObject* capsule = PyCapsule_New(&exported->managed, name, destructor);
  if (capsule == nullptr) throw py::error_already_set();
  exported.release();  // NOLINT: the capsule's now
  return py::reinterpret_steal<py::object>(capsule);
}

constexpr const char* kLegacyName = "dltensor";
constexpr const char* kVersionedName = "dltensor_versioned";

/// Capsules that nobody consumed still carry their first name.
void drop_legacy(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, kLegacyName)) return;
  auto* m = static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule, kLegacyName));
  m->deleter(m);
}
void drop_versioned(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, kVersionedName)) return;
  auto* m =
      static_cast<dlpack::ManagedTensorVersioned*>(PyCapsule_GetPointer(capsule, kVersionedName));
  m->deleter(m);
}

py::object to_dlpack(const Buffer& buffer, const py::object& /*stream*/,
                     std::optional<std::pair<int, int>> max_version,
                     std::optional<std::pair<int, int>> dl_device, std::optional<bool> copy) {
  if (dl_device && dl_device->first != dlpack::kCpu) {
    throw py::buffer_error("a swath buffer is on the cpu and cannot be exported to another device");
  }
  const Buffer shared = copy.value_or(false) ? Buffer(buffer.view()) : buffer;
  if (max_version && max_version->first >= 1) {
    return make_capsule<dlpack::ManagedTensorVersioned>(shared, kVersionedName, drop_versioned);
  }
  return make_capsule<dlpack::ManagedTensor>(shared, kLegacyName, drop_legacy);
}

py::tuple shape_of(const Buffer& buffer) {
  py::tuple shape(buffer.desc.rank);
  for (int i = 0; i < buffer.desc.rank; ++i) shape[i] = py::int_(buffer.desc.shape[i]);
  return shape;
}

/// The inverse of pickling: dtype's short name, shape, bytes.
Buffer from_bytes(const std::string& dtype, const std::vector<int64_t>& shape,
                  const py::bytes& data) {
  static constexpr std::pair<const char*, DType> kNames[] = {
#define SWATH_DTYPE(name, bytes) {#name, DType::name},
#include <swath/dtypes.def>
#undef SWATH_DTYPE
  };
  const bool is_shape = std::all_of(shape.begin(), shape.end(), [](int64_t n) { return n >= 0; });
  check_extents({"Buffer", "shape"}, static_cast<int64_t>(shape.size()), shape.data());
  for (const auto& [name, code] : kNames) {
    if (dtype != name || !is_shape) continue;
    Buffer buffer(contiguous_desc(code, shape.data(), static_cast<int>(shape.size())));
    const std::string_view bytes = data;
    if (bytes.size() != buffer.n_bytes()) break;
    std::memcpy(buffer.memory.get(), bytes.data(), bytes.size());
    return buffer;
  }
  throw Error(ErrorCode::param, "Buffer", "data", "dtype, shape and bytes do not fit together");
}

py::bytes bytes_of(const Buffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.memory.get()), buffer.n_bytes()};
}

/// Any array as a NumPy copy; bfloat16, which NumPy lacks, is widened to float32.
py::object as_numpy(py::handle object) {
  ArrayArg array;
  read_array(object, {"as_numpy", "array"}, Accept::floats, array);
  const Buffer copy(array.view);
  npy_intp shape[kMaxRank];
  for (int i = 0; i < copy.desc.rank; ++i) shape[i] = copy.desc.shape[i];
  const DType dtype = copy.desc.dtype;
  const int type = dtype == DType::f64 ? NPY_DOUBLE : dtype == DType::f16 ? NPY_HALF : NPY_FLOAT;
  PyObject* made = PyArray_SimpleNew(copy.desc.rank, shape, type);
  if (made == nullptr) throw py::error_already_set();
  py::object result = py::reinterpret_steal<py::object>(made);
  void* to = PyArray_DATA(as_ndarray(made));
  if (dtype != DType::bf16) {
    std::memcpy(to, copy.memory.get(), copy.n_bytes());
    return result;
  }
  const auto* from = reinterpret_cast<const uint16_t*>(copy.memory.get());
  for (int64_t i = 0; i < copy.desc.n_elements(); ++i) {
    static_cast<uint32_t*>(to)[i] = static_cast<uint32_t>(from[i]) << 16;
  }
  return result;
}

}  // namespace

Buffer::Buffer(const TensorDesc& d, uint8_t element_kind)
    : desc(contiguous_desc(d.dtype, d.shape.data(), d.rank)), kind(element_kind) {
  memory = allocate(n_bytes());
}

Buffer::Buffer(const TensorView& source) : Buffer(source.desc) {
  std::byte* to = memory.get();
  copy_axis(source, 0, item_bytes(desc.dtype), static_cast<const std::byte*>(source.data), to);
}

size_t Buffer::n_bytes() const noexcept {
  return static_cast<size_t>(desc.n_elements() * item_bytes(desc.dtype));
}

void bind_buffer(py::module_& m) {
  py::class_<Buffer>(m, "Buffer", "A contiguous array on the cpu that speaks DLPack.")
      .def(py::init(&from_bytes), py::arg("dtype"), py::arg("shape"), py::arg("data"))
      .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(),
           py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(),
           py::arg("copy") = py::none())
      .def("__dlpack_device__", [](const Buffer&) { return py::make_tuple(int{dlpack::kCpu}, 0); })
      .def("__reduce__",
           [](const py::object& self) {
             const auto& b = self.cast<const Buffer&>();
             return py::make_tuple(py::type::of(self),
                                   py::make_tuple(name_of(b.desc.dtype), shape_of(b), bytes_of(b)));
           })
      .def_property_readonly("shape", &shape_of)
      .def_property_readonly("dtype", [](const Buffer& b) { return name_of(b.desc.dtype); });
  m.def("as_numpy", &as_numpy, py::arg("array"));
}

}  // namespace swath::python
