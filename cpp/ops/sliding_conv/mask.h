// Masked convolutions: which outputs count, and what staging multiplies x with. The planes of
// ConvMask come from an earlier step (ops/partial_conv).
#pragma once

#include "ops/sliding_conv/kernel_math.h"

namespace swath::SWATH_ISA {
namespace {

template <class T>
inline constexpr DType kAccumulatorDType = sizeof(T) == 4 ? DType::f32 : DType::f64;

/// Index of a row of outputs in the planes of ConvMask.
SWATH_ALWAYS_INLINE int64_t mask_row(const ConvProblem& p, int64_t n, int64_t od, int64_t oy) {
  return ((p.mask.is_shared ? 0 : n) * p.axis[0].out + od) * p.axis[1].out + oy;
}

/// Row of a plane of factors, at column 0.
template <class T>
SWATH_ALWAYS_INLINE const T* factor_row(const ConvProblem& p, const Buffers& b,
                                        const ArrayRef& plane, int64_t row) {
  return static_cast<const T*>(b.read(plane)) + row * p.axis[2].out;
}

/// Rows of span flags that one tile covers: the tile runs where any of them is set. first null: no
/// mask, everything counts.
struct ActiveRows {
  const uint8_t* first;
  int64_t step;
  int64_t n;
};

SWATH_ALWAYS_INLINE ActiveRows active_rows(const ConvProblem& p, const Buffers& b, int64_t n,
                                           int64_t od, int64_t oy, int64_t n_rows,
                                           int64_t spacing) {
  if (!p.mask.has_flags) return {nullptr, 0, 0};
  const int64_t pitch = ceil_div(p.axis[2].out, kActiveSpan);
  return {static_cast<const uint8_t*>(b.read(p.mask.active)) + mask_row(p, n, od, oy) * pitch,
          spacing * pitch, n_rows};
}

SWATH_ALWAYS_INLINE bool is_active(const ActiveRows& rows, int64_t span) {
  uint8_t any = 0;
  for (int64_t i = 0; i < rows.n; ++i) any |= rows.first[i * rows.step + span];
  return any != 0;
}

/// f(begin, end, is_active) for the runs of columns of [begin, end) that are alike.
template <class F>
SWATH_ALWAYS_INLINE void for_each_run(const ActiveRows& rows, int64_t begin, int64_t end,
                                      const F& f) {
  if (rows.first == nullptr) return f(begin, end, true);
  while (begin < end) {
    int64_t span = begin / kActiveSpan;
    const bool active = is_active(rows, span);
    int64_t stop = begin;
    do {
      stop = min_of((span + 1) * kActiveSpan, end);
      ++span;
    } while (stop < end && is_active(rows, span) == active);
    f(begin, stop, active);
    begin = stop;
  }
}

/// Whether any output of these rows and columns counts.
SWATH_ALWAYS_INLINE bool has_active(const ActiveRows& rows, int64_t begin, int64_t end) {
  if (rows.first == nullptr) return true;
  bool any = false;
  for_each_run(rows, begin, end, [&](int64_t, int64_t, bool active) { any |= active; });
  return any;
}

/// M of one sample, at index (0, 0, 0) of the first channel that is staged.
template <class T>
struct MaskSource {
  const char* values;  // null: no mask
  T* line;             // scratch for converted values
};

SWATH_ALWAYS_INLINE int64_t mask_item_bytes(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 8;
    case DType::f32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    default:
      return 1;
  }
}

template <class T>
SWATH_ALWAYS_INLINE MaskSource<T> mask_source(const ConvProblem& p, const Buffers& b, int64_t n,
                                              int64_t channel, T* line) {
  if (!p.mask.has_values) return {nullptr, line};
  const int64_t at = p.mask.offset + n * p.mask.batch_stride + channel * p.mask.channel_stride;
  return {static_cast<const char*>(b.read(p.mask.values)) + at * mask_item_bytes(p.mask.dtype),
          line};
}

template <class T, class M>
SWATH_ALWAYS_INLINE void convert_mask(const char* from, int64_t stride, T* to, int64_t n) {
  const M* values = reinterpret_cast<const M*>(from);
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (sizeof(M) == 1) {
      to[i] = values[i * stride] != 0 ? T{1} : T{0};
    } else {
      to[i] = static_cast<T>(to_acc(values[i * stride]));
    }
  }
}

/// n values of M from element `at` on, `stride` apart: in place if they are consecutive and of the
/// accumulator's type, else converted into the source's line.
template <class T>
__attribute__((noinline)) const T* mask_values(const ConvProblem& p, const MaskSource<T>& m,
                                               int64_t at, int64_t stride, int64_t n) {
  const char* from = m.values + at * mask_item_bytes(p.mask.dtype);
  switch (p.mask.dtype) {
    case DType::f64:
      if (sizeof(T) == 8 && stride == 1) return reinterpret_cast<const T*>(from);
      convert_mask<T, double>(from, stride, m.line, n);
      break;
    case DType::f32:
      if (sizeof(T) == 4 && stride == 1) return reinterpret_cast<const T*>(from);
      convert_mask<T, float>(from, stride, m.line, n);
      break;
    case DType::f16:
      convert_mask<T, f16>(from, stride, m.line, n);
      break;
    case DType::bf16:
      convert_mask<T, bf16>(from, stride, m.line, n);
      break;
    default:
      convert_mask<T, uint8_t>(from, stride, m.line, n);
  }
  return m.line;
}

/// m x where m is not 0, else 0: what lies under a hole may be NaN.
template <class V>
SWATH_ALWAYS_INLINE V masked(V m, V x) {
  const V zeros{};
  return select(m == zeros, zeros, x * m);
}

/// In place.
template <class T>
SWATH_ALWAYS_INLINE void apply_mask(const T* m, T* to, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
    store(to + i, masked(load(m + i), load(to + i)));
  }
  if (i == n) return;
  const int rest = static_cast<int>(n - i);
  store_n(to + i, masked(load_n(m + i, rest), load_n(to + i, rest)), rest);
}

}  // namespace
}  // namespace swath::SWATH_ISA
