// Storage types of the 16-bit dtypes: plain bits, no arithmetic (simd/vec.h converts).
#pragma once

#include <cstdint>

namespace swath {

/// IEEE 754 binary16.
struct f16 {
  uint16_t bits;
};

/// The upper half of an IEEE 754 binary32.
struct bf16 {
  uint16_t bits;
};

}  // namespace swath
