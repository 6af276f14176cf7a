#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include <swath/export.h>

namespace swath {

enum class DType : uint8_t {
#define SWATH_DTYPE(name, bytes) name,
#include <swath/dtypes.def>
#undef SWATH_DTYPE
};

SWATH_API const char* name_of(DType dtype) noexcept;
SWATH_API int64_t item_bytes(DType dtype) noexcept;
constexpr bool is_floating(DType d) noexcept {
  return d == DType::f32 || d == DType::f64 || d == DType::f16 || d == DType::bf16;
}

enum class DeviceType : uint8_t { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int32_t index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

inline constexpr int kMaxRank = 8;

/// Shape and strides of an array; strides count elements and may be zero or negative.
struct TensorDesc {
  DType dtype = DType::f32;
  Device device;
  int32_t rank = 0;
  std::array<int64_t, kMaxRank> shape{};
  std::array<int64_t, kMaxRank> strides{};

  int64_t n_elements() const noexcept {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
};

/// A C-contiguous description.
SWATH_API TensorDesc contiguous_desc(DType dtype, const int64_t* shape, int rank);
SWATH_API TensorDesc contiguous_desc(DType dtype, std::initializer_list<int64_t> shape);

/// An array that somebody else owns: `data` points at element (0, 0, ...).
struct TensorView {
  void* data = nullptr;
  TensorDesc desc;
};

}  // namespace swath
