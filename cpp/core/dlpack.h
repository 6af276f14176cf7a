// The structs of the DLPack ABI (major version 1, and the unversioned form before it), as its
// public specification lays them out. Plain C layout: producers and consumers share these bytes.
#pragma once

#include <cstdint>

namespace swath::dlpack {

enum DeviceCode : int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3, kCudaManaged = 13 };
enum TypeCode : uint8_t {
  kInt = 0,
  kUInt = 1,
  kFloat = 2,
  kOpaque = 3,
  kBfloat = 4,
  kComplex = 5,
  kBool = 6
};

/// NumPy's letters for the TypeCodes, in their order; only bfloat16's is not NumPy's own.
inline constexpr char kKindLetters[] = "iuf?Vcb";

struct DeviceTag {
  int32_t type;  // a DeviceCode; a plain number, since producers may send unknown ones
  int32_t index;
};

struct DataType {
  uint8_t code;  // a TypeCode
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  DeviceTag device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null: C-contiguous
  uint64_t byte_offset;
};

/// In capsules named "dltensor".
struct ManagedTensor {
  Tensor tensor;
  void* manager;
  void (*deleter)(ManagedTensor*);
};

struct Version {
  uint32_t major, minor;
};

inline constexpr uint32_t kMajor = 1;
inline constexpr uint32_t kMinor = 0;
inline constexpr uint64_t kReadOnly = 1;

/// In capsules named "dltensor_versioned".
struct ManagedTensorVersioned {
  Version version;
  void* manager;
  void (*deleter)(ManagedTensorVersioned*);
  uint64_t flags;
  Tensor tensor;
};

/// What a type's __dlpack_c_exchange_api__ (a capsule named "dlpack_exchange_api") points to:
/// functions that exchange tensors without Python calls. Those that are not used here are untyped.
struct ExchangeApi {
  Version version;
  const void* previous;
  void (*allocate)();
  void (*managed_from_object)();
  void (*object_from_managed)();
  /// Fills `tensor`, which is valid until the caller gives control back; 0, or -1 with an error
  /// set. May be null.
  int (*view_object)(void* object, Tensor* tensor);
  void (*current_stream)();
};

}  // namespace swath::dlpack
