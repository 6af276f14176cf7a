// Transform, product with a spectrum, inverse: what the kernels of long convolution are made of.
// Included by *.isa.cc only.
#pragma once

#include "ops/long_conv/ahead.h"
#include "ops/long_conv/passes.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// What happens to a spectrum between the forward and the inverse transform. Spectra are stored in
/// the order in which the tiles of the middle meet them.
enum class Middle {
  multiply,    // z *= spectrum, then the inverse
  keep,        // spectrum = scale z, no inverse
  accumulate,  // spectrum += z conj(other), no inverse
  restore,     // z = scale spectrum: the inverse only
};

template <class A>
struct MiddleWork {
  A* spectrum = nullptr;
  const A* other = nullptr;
  A scale = 1;
  Ahead* ahead = nullptr;
  __attribute__((always_inline)) MiddleWork at(int64_t element) const {
    return {spectrum + 2 * element, other == nullptr ? nullptr : other + 2 * element, scale, ahead};
  }
};

/// Tiles of lanes x lanes elements: `lanes` transforms of `lanes` contiguous elements each.
template <Middle kMiddle, class A>
__attribute__((noinline)) void middle(Planes<A> p, MiddleWork<A> work, int64_t n) {
  constexpr int kV = kLanes<A>;
  for (int64_t tile = 0; tile < n; tile += kV * kV) {
    if constexpr (kMiddle == Middle::multiply) {
      if (work.ahead != nullptr) work.ahead->touch();
    }
    Complex<A> z[kV];
    if constexpr (kMiddle != Middle::restore) {
      Vec<A> re[kV], im[kV];
#pragma GCC unroll 16
      for (int j = 0; j < kV; ++j) re[j] = load(p.re + tile + j * kV);
      transpose<A>(re);
#pragma GCC unroll 16
      for (int j = 0; j < kV; ++j) im[j] = load(p.im + tile + j * kV);
      transpose<A>(im);
#pragma GCC unroll 16
      for (int j = 0; j < kV; ++j) z[j] = {re[j], im[j]};
      dft(z);
    }
    A* spectrum = work.spectrum + 2 * tile;
    const Vec<A> scale = set1(work.scale);
#pragma GCC unroll 16
    for (int k = 0; k < kV; ++k) {
      A* at = spectrum + 2 * kV * k;
      if constexpr (kMiddle == Middle::multiply) z[k] = z[k] * load_pair(at);
      if constexpr (kMiddle == Middle::keep) {
        store_pair(at, Complex<A>{z[k].re * scale, z[k].im * scale});
      }
      if constexpr (kMiddle == Middle::accumulate) {
        const Complex<A> other = load_pair(work.other + 2 * tile + 2 * kV * k);
        store_pair(at, load_pair(at) + times_conj(z[k], other));
      }
      if constexpr (kMiddle == Middle::restore) {
        const Complex<A> sum = load_pair(at);
        z[k] = {sum.re * scale, sum.im * scale};
      }
    }
    if constexpr (kMiddle == Middle::multiply || kMiddle == Middle::restore) {
      inverse_dft<kV, A>(z);
      Vec<A> rows[kV];
#pragma GCC unroll 16
      for (int j = 0; j < kV; ++j) rows[j] = z[j].re;
      transpose<A>(rows);
#pragma GCC unroll 16
      for (int j = 0; j < kV; ++j) store(p.re + tile + j * kV, rows[j]);
#pragma GCC unroll 16
      for (int j = 0; j < kV; ++j) rows[j] = z[j].im;
      transpose<A>(rows);
#pragma GCC unroll 16
      for (int j = 0; j < kV; ++j) store(p.im + tile + j * kV, rows[j]);
    }
  }
}

template <bool kIsForward, class A>
SWATH_ALWAYS_INLINE void run_pass(const RingPass& pass, Planes<A> p, int64_t n) {
  const auto run = [&]<int kRadix>(std::integral_constant<int, kRadix>)
                       __attribute__((always_inline)) {
                         if constexpr (kIsForward) {
                           return pass.base ? forward_pass<kRadix, true, A>(pass, p, n)
                                            : forward_pass<kRadix, false, A>(pass, p, n);
                         } else {
                           return pass.base ? inverse_pass<kRadix, true, A>(pass, p, n)
                                            : inverse_pass<kRadix, false, A>(pass, p, n);
                         }
                       };
  if (pass.radix == 8) return run(std::integral_constant<int, 8>{});
  return run(std::integral_constant<int, 4>{});
}

template <class A>
constexpr int64_t kCacheBlock = kRingCacheBlock / static_cast<int64_t>(sizeof(A));

/// The passes from `first` on of n elements, blocks of `size`, then the middle and the way back.
template <Middle kMiddle, class A>
void run_blocks(const RingTables& t, Planes<A> p, int64_t n, int64_t size, int first,
                MiddleWork<A> work) {
  constexpr bool kForward = kMiddle != Middle::restore;
  constexpr bool kBackward = kMiddle == Middle::multiply || kMiddle == Middle::restore;
  if (first == t.n_passes || n <= kCacheBlock<A>) {
    if constexpr (kForward) {
      for (int i = first; i < t.n_passes; ++i) run_pass<true, A>(t.passes[i], p, n);
    }
    middle<kMiddle, A>(p, work, n);
    if constexpr (kBackward) {
      for (int i = t.n_passes - 1; i >= first; --i) run_pass<false, A>(t.passes[i], p, n);
    }
    return;
  }
  if (size < n) {
    const int64_t pitch = t.passes[first - 1].pitch;
    for (int64_t b = 0; b < n; b += size, p = p + pitch) {
      run_blocks<kMiddle, A>(t, p, size, size, first, work.at(b));
    }
    return;
  }
  const RingPass& pass = t.passes[first];
  if constexpr (kForward) run_pass<true, A>(pass, p, n);
  run_blocks<kMiddle, A>(t, p, n, pass.quarter, first + 1, work);
  if constexpr (kBackward) run_pass<false, A>(pass, p, n);
}

template <bool kHasIm, class A>
SWATH_ALWAYS_INLINE void run_first(const RingTables& t, const Legs<A>& legs, Planes<A> to,
                                   int64_t begin, int64_t end) {
  const auto run = [&]<int kRadix>(std::integral_constant<int, kRadix>)
                       __attribute__((always_inline)) {
                         return t.passes[0].base
                                    ? first_pass<kRadix, kHasIm, true, A>(t, legs, to, begin, end)
                                    : first_pass<kRadix, kHasIm, false, A>(t, legs, to, begin, end);
                       };
  switch (t.passes[0].radix) {
    case 3:
      return run(std::integral_constant<int, 3>{});
    case 5:
      return run(std::integral_constant<int, 5>{});
    case 8:
      return run(std::integral_constant<int, 8>{});
    default:
      return run(std::integral_constant<int, 4>{});
  }
}

template <bool kHasIm, class A>
SWATH_ALWAYS_INLINE void run_last(const RingTables& t, Planes<A> from, const OutLegs<A>& legs,
                                  int64_t begin, int64_t end) {
  const auto run =
      [&]<int kRadix>(std::integral_constant<int, kRadix>) __attribute__((always_inline)) {
        return t.passes[0].base ? last_pass<kRadix, kHasIm, true, A>(t, from, legs, begin, end)
                                : last_pass<kRadix, kHasIm, false, A>(t, from, legs, begin, end);
      };
  switch (t.passes[0].radix) {
    case 3:
      return run(std::integral_constant<int, 3>{});
    case 5:
      return run(std::integral_constant<int, 5>{});
    case 8:
      return run(std::integral_constant<int, 8>{});
    default:
      return run(std::integral_constant<int, 4>{});
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
