// Staging: a box of the input in scratch, in the accumulator's type, with the padding filled in. It
// is the only code that knows padding modes, storage types and odd strides; the tiles see plain
// memory.
#pragma once

#include "ops/sliding_conv/mask.h"
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
  return static_cast<const S*>(b.read(p.x));
}

/// to[i] = from[i stride] for i in [0, n).
template <class T, class S>
SWATH_ALWAYS_INLINE void copy_strided(const S* from, int64_t stride, T* to, int64_t n) {
  int64_t i = 0;
  if (stride == 1) {
    for (; i + kLanes<T> <= n; i += kLanes<T>) store(to + i, load_as<T>(from + i));
    if (i < n)
      store_n(to + i, load_as_n<T>(from + i, static_cast<int>(n - i)), static_cast<int>(n - i));
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

/// Positions first, first + step, ... (n of them) of a line: [low, high) lie inside the image.
struct LineCut {
  int64_t first, step, n, low, high;
};

SWATH_ALWAYS_INLINE LineCut cut_line(const ConvAxis& a, int64_t first, int64_t step, int64_t n) {
  const int64_t low = first < 0 ? (-first + step - 1) / step : 0;
  const int64_t high = a.in > first ? (a.in - first + step - 1) / step : 0;
  LineCut cut{first, step, n, low < n ? low : n, high < n ? high : n};
  if (cut.high < cut.low) cut.high = cut.low;
  return cut;
}

/// Padding is a few elements per line: a loop, not a call of memset.
template <class T>
SWATH_ALWAYS_INLINE void fill_zero_short(T* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = T{0};
}

/// One line of the image; `line` points at its index 0, `mask_at` is where M's line starts.
template <class T, class S>
SWATH_ALWAYS_INLINE void stage_line(const ConvProblem& p, const S* line, const MaskSource<T>& mask,
                                    int64_t mask_at, const LineCut& cut, T* to) {
  const ConvAxis& a = p.axis[2];
  if (p.padding_mode == PaddingMode::zeros) {
    fill_zero_short(to, cut.low);
    fill_zero_short(to + cut.high, cut.n - cut.high);
  } else {
    const auto pad = [&](int64_t i) {
      const int64_t at = padded_index(cut.first + i * cut.step, a.in, p.padding_mode);
      to[i] = to_acc(line[at * a.x_stride]);
    };
    for (int64_t i = 0; i < cut.low; ++i) pad(i);
    for (int64_t i = cut.high; i < cut.n; ++i) pad(i);
  }
  copy_strided(line + (cut.first + cut.low * cut.step) * a.x_stride, cut.step * a.x_stride,
               to + cut.low, cut.high - cut.low);
  if (mask.values == nullptr || cut.high == cut.low) return;
  const int64_t n = cut.high - cut.low;
  const int64_t at = mask_at + (cut.first + cut.low * cut.step) * a.mask_stride;
  apply_mask(mask_values(p, mask, at, cut.step * a.mask_stride, n), to + cut.low, n);
}

/// How a staged block of rows lies in memory: [channel][plane][column phase][row
/// phase][row][column]. Columns and rows are split by their residue modulo the stride, so that
/// every tap reads consecutive elements, also from one row into the next.
struct RowsLayout {
  int64_t col_phases, row_phases;
  int64_t row_pitch, row_phase_pitch, col_phase_pitch, plane_pitch, channel_pitch;

  static int64_t split(int64_t i, int64_t n, int64_t phase_pitch, int64_t pitch) {
    return n == 1 ? i * pitch : i % n * phase_pitch + i / n * pitch;  // a division costs 15 cycles
  }
  int64_t row(int64_t i) const { return split(i, row_phases, row_phase_pitch, row_pitch); }
  int64_t col(int64_t i) const { return split(i, col_phases, col_phase_pitch, 1); }
};

/// Whether M is a plane that an earlier step wrote: its rows may be read in whole vectors.
template <class T>
SWATH_ALWAYS_INLINE bool has_mask_plane(const ConvProblem& p) {
  return p.mask.values.space == ArrayRef::Space::temp && p.axis[2].mask_stride == 1;
}

/// Whether lines can be copied in whole vectors: what is stored beyond a line is overwritten by the
/// next one, what is read beyond the last one must still belong to x.
template <class T, class S>
SWATH_ALWAYS_INLINE bool copies_whole_vectors(const ConvProblem& p, const S* last_line,
                                              const S* x_end, const RowsLayout& layout,
                                              const LineCut& cut) {
  return layout.col_phases == 1 && layout.row_phases == 1 && p.axis[2].x_stride == 1 &&
         p.padding_mode == PaddingMode::zeros && (!p.mask.has_values || has_mask_plane<T>(p)) &&
         last_line + cut.first + cut.high + kLanes<T> <= x_end;
}

/// The lines of one plane whose rows [first, first + n) lie in [0, h.in) or are zero; `mask`, if
/// not null, is the plane of M.
template <class T, class S>
SWATH_ALWAYS_INLINE void stage_plane(const ConvAxis& h, const S* image, const T* mask,
                                     int64_t first, int64_t n, const LineCut& cut, int64_t pitch,
                                     T* to) {
  for (int64_t i = 0; i < n; ++i, to += pitch) {
    if (first + i < 0 || first + i >= h.in) {
      fill_zero_short(to, pitch);
      continue;
    }
    const S* from = image + (first + i) * h.x_stride + cut.first + cut.low;
    fill_zero_short(to, cut.low);
    if (mask == nullptr) {
      for (int64_t j = 0; j < cut.high - cut.low; j += kLanes<T>)
        store(to + cut.low + j, load_as<T>(from + j));
    } else {
      const T* m = mask + (first + i) * h.mask_stride + cut.first + cut.low;
      for (int64_t j = 0; j < cut.high - cut.low; j += kLanes<T>)
        store(to + cut.low + j, masked(load(m + j), load_as<T>(from + j)));
    }
    fill_zero_short(to + cut.high, pitch - cut.high);
  }
}

/// Stages n_channels channels from `x` (pointing at index (0, 0, 0) of the first channel). Only the
/// planes that taps touch are staged: plane k is index first[0] + k dilation. A vector beyond the
/// block may be overwritten.
template <class T, class S>
__attribute__((noinline)) void stage_rows(const ConvProblem& p, const S* x, const S* x_end,
                                          const MaskSource<T>& mask, int64_t n_channels,
                                          const InputBox& box, const RowsLayout& layout, T* to) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1];
  for (int64_t phase = 0; phase < layout.col_phases; ++phase) {
    const int64_t n_cols = (box.n[2] - phase + layout.col_phases - 1) / layout.col_phases;
    const LineCut cut = cut_line(p.axis[2], box.first[2] + phase, layout.col_phases, n_cols);
    for (int64_t c = 0; c < n_channels; ++c) {
      for (int64_t k = 0; k < d.kernel; ++k) {
        const int64_t z = padded_index(box.first[0] + k * d.dilation, d.in, p.padding_mode);
        T* plane =
            to + phase * layout.col_phase_pitch + c * layout.channel_pitch + k * layout.plane_pitch;
        const S* image = x + c * p.x_channel_stride + z * d.x_stride;
        const int64_t last = box.first[1] + box.n[1] < h.in ? box.first[1] + box.n[1] : h.in;
        if (z >= 0 &&
            copies_whole_vectors<T>(p, image + (last - 1) * h.x_stride, x_end, layout, cut)) {
          const T* m = mask.values == nullptr
                           ? nullptr
                           : reinterpret_cast<const T*>(mask.values) + z * d.mask_stride;
          stage_plane(h, image, m, box.first[1], box.n[1], cut, layout.row_pitch, plane);
          continue;
        }
        for (int64_t i = 0; i < box.n[1]; ++i) {
          const int64_t y = padded_index(box.first[1] + i, h.in, p.padding_mode);
          T* row = plane + (layout.row_phases == 1 ? i * layout.row_pitch : layout.row(i));
          if (z < 0 || y < 0) {
            fill_zero(row, layout.row_pitch);
          } else {
            const int64_t mask_at =
                c * p.mask.channel_stride + z * d.mask_stride + y * h.mask_stride;
            stage_line(p, image + y * h.x_stride, mask, mask_at, cut, row);
            fill_zero_short(row + n_cols, layout.row_pitch - n_cols);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
