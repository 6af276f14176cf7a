// What the two kernels with lanes along channels share: how the work is cut, and staged boxes.
// x is read in place wherever its channels are consecutive: rows that fall into the padding are
// left out of the list of tap rows (or mapped to the row that they mirror), and only the columns at
// the left and right border are staged.
#pragma once

#include "ops/sliding_conv/chunks.h"
#include "ops/sliding_conv/lanes_cost.h"
#include "ops/sliding_conv/stage.h"
#include "ops/sliding_conv/tiles_channels.h"

namespace swath::SWATH_ISA {
namespace {

/// Consecutive lanes of one group (dense) or of all channels (depthwise) that one tile covers.
struct LaneBlock {
  int64_t group, first, n;  // first output channel within the group
  int n_vectors;
};

/// n lanes in balanced blocks of at most `most` vectors.
template <class T>
SWATH_ALWAYS_INLINE LaneBlock lane_block(int64_t n, int most, int64_t index) {
  const int64_t vectors = ceil_div(n, kLanes<T>);
  const int64_t blocks = ceil_div(vectors, most);
  const int64_t v0 = vectors * index / blocks, v1 = vectors * (index + 1) / blocks;
  return {0, v0 * kLanes<T>, min_of(v1 * kLanes<T>, n) - v0 * kLanes<T>, static_cast<int>(v1 - v0)};
}
template <class T>
SWATH_ALWAYS_INLINE int64_t n_lane_blocks(int64_t n, int most) {
  return ceil_div(ceil_div(n, kLanes<T>), most);
}

/// Lane blocks [begin, end): one task's share.
struct LaneTasks {
  int64_t begin, end;
};

/// Channels of x in a staged box: lane l of the box holds channel (first + l) / multiplier.
struct ChannelRange {
  int64_t first, n, multiplier;
};

/// Rows [oy, oy + n_rows) and columns [ox, ox + n_cols) of the output.
struct ColumnBlock {
  int64_t n, od, oy, n_rows, ox, n_cols;
};

/// Columns [low, high) see no padding.
struct Interior {
  int64_t low, high;
};
SWATH_ALWAYS_INLINE Interior interior_columns(const ConvAxis& w) {
  const int64_t reach = (w.kernel - 1) * w.dilation;
  const int64_t low = w.pad > 0 ? min_of(ceil_div(w.pad, w.stride), w.out) : 0;
  const int64_t last = w.in - 1 - reach + w.pad;  // of first_input() + pad
  const int64_t high = last < 0 ? 0 : min_of(last / w.stride + 1, w.out);
  return {low, max_of(high, low)};
}

/// How a problem is cut: bands of rows, blocks of columns, shares of the lane blocks.
struct ChannelSchedule {
  bool reads_x;  // x is read in place away from the borders
  int64_t rows, n_y;
  int64_t cols, n_x;
  int64_t n_parts;      // the lane blocks are shared by this many tasks
  int64_t staged_cols;  // output columns of the largest staged box
  int64_t staged;       // its elements
  int64_t mask_line;    // values of a mask that may have to be converted at once
};

/// x that one block of columns reads in place: all lanes of it before the next block, since a
/// signal of many channels has a page per position or two, which every lane block would visit anew.
inline constexpr int64_t kBandBytes = 64 * 1024;
inline constexpr int64_t kStagedBytes = 160 * 1024;

template <class T, class S, class Kernel>
SWATH_ALWAYS_INLINE ChannelSchedule make_channel_schedule(const ConvProblem& p) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  const int64_t n_lanes = Kernel::template n_lane_tasks<T>(p);
  ChannelSchedule s;
  s.reads_x = !p.mask.has_values && sizeof(T) == sizeof(S) && p.x_channel_stride == 1 &&
              !Kernel::maps_channels(p);
  s.rows = min_of(h.out, 8);
  s.cols = s.staged_cols = w.out;
  if (s.reads_x) {
    const Interior in = interior_columns(w);
    s.staged_cols = max_of(max_of(in.low, w.out - in.high), 1);
    const int64_t pixel = (w.x_stride < 0 ? -w.x_stride : w.x_stride) * int64_t{sizeof(T)};
    const int64_t fit = kBandBytes / max_of(inputs_seen(h, s.rows) * w.stride * pixel, 1);
    s.cols = min_of(w.out, max_of(fit / 8 * 8, 8));
  }
  const auto box = [&] {
    return d.kernel * inputs_seen(h, s.rows) * inputs_seen(w, s.staged_cols) *
           Kernel::template widest_pitch<T>(p, ceil_div(n_lanes, s.n_parts));
  };
  const auto is_large = [&] { return box() * int64_t{sizeof(T)} > kStagedBytes; };
  s.n_parts = 1;
  while (Kernel::kPartsShrinkBox && is_large() && s.n_parts < n_lanes) ++s.n_parts;
  while (!s.reads_x && is_large() && s.staged_cols > 12) s.cols = s.staged_cols = (s.cols + 1) / 2;
  while (is_large() && s.rows > 1) s.rows = (s.rows + 1) / 2;
  s.n_y = ceil_div(h.out, s.rows);
  s.n_x = ceil_div(w.out, s.cols);
  // Small images would give too few tasks to share.
  s.n_parts = min_of(n_lanes, max_of(s.n_parts, 16 / max_of(d.out * s.n_y * s.n_x, 1)));
  s.staged = box() + 4 * kLanes<T>;
  s.mask_line = 0;
  if (p.mask.has_values) {
    s.mask_line = max_of(inputs_seen(w, s.staged_cols), p.n_groups * p.in_per_group);
  }
  return s;
}

/// A staged box: [plane][row][column][channel], `pitch` channels per pixel.
struct BoxLayout {
  int64_t pitch, row_pitch, plane_pitch;
};

/// Where a row of x and of its mask is; columns [low, high) of the box lie inside.
template <class T, class S>
struct BoxRow {
  const S* x;
  const MaskSource<T>& mask;
  int64_t mask_at;
  int64_t low, high;
};

/// One row of a staged box whose channels lie apart in x: columns are consecutive there, so each
/// channel's line is read once and spread over the pixels.
template <class T, class S>
SWATH_ALWAYS_INLINE void spread_row(const ConvProblem& p, const BoxRow<T, S>& row,
                                    const ChannelRange& channels, const InputBox& box,
                                    int64_t pitch, T* to) {
  const ConvAxis& w = p.axis[2];
  for (int64_t l = 0; l < channels.n; ++l) {
    const int64_t channel = (channels.first + l) / channels.multiplier;
    const S* line = row.x + channel * p.x_channel_stride;
    T* lane = to + l;
    const S* inside = line + (box.first[2] + row.low) * w.x_stride;
    for (int64_t j = row.low; j < row.high; ++j, inside += w.x_stride) {
      lane[j * pitch] = to_acc(*inside);
    }
    for (int64_t j = 0; j < row.low; ++j) {
      const int64_t c = padded_index(box.first[2] + j, w.in, p.padding_mode);
      lane[j * pitch] = c < 0 ? T{0} : to_acc(line[c * w.x_stride]);
    }
    for (int64_t j = row.high; j < box.n[2]; ++j) {
      const int64_t c = padded_index(box.first[2] + j, w.in, p.padding_mode);
      lane[j * pitch] = c < 0 ? T{0} : to_acc(line[c * w.x_stride]);
    }
    if (row.mask.values == nullptr || row.high == row.low) continue;
    const int64_t at =
        row.mask_at + channel * p.mask.channel_stride + (box.first[2] + row.low) * w.mask_stride;
    const T* m = mask_values(p, row.mask, at, w.mask_stride, row.high - row.low);
    for (int64_t j = row.low; j < row.high; ++j) {
      T& v = lane[j * pitch];
      v = m[j - row.low] == 0 ? T{0} : v * m[j - row.low];
    }
  }
}

/// The same for consecutive channels: pixel by pixel.
template <class T, class S>
SWATH_ALWAYS_INLINE void copy_row(const ConvProblem& p, const BoxRow<T, S>& row,
                                  const ChannelRange& channels, const InputBox& box, int64_t pitch,
                                  T* to) {
  const ConvAxis& w = p.axis[2];
  for (int64_t j = 0; j < box.n[2]; ++j) {
    const int64_t c = padded_index(box.first[2] + j, w.in, p.padding_mode);
    T* pixel = to + j * pitch;
    if (c < 0) {
      fill_zero(pixel, pitch);
    } else {
      copy_strided(row.x + c * w.x_stride + channels.first, 1, pixel, channels.n);
      fill_zero(pixel + channels.n, pitch - channels.n);
    }
  }
}

/// Applies the mask to the pixels of a row that copy_row has staged.
template <class T, class S>
__attribute__((noinline)) void mask_pixels(const ConvProblem& p, const BoxRow<T, S>& row,
                                           const ChannelRange& channels, const InputBox& box,
                                           int64_t pitch, T* to) {
  const ConvAxis& w = p.axis[2];
  const int64_t at = row.mask_at + (box.first[2] + row.low) * w.mask_stride;
  T* pixel = to + row.low * pitch;
  if (p.mask.channel_stride != 0) {
    for (int64_t j = row.low; j < row.high; ++j, pixel += pitch) {
      const int64_t pixel_at =
          at + (j - row.low) * w.mask_stride + channels.first * p.mask.channel_stride;
      apply_mask(mask_values(p, row.mask, pixel_at, p.mask.channel_stride, channels.n), pixel,
                 channels.n);
    }
    return;
  }
  const T* m = mask_values(p, row.mask, at, w.mask_stride, row.high - row.low);
  for (int64_t j = row.low; j < row.high; ++j, pixel += pitch) {
    const T value = m[j - row.low];
    if (value == 0) {
      fill_zero(pixel, channels.n);
    } else if (value != 1) {
      for (int64_t l = 0; l < channels.n; ++l) pixel[l] *= value;
    }
  }
}

/// Stages a box of `channels` from x (pointing at channel 0).
template <class T, class S>
__attribute__((noinline)) void stage_box(const ConvProblem& p, const S* x,
                                         const MaskSource<T>& mask, const ChannelRange& channels,
                                         const InputBox& box, const BoxLayout& layout, T* to) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  const bool is_consecutive = p.x_channel_stride == 1 && channels.multiplier == 1;
  const int64_t low = min_of(max_of(-box.first[2], 0), box.n[2]);
  const int64_t high = max_of(min_of(w.in - box.first[2], box.n[2]), low);
  if (!is_consecutive && layout.pitch > channels.n) fill_zero(to, d.kernel * layout.plane_pitch);
  for (int64_t k = 0; k < d.kernel; ++k) {
    const int64_t z = padded_index(box.first[0] + k * d.dilation, d.in, p.padding_mode);
    for (int64_t i = 0; i < box.n[1]; ++i) {
      const int64_t y = padded_index(box.first[1] + i, h.in, p.padding_mode);
      T* row = to + k * layout.plane_pitch + i * layout.row_pitch;
      if (z < 0 || y < 0) {
        fill_zero(row, layout.row_pitch);
        continue;
      }
      const BoxRow<T, S> from{x + z * d.x_stride + y * h.x_stride, mask,
                              z * d.mask_stride + y * h.mask_stride, low, high};
      if (is_consecutive) {
        copy_row(p, from, channels, box, layout.pitch, row);
        if (mask.values != nullptr && high > low) {
          mask_pixels(p, from, channels, box, layout.pitch, row);
        }
      } else {
        spread_row(p, from, channels, box, layout.pitch, row);
      }
    }
  }
}

/// The tap rows that one output row sees, in order: where they are in x, and their index in w.
struct RowList {
  int64_t* offset;
  int64_t* index;
  int64_t* begin;  // per chunk of taps; one more at the end
};

/// Fills the list by offset_of(kd, ky), which says kSkip for rows that do not count.
inline constexpr int64_t kSkip = INT64_MIN;

template <class F>
SWATH_ALWAYS_INLINE void list_rows(const ConvProblem& p, const ChunkPlan& chunks,
                                   const RowList& list, const F& offset_of) {
  const int64_t n_chunks = n_tap_chunks(chunks);
  int64_t n = 0;
  for (int64_t i = 0; i < n_chunks; ++i) {
    Chunk k{0, 0, {0, 0, 0}, {p.axis[0].kernel, p.axis[1].kernel, 0}, false, false};
    if (n_chunks > 1) k = chunk_at(p, chunks, i);
    list.begin[i] = n;
    for (int64_t kd = k.t0[0]; kd < k.t1[0]; ++kd) {
      for (int64_t ky = k.t0[1]; ky < k.t1[1]; ++ky) {
        list.offset[n] = offset_of(kd, ky);
        list.index[n] = kd * p.axis[1].kernel + ky;
        n += list.offset[n] != kSkip;
      }
    }
  }
  list.begin[n_chunks] = n;
}

}  // namespace
}  // namespace swath::SWATH_ISA
