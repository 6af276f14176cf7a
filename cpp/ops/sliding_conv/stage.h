// Staging: a box of the input in scratch, in the accumulator's type, with the padding filled in. It is
// the only code that knows padding modes, storage types and odd strides; the tiles see plain memory.
#pragma once

#include "ops/sliding_conv/problem.h"
#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

/// A half-open box of input indices, padding included: [first, first + n) per axis.
struct InputBox {
  int64_t first[3], n[3];
};

/// The input that outputs [at, at + n_out) of an axis see.
SWATH_ALWAYS_INLINE void set_box_axis(InputBox& box, const ConvAxis& a, int i, int64_t at,
                                      int64_t n_out) {
  box.first[i] = a.first_input(at);
  box.n[i] = (n_out - 1) * a.stride + (a.kernel - 1) * a.dilation + 1;
}

SWATH_ALWAYS_INLINE bool is_inside(const ConvProblem& p, const InputBox& box) {
  for (int i = 0; i < 3; ++i) {
    if (box.first[i] < 0 || box.first[i] + box.n[i] > p.axis[i].in) return false;
  }
  return true;
}

template <class S>
SWATH_ALWAYS_INLINE const S* x_base(const ConvProblem& p, const Buffers& b) {
  return static_cast<const S*>(p.x_is_temp ? b.temp : b.in[0]);
}

/// to[i] = from[i stride] for i in [0, n).
template <class T, class S>
SWATH_ALWAYS_INLINE void copy_strided(const S* from, int64_t stride, T* to, int64_t n) {
  int64_t i = 0;
  if (stride == 1) {
    for (; i + kLanes<T> <= n; i += kLanes<T>) store(to + i, load_as<T>(from + i));
    if (i < n) store_n(to + i, load_as_n<T>(from + i, static_cast<int>(n - i)), static_cast<int>(n - i));
    return;
  }
  if constexpr (sizeof(T) == sizeof(S)) {
    if (stride == 2) {
      for (; i + kLanes<T> <= n; i += kLanes<T>) {
        store(to + i, load_stride2(reinterpret_cast<const T*>(from) + 2 * i));
      }
    }
  }
  for (; i < n; ++i) to[i] = to_acc(from[i * stride]);
}

template <class T>
SWATH_ALWAYS_INLINE void fill_zero(T* to, int64_t n) {
  if (n > 0) __builtin_memset(to, 0, static_cast<size_t>(n) * sizeof(T));
}

/// Positions first, first + step, ... (n of them) of one image line; `line` points at index 0.
template <class T, class S>
SWATH_ALWAYS_INLINE void stage_line(const ConvProblem& p, const S* line, int64_t first, int64_t step,
                                    int64_t n, T* to) {
  const ConvAxis& a = p.axis[2];
  // Positions [low, high) lie inside the image.
  int64_t low = first < 0 ? (-first + step - 1) / step : 0;
  if (low > n) low = n;
  int64_t high = a.in > first ? (a.in - first + step - 1) / step : 0;
  if (high > n) high = n;
  if (high < low) high = low;
  const bool is_zero = p.padding_mode == PaddingMode::zeros || p.padding_mode == PaddingMode::partial;
  if (is_zero) {
    fill_zero(to, low);
    fill_zero(to + high, n - high);
  } else {
    for (int64_t i = 0; i < n; i = i + 1 == low ? high : i + 1) {
      if (i >= low && i < high) {
        i = high - 1;
        continue;
      }
      to[i] = to_acc(line[padded_index(first + i * step, a.in, p.padding_mode) * a.x_stride]);
    }
  }
  copy_strided(line + (first + low * step) * a.x_stride, step * a.x_stride, to + low, high - low);
}

/// How a staged block of rows lies in memory: [channel][plane][column phase][row phase][row][column].
/// Columns and rows are split by their residue modulo the stride, so that every tap reads
/// consecutive elements, also from one row into the next.
struct RowsLayout {
  int64_t col_phases, row_phases;
  int64_t row_pitch, row_phase_pitch, col_phase_pitch, plane_pitch, channel_pitch;

  static int64_t split(int64_t i, int64_t n, int64_t phase_pitch, int64_t pitch) {
    return i % n * phase_pitch + i / n * pitch;
  }
  int64_t row(int64_t i) const { return split(i, row_phases, row_phase_pitch, row_pitch);
  }
  int64_t col(int64_t i) const { return split(i, col_phases, col_phase_pitch, 1);
  }
};

/// Stages n_channels channels from `x` (pointing at index (0, 0, 0) of the first channel). Only the
/// planes that taps touch are staged: plane k is index first[0] + k dilation.
template <class T, class S>
__attribute__((noinline)) void stage_rows(const ConvProblem& p, const S* x, int64_t n_channels,
                                          const InputBox& box, const RowsLayout& layout, T* to) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1];
  const int64_t n_phases = layout.col_phases;
  for (int64_t c = 0; c < n_channels; ++c) {
    for (int64_t k = 0; k < d.kernel; ++k) {
      const int64_t z = padded_index(box.first[0] + k * d.dilation, d.in, p.padding_mode);
      T* plane = to + c * layout.channel_pitch + k * layout.plane_pitch;
      for (int64_t i = 0; i < box.n[1]; ++i) {
        const int64_t y = padded_index(box.first[1] + i, h.in, p.padding_mode);
        const S* line = x + c * p.x_channel_stride + z * d.x_stride + y * h.x_stride;
        for (int64_t phase = 0; phase < n_phases; ++phase) {
          T* row = plane + phase * layout.col_phase_pitch + layout.row(i);
          const int64_t n = (box.n[2] - phase + n_phases - 1) / n_phases;
          if (z < 0 || y < 0) {
            fill_zero(row, layout.row_pitch);
          } else {
            stage_line(p, line, box.first[2] + phase, n_phases, n, row);
            fill_zero(row + n, layout.row_pitch - n);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
