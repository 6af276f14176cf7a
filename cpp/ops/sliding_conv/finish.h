// The epilogue: from a run of finished sums in scratch to elements of y, in the order of
// ConvEpilogue. Serves runs along positions (one channel) and runs along channels (one position).
#pragma once

#include "ops/common/activation.h"
#include "ops/sliding_conv/problem.h"
#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

/// Per-channel values in the accumulator's type, behind the packed weights; null where absent.
template <class T>
struct ChannelValues {
  const T* bias;
  const T* scale;
  const T* shift;
};

template <class S, class T>
SWATH_ALWAYS_INLINE void convert_values(const void* from, int64_t offset, int64_t stride, bool has,
                                        int64_t n, T* to) {
  if (!has) return;
  const S* values = static_cast<const S*>(from) + offset;
  for (int64_t i = 0; i < n; ++i) to[i] = to_acc(values[i * stride]);
}

/// bias, scale and shift as 3 n_out values of T.
template <class S, class T>
SWATH_ALWAYS_INLINE void pack_values(const ConvProblem& p, const Buffers& b, T* to) {
  const ConvEpilogue& e = p.epilogue;
  const int64_t n = p.n_out_channels();
  convert_values<S>(b.read(e.bias), e.bias_offset, e.bias_stride, e.has_bias, n, to);
  convert_values<S>(b.read(e.scale), e.scale_offset, e.scale_stride, e.has_scale, n, to + n);
  convert_values<S>(b.read(e.shift), e.shift_offset, e.shift_stride, e.has_shift, n, to + 2 * n);
}

template <class T>
SWATH_ALWAYS_INLINE ChannelValues<T> channel_values(const ConvProblem& p, const T* packed) {
  const ConvEpilogue& e = p.epilogue;
  const int64_t n = p.n_out_channels();
  return {e.has_bias ? packed : nullptr, e.has_scale ? packed + n : nullptr,
          e.has_shift ? packed + 2 * n : nullptr};
}

/// Values for a run: one for all lanes (step 0) or one per lane (step 1; readable in whole vectors
/// is not required, the last one is read masked).
template <class T, bool kPerLane>
SWATH_ALWAYS_INLINE Vec<T> value_at(const T* values, int64_t i, int64_t n) {
  if constexpr (kPerLane) {
    return i + kLanes<T> <= n ? load(values + i) : load_n(values + i, static_cast<int>(n - i));
  } else {
    return set1<T>(*values);
  }
}

/// One run of n sums at acc (room for whole vectors).
template <class T, class S>
struct Run {
  T* acc;
  int64_t n;
  S* y;
  int64_t y_stride;
  const S* residual;
  int64_t residual_stride;
  ChannelValues<T> values;  // at the run's first channel
  const T* ratio;           // partial padding: one factor per element of the run, or null
  T outer_ratio;            // and one for all of it
};

template <class T, class S>
SWATH_ALWAYS_INLINE void add_residual(const Run<T, S>& r) {
  if (r.residual_stride == 1) {
    int64_t i = 0;
    for (; i + kLanes<T> <= r.n; i += kLanes<T>) {
      store(r.acc + i, load(r.acc + i) + load_as<T>(r.residual + i));
    }
    if (i < r.n) {
      const int rest = static_cast<int>(r.n - i);
      store(r.acc + i, load(r.acc + i) + load_as_n<T>(r.residual + i, rest));
    }
    return;
  }
  for (int64_t i = 0; i < r.n; ++i) r.acc[i] += to_acc(r.residual[i * r.residual_stride]);
}

template <class T, class S>
SWATH_ALWAYS_INLINE void write_run(const Run<T, S>& r) {
  if (r.y_stride == 1) {
    int64_t i = 0;
    for (; i + kLanes<T> <= r.n; i += kLanes<T>) store_as(r.y + i, load(r.acc + i));
    if (i < r.n) store_as_n(r.y + i, load(r.acc + i), static_cast<int>(r.n - i));
    return;
  }
  for (int64_t i = 0; i < r.n; ++i) r.y[i * r.y_stride] = from_acc<S>(r.acc[i]);
}

/// y = y ratio + bias; where no tap was inside (ratio 0) neither the sum nor the bias counts.
template <class T, bool kPerLane, class S>
SWATH_ALWAYS_INLINE void apply_ratio(const Run<T, S>& r) {
  for (int64_t i = 0; i < r.n; i += kLanes<T>) {
    Vec<T> ratio = set1<T>(r.outer_ratio);
    if (r.ratio != nullptr) ratio = ratio * value_at<T, true>(r.ratio, i, r.n);
    Vec<T> v = load(r.acc + i) * ratio;
    if (r.values.bias != nullptr) v = v + value_at<T, kPerLane>(r.values.bias, i, r.n);
    store(r.acc + i, select(ratio == zero<T>(), zero<T>(), v));
  }
}

template <class T, bool kPerLane, class S>
SWATH_ALWAYS_INLINE void apply_values(const Run<T, S>& r, bool has_ratio) {
  const T* bias = has_ratio ? nullptr : r.values.bias;
  if (bias == nullptr && r.values.scale == nullptr && r.values.shift == nullptr) return;
  for (int64_t i = 0; i < r.n; i += kLanes<T>) {
    Vec<T> v = load(r.acc + i);
    if (bias != nullptr) v = v + value_at<T, kPerLane>(bias, i, r.n);
    if (r.values.scale != nullptr) v = v * value_at<T, kPerLane>(r.values.scale, i, r.n);
    if (r.values.shift != nullptr) v = v + value_at<T, kPerLane>(r.values.shift, i, r.n);
    store(r.acc + i, v);
  }
}

template <bool kPerLane, class T, class S>
SWATH_ALWAYS_INLINE void finish_run(const ConvProblem& p, const Run<T, S>& r) {
  const ConvEpilogue& e = p.epilogue;
  const bool has_ratio = p.padding_mode == PaddingMode::partial;
  if (has_ratio) apply_ratio<T, kPerLane>(r);
  apply_values<T, kPerLane>(r, has_ratio);
  if (e.has_residual && e.residual_first) add_residual(r);
  activate(r.acc, r.n, e.activation, e.activation_value);
  if (e.has_residual && !e.residual_first) add_residual(r);
  write_run(r);
}

/// Partial padding's factor of one axis at output i: taps / taps inside, 0 if none is.
template <class T>
SWATH_ALWAYS_INLINE T axis_ratio(const ConvAxis& a, int64_t i) {
  const int64_t inside = taps_inside(a, i);
  return inside == 0 ? T{0} : static_cast<T>(a.kernel) / static_cast<T>(inside);
}

/// Whether a tile can write y itself: at most a bias and a clamp follow the sum.
struct TileFinish {
  bool is_direct;  // no run in scratch is needed
  bool has_clamp;
  double low, high;
};

template <class T, class S>
SWATH_ALWAYS_INLINE TileFinish tile_finish(const ConvProblem& p) {
  const ConvEpilogue& e = p.epilogue;
  const bool is_clamp = e.activation == Activation::relu || e.activation == Activation::relu6;
  const bool is_simple = sizeof(T) == sizeof(S) && p.padding_mode != PaddingMode::partial &&
                         !e.has_scale && !e.has_shift && !e.has_residual &&
                         (is_clamp || e.activation == Activation::none);
  const double high = e.activation == Activation::relu6 ? 6.0 : __builtin_huge_val();
  return {is_simple, is_clamp, 0.0, high};
}

}  // namespace
}  // namespace swath::SWATH_ISA
