// The rounding and subnormal mode of the processor while kernels run.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace swath {

/// Sets the mode of a fresh process, rounding to nearest and subnormals kept, and puts the caller's
/// back at the end. Runtimes such as XLA and torch.set_flush_denormal change it on some threads:
/// results would depend on which thread takes a task.
class DefaultFloatMode {
 public:
  DefaultFloatMode() noexcept : saved_(read()) {
    if (!is_default(saved_)) write(kDefault);
  }
  ~DefaultFloatMode() {
    if (!is_default(saved_)) write(saved_);
  }
  DefaultFloatMode(const DefaultFloatMode&) = delete;

 private:
#if defined(__x86_64__)
  using Mode = uint32_t;
  static constexpr Mode kDefault = 0x1f80, kRaisedFlags = 0x3f;
  static Mode read() noexcept { return _mm_getcsr(); }
  static void write(Mode mode) noexcept { _mm_setcsr(mode); }
  static bool is_default(Mode mode) noexcept { return (mode & ~kRaisedFlags) == kDefault; }
#elif defined(__aarch64__)
  using Mode = uint64_t;
  static constexpr Mode kDefault = 0;
  static Mode read() noexcept {
    Mode mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void write(Mode mode) noexcept { asm volatile("msr fpcr, %0" : : "r"(mode)); }
  static bool is_default(Mode mode) noexcept { return mode == kDefault; }
#else
  using Mode = int;
  static constexpr Mode kDefault = 0;
  static Mode read() noexcept { return kDefault; }
  static void write(Mode) noexcept {}
  static bool is_default(Mode) noexcept { return true; }
#endif
  Mode saved_;
};

}  // namespace swath
