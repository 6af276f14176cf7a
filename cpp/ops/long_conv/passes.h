// The radix passes of the ring transform over planes of real and of imaginary parts: decimation in
// frequency forward, in time backward, each in place, so that no element is ever reordered.
// Included by *.isa.cc only.
#pragma once

#include "ops/long_conv/butterflies.h"
#include "ops/long_conv/problem.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Where the real and the imaginary parts of a transform are.
template <class A>
struct Planes {
  A *re, *im;
  __attribute__((always_inline)) Planes operator+(int64_t i) const { return {re + i, im + i}; }
};

template <class A>
SWATH_ALWAYS_INLINE Complex<A> load(const Planes<A>& p, int64_t i) {
  return {load(p.re + i), load(p.im + i)};
}
template <class A>
SWATH_ALWAYS_INLINE void store(const Planes<A>& p, int64_t i, Complex<A> z) {
  store(p.re + i, z.re);
  store(p.im + i, z.im);
}
/// The vectors of one factor: re lanes, then im lanes.
template <class A>
SWATH_ALWAYS_INLINE Complex<A> load_pair(const A* p) {
  return {load(p), load(p + kLanes<A>)};
}
template <class A>
SWATH_ALWAYS_INLINE void store_pair(A* p, Complex<A> z) {
  store(p, z.re);
  store(p + kLanes<A>, z.im);
}

/// The factors of one vector of columns.
template <bool kIsSplit, class A>
struct Factors {
  const A *vectors, *base;
  __attribute__((always_inline)) Complex<A> operator[](int f) const {
    const Complex<A> t = load_pair(vectors + 2 * kLanes<A> * f);
    if constexpr (!kIsSplit) return t;
    return t * number(base[2 * f], base[2 * f + 1]);
  }
};

/// f(column, factors) for each vector of columns.
template <bool kIsSplit, int kFactors, class A, class F>
SWATH_ALWAYS_INLINE void for_columns(const RingPass& pass, int64_t begin, int64_t end, const F& f) {
  const A* vectors = static_cast<const A*>(pass.factors);
  const A* base = static_cast<const A*>(pass.base);
  constexpr int kStep = 2 * kFactors;  // per column
  for (int64_t c = begin; c < end;) {
    const int64_t block = kIsSplit ? c / kFactorBlock : 0, first = block * kFactorBlock;
    const int64_t stop = kIsSplit && first + kFactorBlock < end ? first + kFactorBlock : end;
    Factors<kIsSplit, A> factors{vectors + (c - first) * kStep, base + block * kStep};
    for (; c < stop; c += kLanes<A>, factors.vectors += kLanes<A> * kStep) f(c, factors);
  }
}

/// One column of all legs: leg j holds the positions [j n / radix, (j + 1) n / radix).
template <class A>
struct Legs {
  const A *re[8], *im[8];  // at the first of the columns
};

/// Reads real rows, packed or not, and leaves `radix` ordinary transforms of n / radix elements.
template <int kRadix, bool kHasIm, bool kIsSplit, class A>
__attribute__((noinline)) void first_pass(const RingTables& t, const Legs<A>& legs, Planes<A> to,
                                          int64_t begin, int64_t end) {
  const RingPass& pass = t.passes[0];
  const A* corner = static_cast<const A*>(t.corner);
  for_columns<kIsSplit, kRadix, A>(
      pass, begin, end, [&](int64_t c, const auto& factors) __attribute__((always_inline)) {
        Complex<A> z[kRadix];
#pragma GCC unroll 8
        for (int j = 0; j < kRadix; ++j) {
          const Vec<A> re = load(legs.re[j] + c - begin);
          const Complex<A> w = number(corner[2 * j], corner[2 * j + 1]);
          if constexpr (kHasIm) {
            const Complex<A> x{re, load(legs.im[j] + c - begin)};
            z[j] = j == 0 ? x : x * w;
          } else {
            z[j] = j == 0 ? Complex<A>{re, zero<A>()} : Complex<A>{re * w.re, re * w.im};
          }
        }
        dft(z);
#pragma GCC unroll 8
        for (int m = 0; m < kRadix; ++m) store(to, c + m * pass.pitch, z[m] * factors[m]);
      });
}

template <class A>
struct OutLegs {
  A *re[8], *im[8];  // im is not written if the pass has none
};

/// The reverse of the first pass.
template <int kRadix, bool kHasIm, bool kIsSplit, class A>
__attribute__((noinline)) void last_pass(const RingTables& t, Planes<A> from,
                                         const OutLegs<A>& legs, int64_t begin, int64_t end) {
  const RingPass& pass = t.passes[0];
  const A* corner = static_cast<const A*>(t.corner);
  for_columns<kIsSplit, kRadix, A>(
      pass, begin, end, [&](int64_t c, const auto& factors) __attribute__((always_inline)) {
        Complex<A> z[kRadix];
#pragma GCC unroll 8
        for (int m = 0; m < kRadix; ++m) {
          z[m] = times_conj(load(from, c + m * pass.pitch), factors[m]);
        }
        inverse_dft<kRadix, A>(z);
#pragma GCC unroll 8
        for (int j = 0; j < kRadix; ++j) {
          const Complex<A> w = number(corner[2 * j], corner[2 * j + 1]);
          if constexpr (kHasIm) {
            const Complex<A> y = j == 0 ? z[j] : times_conj(z[j], w);
            store(legs.re[j] + c - begin, y.re);
            store(legs.im[j] + c - begin, y.im);
          } else {
            const Vec<A> y = j == 0 ? z[j].re : mul_add(z[j].im, w.im, z[j].re * w.re);
            store(legs.re[j] + c - begin, y);
          }
        }
      });
}

// Of n elements, blocks of kRadix * quarter.

template <int kRadix, bool kIsSplit, class A>
__attribute__((noinline)) void forward_pass(const RingPass& pass, Planes<A> p, int64_t n) {
  const int64_t q = pass.quarter;
  for (const Planes<A> end = p + n; p.re < end.re; p = p + kRadix * q) {
    for_columns<kIsSplit, kRadix - 1, A>(
        pass, 0, q, [&](int64_t c, const auto& factors) __attribute__((always_inline)) {
          Complex<A> z[kRadix];
#pragma GCC unroll 8
          for (int j = 0; j < kRadix; ++j) z[j] = load(p, c + j * q);
          dft(z);
          store(p, c, z[0]);
#pragma GCC unroll 8
          for (int m = 1; m < kRadix; ++m) store(p, c + m * q, z[m] * factors[m - 1]);
        });
  }
}

template <int kRadix, bool kIsSplit, class A>
__attribute__((noinline)) void inverse_pass(const RingPass& pass, Planes<A> p, int64_t n) {
  const int64_t q = pass.quarter;
  for (const Planes<A> end = p + n; p.re < end.re; p = p + kRadix * q) {
    for_columns<kIsSplit, kRadix - 1, A>(
        pass, 0, q, [&](int64_t c, const auto& factors) __attribute__((always_inline)) {
          Complex<A> z[kRadix];
          z[0] = load(p, c);
#pragma GCC unroll 8
          for (int m = 1; m < kRadix; ++m) z[m] = times_conj(load(p, c + m * q), factors[m - 1]);
          inverse_dft<kRadix, A>(z);
#pragma GCC unroll 8
          for (int j = 0; j < kRadix; ++j) store(p, c + j * q, z[j]);
        });
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
