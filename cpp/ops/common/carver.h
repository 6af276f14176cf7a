// A worker's scratch memory, cut into pieces. Included by *.isa.cc only.
#pragma once

#include <cstdint>

namespace swath {
namespace SWATH_ISA {
namespace {

/// With a null base it only counts.
struct Carver {
  char* base;
  int64_t used = 0;

  template <class T>
  __attribute__((always_inline)) T* take(int64_t n) {
    const int64_t at = used;
    used += (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return base == nullptr ? nullptr : reinterpret_cast<T*>(base + at);
  }
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
