// Complex transforms of any length, one in each lane. Included by *.isa.cc only.
//
// A tile holds one vector of real and one of imaginary parts for each point, side by side. The
// passes go back and forth between two tiles and sort on the way (Stockham), so that there is no
// bit reversal. Swapping real and imaginary parts before and after makes it the inverse.
#pragma once

#include "ops/plane_fft/length.h"
#include "simd/vec.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Numbers of one point of a tile.
template <class A>
constexpr int64_t kPoint = 2 * kLanes<A>;

template <class A>
struct Complex {
  Vec<A> re, im;
};
template <class A>
SWATH_ALWAYS_INLINE Complex<A> get(const A* p) {
  return {load(p), load(p + kLanes<A>)};
}
template <class A>
SWATH_ALWAYS_INLINE void put(A* p, Complex<A> z) {
  store(p, z.re);
  store(p + kLanes<A>, z.im);
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> operator+(Complex<A> a, Complex<A> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> operator-(Complex<A> a, Complex<A> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> operator*(Complex<A> a, Complex<A> b) {
  return {mul_add(-a.im, b.im, a.re * b.re), mul_add(a.re, b.im, a.im * b.re)};
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> times_minus_i(Complex<A> a) {
  return {a.im, -a.re};
}
/// z times one complex number for all lanes.
template <class A>
SWATH_ALWAYS_INLINE Complex<A> times_scalar(Complex<A> z, const A* w) {
  return z * Complex<A>{set1(w[0]), set1(w[1])};
}

/// The transform of kRadix points, in place.
template <class A, int kRadix>
struct Butterfly;

template <class A>
struct Butterfly<A, 2> {
  static __attribute__((always_inline)) void run(Complex<A>* v) {
    const Complex<A> a = v[0];
    v[0] = a + v[1];
    v[1] = a - v[1];
  }
};

template <class A>
struct Butterfly<A, 3> {
  static __attribute__((always_inline)) void run(Complex<A>* v) {
    const Vec<A> half = set1(A(-0.5)), sine = set1(A(0.86602540378443864676));
    const Complex<A> sum = v[1] + v[2], difference = times_minus_i(v[1] - v[2]);
    const Complex<A> mid{mul_add(sum.re, half, v[0].re), mul_add(sum.im, half, v[0].im)};
    v[0] = v[0] + sum;
    v[1] = {mul_add(difference.re, sine, mid.re), mul_add(difference.im, sine, mid.im)};
    v[2] = {mul_add(difference.re, -sine, mid.re), mul_add(difference.im, -sine, mid.im)};
  }
};

template <class A>
struct Butterfly<A, 4> {
  static __attribute__((always_inline)) void run(Complex<A>* v) {
    const Complex<A> a = v[0] + v[2], b = v[0] - v[2];
    const Complex<A> c = v[1] + v[3], d = times_minus_i(v[1] - v[3]);
    v[0] = a + c;
    v[1] = b + d;
    v[2] = a - c;
    v[3] = b - d;
  }
};

template <class A>
struct Butterfly<A, 5> {
  static __attribute__((always_inline)) void run(Complex<A>* v) {
    const Vec<A> c1 = set1(A(0.30901699437494742410)), c2 = set1(A(-0.80901699437494742410));
    const Vec<A> s1 = set1(A(0.95105651629515357212)), s2 = set1(A(0.58778525229247312917));
    const Complex<A> p = v[1] + v[4], q = v[2] + v[3];
    const Complex<A> r = times_minus_i(v[1] - v[4]), t = times_minus_i(v[2] - v[3]);
    const Complex<A> a{mul_add(p.re, c1, mul_add(q.re, c2, v[0].re)),
                       mul_add(p.im, c1, mul_add(q.im, c2, v[0].im))};
    const Complex<A> b{mul_add(p.re, c2, mul_add(q.re, c1, v[0].re)),
                       mul_add(p.im, c2, mul_add(q.im, c1, v[0].im))};
    const Complex<A> c{mul_add(r.re, s1, t.re * s2), mul_add(r.im, s1, t.im * s2)};
    const Complex<A> d{mul_add(r.re, s2, -(t.re * s1)), mul_add(r.im, s2, -(t.im * s1))};
    v[0] = v[0] + (p + q);
    v[1] = a + c;
    v[2] = b + d;
    v[3] = b - d;
    v[4] = a - c;
  }
};

/// One pass over a tile of kRadix * n1 * s points: `s` transforms lie side by side. The last pass
/// (n1 = 1) has no twiddles.
template <class A, int kRadix, bool kIsLast>
SWATH_ALWAYS_INLINE void run_pass(const A* from, A* to, int64_t n1, int64_t s, const A* w) {
  const int64_t in_step = s * n1 * kPoint<A>, out_step = s * kPoint<A>;
  for (int64_t q = 0; q < n1; ++q, w += 2 * (kRadix - 1)) {
    const A* x = from + s * q * kPoint<A>;
    A* y = to + s * kRadix * q * kPoint<A>;
    for (int64_t r = 0; r < s; ++r, x += kPoint<A>, y += kPoint<A>) {
      Complex<A> v[kRadix];
#pragma GCC unroll 8
      for (int j = 0; j < kRadix; ++j) v[j] = get(x + j * in_step);
      Butterfly<A, kRadix>::run(v);
      put(y, v[0]);
#pragma GCC unroll 8
      for (int k = 1; k < kRadix; ++k) {
        put(y + k * out_step, kIsLast ? v[k] : times_scalar(v[k], w + 2 * (k - 1)));
      }
    }
  }
}
template <class A, int kRadix>
void pass(const A* from, A* to, int64_t n1, int64_t s, const A* w) {
  if (n1 == 1) {
    run_pass<A, kRadix, true>(from, to, n1, s, w);
  } else {
    run_pass<A, kRadix, false>(from, to, n1, s, w);
  }
}

/// The same for an odd prime radix, straight from the definition: pairs j, p - j share their
/// products.
template <class A>
void prime_pass(const A* from, A* to, int64_t n1, int64_t s, int p, const A* w, const A* roots) {
  const int64_t in_step = s * n1 * kPoint<A>, out_step = s * kPoint<A>;
  const int half = (p - 1) / 2;
  Complex<A> sum[kMaxFftPrime / 2], difference[kMaxFftPrime / 2];
  for (int64_t q = 0; q < n1; ++q, w += 2 * (p - 1)) {
    for (int64_t r = 0; r < s; ++r) {
      const A* x = from + (s * q + r) * kPoint<A>;
      A* y = to + (s * p * q + r) * kPoint<A>;
      const Complex<A> first = get(x);
      Complex<A> all = first;
      for (int j = 0; j < half; ++j) {
        const Complex<A> a = get(x + (j + 1) * in_step), b = get(x + (p - 1 - j) * in_step);
        sum[j] = a + b;
        difference[j] = times_minus_i(a - b);
        all = all + sum[j];
      }
      put(y, all);
      for (int k = 1; k <= half; ++k) {
        Complex<A> even = first, odd{zero<A>(), zero<A>()};
        int at = 0;
        for (int j = 0; j < half; ++j) {
          at += k;
          if (at >= p) at -= p;
          const Vec<A> c = set1(roots[2 * at]), sine = set1(-roots[2 * at + 1]);
          even = {mul_add(sum[j].re, c, even.re), mul_add(sum[j].im, c, even.im)};
          odd = {mul_add(difference[j].re, sine, odd.re), mul_add(difference[j].im, sine, odd.im)};
        }
        put(y + k * out_step, times_scalar(even + odd, w + 2 * (k - 1)));
        put(y + (p - k) * out_step, times_scalar(even - odd, w + 2 * (p - k - 1)));
      }
    }
  }
}

/// Runs the passes on the tile x with the help of y; both have f.work points. Returns the one that
/// has the result.
template <class A>
A* run_passes(const FftLength& f, A* x, A* y) {
  const A* values = static_cast<const A*>(f.values);
  int64_t n = f.n, s = 1;
  for (int i = 0; i < f.n_passes; ++i) {
    const int p = f.radix[i];
    const A* w = values + f.twiddles[i];
    n /= p;
    switch (p) {
      case 2:
        pass<A, 2>(x, y, n, s, w);
        break;
      case 3:
        pass<A, 3>(x, y, n, s, w);
        break;
      case 4:
        pass<A, 4>(x, y, n, s, w);
        break;
      case 5:
        pass<A, 5>(x, y, n, s, w);
        break;
      default:
        prime_pass<A>(x, y, n, s, p, w, values + f.roots[i]);
    }
    s *= p;
    A* const t = x;
    x = y;
    y = t;
  }
  return x;
}

template <class A>
SWATH_ALWAYS_INLINE Complex<A> swapped(Complex<A> z) {
  return {z.im, z.re};
}

/// By a convolution: the chirp before and after, its spectrum between.
template <class A>
A* run_convolution(const FftLength& f, A* x, A* y) {
  const A* values = static_cast<const A*>(f.values);
  const A* chirp = values + f.chirp;
  const A* spectrum = values + f.chirp_spectrum;
  const FftLength& inner = *f.inner;
  for (int64_t j = 0; j < f.n; ++j) {
    A* z = x + j * kPoint<A>;
    put(z, times_scalar(get(z), chirp + 2 * j));
  }
  for (int64_t j = f.n * kPoint<A>; j < inner.n * kPoint<A>; j += kLanes<A>)
    store(x + j, zero<A>());
  A* found = run_passes(inner, x, y);
  for (int64_t j = 0; j < inner.n; ++j) {
    A* z = found + j * kPoint<A>;
    put(z, swapped(times_scalar(get(z), spectrum + 2 * j)));
  }
  found = run_passes(inner, found, found == x ? y : x);
  for (int64_t j = 0; j < f.n; ++j) {
    A* z = found + j * kPoint<A>;
    put(z, times_scalar(swapped(get(z)), chirp + 2 * j));
  }
  return found;
}

template <class A>
A* transform(const FftLength& f, A* x, A* y) {
  return f.inner == nullptr ? run_passes(f, x, y) : run_convolution(f, x, y);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
