// Products that are summed along the vectors, as many sums at once as a vector has lanes: these are
// then added up crosswise, one shuffle for each of them in place of four or five.
#include "ops/common/rows.h"
#include "ops/dynamic_conv/micro.h"

namespace swath::SWATH_ISA {
namespace {

/// The sums of the lanes of kJ vectors, in lanes [0, kJ).
template <int kJ, class A>
SWATH_ALWAYS_INLINE Vec<A> sum_crosswise(Vec<A> (&v)[kJ]) {
#pragma GCC unroll 4
  for (int half = kJ / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) v[i] = zip<0>(v[i], v[i + half]) + zip<1>(v[i], v[i + half]);
  }
  Vec<A> sum = v[0];
  if constexpr (kJ <= 8 && kLanes<A> == 16) sum += swap_lanes<8>(sum, LaneIndices<A>{});
  if constexpr (kJ <= 4 && kLanes<A> >= 8) sum += swap_lanes<4>(sum, LaneIndices<A>{});
  if constexpr (kJ <= 2 && kLanes<A> >= 4) sum += swap_lanes<2>(sum, LaneIndices<A>{});
  return sum;
}

/// Up to kJ sums, n_k of which are written.
template <int kJ, class A>
SWATH_ALWAYS_INLINE void channel_tile(const ChannelSums<A>& p, const A* dy, const A* from,
                                      int64_t k0, int n_k, A* out) {
  Vec<A> sum[kJ];
  const A* x[kJ];
#pragma GCC unroll 16
  for (int k = 0; k < kJ; ++k) {
    sum[k] = zero<A>();
    x[k] = from + p.x_at[k0 + (k < n_k ? k : 0)];
  }
  int64_t i = 0;
  for (; i + kLanes<A> <= p.n; i += kLanes<A>) {
    const Vec<A> factor = load(dy + i);
#pragma GCC unroll 16
    for (int k = 0; k < kJ; ++k) sum[k] = mul_add(factor, load(x[k] + i), sum[k]);
  }
  if (i < p.n) {
    const int n = static_cast<int>(p.n - i);
    const Vec<A> factor = load_n(dy + i, n);
#pragma GCC unroll 16
    for (int k = 0; k < kJ; ++k) sum[k] = mul_add(factor, load_n(x[k] + i, n), sum[k]);
  }
  store_part(out + k0, sum_crosswise<kJ, A>(sum), n_k == kLanes<A> ? kLanes<A> : n_k);
}

/// Positions lie farther apart than the hardware foresees: 64 channels of 512 waited for memory a
/// third of their time.
template <class A>
SWATH_ALWAYS_INLINE void prefetch_position(const ChannelSums<A>& p, int64_t q) {
  constexpr int64_t kAhead = 4, kLine = 64 / static_cast<int64_t>(sizeof(A));
  if (q + kAhead >= p.n_positions) return;
  const A *dy = p.dy + (q + kAhead) * p.dy_step, *out = p.out + (q + kAhead) * p.out_step;
  for (int64_t i = 0; i < p.n; i += kLine) __builtin_prefetch(dy + i);
  for (int64_t k = 0; k < p.n_k; k += kLine) __builtin_prefetch(out + k, 1);
}

template <class A>
SWATH_ALWAYS_INLINE void channel_sums(const ChannelSums<A>& given) {
  const ChannelSums<A> p = given;
  constexpr int kMost = kLanes<A>, kFew = kMost < 4 ? kMost : 4;
  for (int64_t q = 0; q < p.n_positions; ++q) {
    const A *dy = p.dy + q * p.dy_step, *x = p.x + q * p.x_step;
    A* out = p.out + q * p.out_step;
    prefetch_position(p, q);
    int64_t k = 0;
    for (; k + kMost <= p.n_k; k += kMost) channel_tile<kMost>(p, dy, x, k, kMost, out);
    if constexpr (kMost > 8) {
      if (k + 8 <= p.n_k) {
        channel_tile<8>(p, dy, x, k, 8, out);
        k += 8;
      }
    }
    for (; k < p.n_k; k += kFew) {
      const int n = static_cast<int>(p.n_k - k < kFew ? p.n_k - k : kFew);
      channel_tile<kFew>(p, dy, x, k, n, out);
    }
  }
}

}  // namespace

void multiply(const ChannelSums<float>& p) noexcept { channel_sums(p); }
void multiply(const ChannelSums<double>& p) noexcept { channel_sums(p); }

}  // namespace swath::SWATH_ISA
