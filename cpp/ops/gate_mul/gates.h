// gate(b) and its derivatives over rows in scratch memory. Included by *.isa.cc only.
#pragma once

#include "ops/common/activation.h"
#include "ops/common/activation_grad.h"
#include "ops/common/rows.h"
#include "ops/gate_mul/problem.h"
#include "simd/math.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// The parts of the asymmetric Gaussian at b. Where e is 0 so is every derivative: without the
/// select an infinite b would give inf * 0.
template <class A>
struct AsymGauss {
  Vec<A> d, e, height;  // b - mu, the exponential, and what it is multiplied by
  Vec<Bits<A>> is_left;

  __attribute__((always_inline)) AsymGauss(const GateFunction& g, Vec<A> b) {
    d = b - set1(static_cast<A>(g.mu));
    is_left = d < zero<A>();
    rate_ = select(is_left, set1(static_cast<A>(g.left)), set1(static_cast<A>(g.right)));
    e = exp(-rate_ * d * d);
    const auto h = static_cast<A>(g.height);
    height = select(is_left, set1(h), set1(h - 1));
  }
  __attribute__((always_inline)) Vec<A> value() const {
    return select(is_left, zero<A>(), set1(A{1})) + height * e;
  }
  __attribute__((always_inline)) Vec<A> by_b() const {
    return finite(A{-2} * rate_ * d * height * e);
  }
  __attribute__((always_inline)) Vec<A> by_rate() const { return finite(-(d * d) * height * e); }

 private:
  __attribute__((always_inline)) Vec<A> finite(Vec<A> v) const {
    return select(e == zero<A>(), zero<A>(), v);
  }
  Vec<A> rate_;
};

template <class A>
SWATH_ALWAYS_INLINE void add_shift(const GateFunction& g, A* x, int64_t n) {
  if (g.shift == 0) return;
  const Vec<A> shift = set1(static_cast<A>(g.shift));
  for_lanes<A>(n, [&](int64_t j, int) { store(x + j, load(x + j) + shift); });
}

/// x = gate(x), n elements; x has room for whole vectors.
template <class A>
SWATH_ALWAYS_INLINE void apply_gate(const GateFunction& g, A* x, int64_t n) {
  if (g.is_asym_gauss) {
    for_lanes<A>(n, [&](int64_t j, int) { store(x + j, AsymGauss<A>(g, load(x + j)).value()); });
  } else if (g.kind != Activation::none) {
    activate(x, n, g.kind, g.value);
  }
  add_shift(g, x, n);
}

/// dy = dy gate'(b) of the asymmetric Gaussian.
template <class A>
SWATH_ALWAYS_INLINE void multiply_by_slope(const GateFunction& g, const A* b, A* dy, int64_t n) {
  for_lanes<A>(n, [&](int64_t j, int) {
    store(dy + j, load(dy + j) * AsymGauss<A>(g, load(b + j)).by_b());
  });
}

/// Adds the sums of dy and the gate's derivatives by (height, mu, left, right) to sums[4].
template <class A>
SWATH_ALWAYS_INLINE void add_param_sums(const GateFunction& g, const A* b, const A* dy, int64_t n,
                                        A* sums) {
  const auto sum_of = [&](const auto& derivative) {
    return sum_lanes<A>(n, [&](int64_t j, int m) {
      const Vec<A> v = load_part<A>(dy + j, m);
      const Vec<A> product = v * derivative(AsymGauss<A>(g, load_part<A>(b + j, m)));
      return select(v == zero<A>(), zero<A>(), product);
    });
  };
  sums[0] += sum_of([](const AsymGauss<A>& t) { return t.e; });
  sums[1] -= sum_of([](const AsymGauss<A>& t) { return t.by_b(); });
  sums[2] +=
      sum_of([](const AsymGauss<A>& t) { return select(t.is_left, t.by_rate(), zero<A>()); });
  sums[3] +=
      sum_of([](const AsymGauss<A>& t) { return select(t.is_left, zero<A>(), t.by_rate()); });
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
