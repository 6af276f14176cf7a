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

/// The half of a gated problem that makes the gates.
SWATH_ALWAYS_INLINE ConvProblem gate_half(const ConvProblem& p) {
  ConvProblem gate = p;
  const int64_t n = p.epilogue.gate_channels;
  gate.w_offset += n * p.w_out_stride;
  gate.epilogue.bias_offset += n * p.epilogue.bias_stride;
  gate.epilogue.scale_offset += n * p.epilogue.scale_stride;
  gate.epilogue.shift_offset += n * p.epilogue.shift_stride;
  return gate;
}
SWATH_ALWAYS_INLINE int64_t n_halves(const ConvProblem& p) { return p.epilogue.has_gate ? 2 : 1; }

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

/// The values from output channel `channel` on.
template <class T>
SWATH_ALWAYS_INLINE ChannelValues<T> values_from(const ConvProblem& p, const T* packed,
                                                 int64_t channel) {
  ChannelValues<T> v = channel_values(p, packed);
  if (v.bias != nullptr) v.bias += channel;
  if (v.scale != nullptr) v.scale += channel;
  if (v.shift != nullptr) v.shift += channel;
  return v;
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

/// Sums of a run, and those of its gates or null.
template <class T>
struct RunSums {
  T* acc;
  T* gate;
};

/// One run of n sums at acc (room for whole vectors).
template <class T, class S>
struct Run {
  T* acc;
  int64_t n;
  S* y;
  int64_t y_stride;
  const S* residual;
  int64_t residual_stride;
  ChannelValues<T> values;   // at the run's first channel
  const T* ratio = nullptr;  // factor of the sum per element of the run, or null
  T outer_ratio{1};          // and one for all of it
  const T* keep = nullptr;   // factor of sum + bias per element, or null
  T outer_keep{1};
  T* gate = nullptr;  // the second sums, room for whole vectors
  ChannelValues<T> gate_values{};
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

SWATH_ALWAYS_INLINE bool has_factors(const ConvProblem& p) {
  return p.mask.has_ratio || p.mask.has_keep;
}

/// acc = (acc ratio + bias) keep. Where no tap was inside or valid (ratio 0) neither the sum nor
/// the bias counts; where the mask drops the output (keep 0) not even a NaN does.
template <class T, bool kPerLane, class S>
SWATH_ALWAYS_INLINE void apply_factors(const ConvProblem& p, const Run<T, S>& r, T* acc,
                                       const T* bias) {
  const bool is_scaled = p.mask.has_ratio;
  for (int64_t i = 0; i < r.n; i += kLanes<T>) {
    Vec<T> v = load(acc + i), ratio = set1<T>(r.outer_ratio);
    if (r.ratio != nullptr) ratio = ratio * value_at<T, true>(r.ratio, i, r.n);
    if (is_scaled) v = v * ratio;
    if (bias != nullptr) v = v + value_at<T, kPerLane>(bias, i, r.n);
    if (is_scaled) v = select(ratio == zero<T>(), zero<T>(), v);
    if (p.mask.has_keep) {
      Vec<T> keep = set1<T>(r.outer_keep);
      if (r.keep != nullptr) keep = value_at<T, true>(r.keep, i, r.n);
      v = select(keep == zero<T>(), zero<T>(), v * keep);
    }
    store(acc + i, v);
  }
}

template <class T, bool kPerLane, class S>
SWATH_ALWAYS_INLINE void apply_values(const Run<T, S>& r, T* acc, const T* bias,
                                      const ChannelValues<T>& values) {
  if (bias == nullptr && values.scale == nullptr && values.shift == nullptr) return;
  for (int64_t i = 0; i < r.n; i += kLanes<T>) {
    Vec<T> v = load(acc + i);
    if (bias != nullptr) v = v + value_at<T, kPerLane>(bias, i, r.n);
    if (values.scale != nullptr) v = v * value_at<T, kPerLane>(values.scale, i, r.n);
    if (values.shift != nullptr) v = v + value_at<T, kPerLane>(values.shift, i, r.n);
    store(acc + i, v);
  }
}

/// From sums to the activation's argument.
template <bool kPerLane, class T, class S>
SWATH_ALWAYS_INLINE void apply_channel_values(const ConvProblem& p, const Run<T, S>& r, T* acc,
                                              const ChannelValues<T>& values) {
  const bool by_position = has_factors(p);
  if (by_position) apply_factors<T, kPerLane>(p, r, acc, values.bias);
  apply_values<T, kPerLane>(r, acc, by_position ? nullptr : values.bias, values);
}

template <class T, class S>
SWATH_ALWAYS_INLINE void multiply_gate(const ConvProblem& p, const Run<T, S>& r) {
  activate(r.gate, r.n, p.epilogue.gate, p.epilogue.gate_value);
  for (int64_t i = 0; i < r.n; i += kLanes<T>) {
    store(r.acc + i, load(r.acc + i) * load(r.gate + i));
  }
}

template <bool kPerLane, class T, class S>
SWATH_ALWAYS_INLINE void finish_run(const ConvProblem& p, const Run<T, S>& r) {
  const ConvEpilogue& e = p.epilogue;
  apply_channel_values<kPerLane>(p, r, r.acc, r.values);
  if (e.has_residual && e.residual_first) add_residual(r);
  activate(r.acc, r.n, e.activation, e.activation_value);
  if (e.has_gate) {
    apply_channel_values<kPerLane>(p, r, r.gate, r.gate_values);
    multiply_gate(p, r);
  }
  if (e.has_residual && !e.residual_first) add_residual(r);
  write_run(r);
}

/// What masked outputs that are not computed hold.
template <class T, class S>
SWATH_ALWAYS_INLINE S skipped_value(const ConvProblem& p) {
  T value[kLanes<T>] = {};
  activate(value, 1, p.epilogue.activation, p.epilogue.activation_value);
  return from_acc<S>(value[0]);
}

/// Whether a tile can write y itself: at most a bias, factors of a mask and a clamp follow the sum.
struct TileFinish {
  bool is_direct;  // no run in scratch is needed
  bool has_clamp;
  double low, high;
};

template <class T, class S>
SWATH_ALWAYS_INLINE TileFinish tile_finish(const ConvProblem& p) {
  const ConvEpilogue& e = p.epilogue;
  const bool is_clamp = e.activation == Activation::relu || e.activation == Activation::relu6;
  const bool is_simple = sizeof(T) == sizeof(S) && !e.has_gate && !e.has_scale && !e.has_shift &&
                         !e.has_residual && (is_clamp || e.activation == Activation::none);
  const double high = e.activation == Activation::relu6 ? 6.0 : __builtin_huge_val();
  return {is_simple, is_clamp, 0.0, high};
}

}  // namespace
}  // namespace swath::SWATH_ISA
