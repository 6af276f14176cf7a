// What the two kernels with lanes along channels share. x is read in place wherever its channels are
// consecutive: rows that fall into the padding are left out of the list of tap rows (or mapped to the
// row that they mirror), and only the columns at the left and right border are staged.
#pragma once

#include "ops/sliding_conv/chunks.h"
#include "ops/sliding_conv/finish.h"
#include "ops/sliding_conv/stage.h"
#include "ops/sliding_conv/tiles_channels.h"

namespace swath::SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }
SWATH_ALWAYS_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
SWATH_ALWAYS_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

/// Consecutive lanes of one group (dense) or of all channels (depthwise) that one tile covers.
struct LaneBlock {
  int64_t group, first, n;  // first output channel within the group
  int n_vectors;
};

/// Which channels of x a lane block stages: lane l holds channel (first + l) / multiplier.
struct ChannelRange {
  int64_t first, n, multiplier;
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

/// How a problem is cut: bands of rows, columns only where everything is staged.
struct ChannelSchedule {
  bool reads_x;      // x is read in place away from the borders
  int64_t rows, n_y;
  int64_t cols, n_x;
  int64_t staged_cols;  // output columns of the largest staged box
  int64_t staged;       // its elements
  int64_t n_parts;      // the lane blocks are shared by this many tasks
};

/// x that one band of rows reads in place.
inline constexpr int64_t kBandBytes = 256 * 1024;

/// `pitch`: channels of a staged pixel; `budget`: bytes that a staged box should stay below.
template <class T, class S>
SWATH_ALWAYS_INLINE ChannelSchedule make_channel_schedule(const ConvProblem& p, bool maps_channels,
                                                          int64_t pitch, int64_t budget) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  ChannelSchedule s;
  s.reads_x = sizeof(T) == sizeof(S) && p.x_channel_stride == 1 && !maps_channels;
  const int64_t pixel = d.kernel * pitch * int64_t{sizeof(T)};
  s.rows = min_of(h.out, 8);
  s.cols = w.out;
  if (s.reads_x) {
    const Interior in = interior_columns(w);
    s.staged_cols = max_of(max_of(in.low, w.out - in.high), 1);
    // All lanes of a block of columns before the next: a signal of many channels would otherwise
    // walk over a page per position for every lane block (measured: 4x slower).
    const int64_t band = (s.rows * h.stride + (h.kernel - 1) * h.dilation) * w.stride * int64_t{sizeof(T)} *
                         (w.x_stride < 0 ? -w.x_stride : w.x_stride);
    s.cols = min_of(w.out, max_of(kBandBytes / max_of(band, 1), 16));
  } else {
    const auto box_bytes = [&](int64_t rows, int64_t cols) {
      return pixel * ((rows - 1) * h.stride + (h.kernel - 1) * h.dilation + 1) *
             ((cols - 1) * w.stride + (w.kernel - 1) * w.dilation + 1);
    };
    while (s.rows > 1 && box_bytes(s.rows, s.cols) > budget) s.rows = (s.rows + 1) / 2;
    while (s.cols > 12 && box_bytes(s.rows, s.cols) > budget) s.cols = (s.cols + 1) / 2;
    s.staged_cols = s.cols;
  }
  s.n_y = ceil_div(h.out, s.rows);
  s.n_x = ceil_div(w.out, s.cols);
  const int64_t rows_in = (s.rows - 1) * h.stride + (h.kernel - 1) * h.dilation + 1;
  const int64_t cols_in = (s.staged_cols - 1) * w.stride + (w.kernel - 1) * w.dilation + 1;
  s.staged = d.kernel * pitch * rows_in * cols_in + 4 * kLanes<T>;
  return s;
}

/// A staged box: [plane][row][column][channel], `pitch` channels per pixel.
struct BoxLayout {
  int64_t pitch, row_pitch, plane_pitch;
};

/// One row of a staged box whose channels lie apart in x: columns are consecutive there, so each
/// channel's line is read once and spread over the pixels.
template <class T, class S>
SWATH_ALWAYS_INLINE void spread_row(const ConvProblem& p, const S* row, const ChannelRange& channels,
                                    const InputBox& box, int64_t pitch, T* to) {
  const ConvAxis& w = p.axis[2];
  const int64_t low = min_of(max_of(-box.first[2], 0), box.n[2]);
  const int64_t high = max_of(min_of(w.in - box.first[2], box.n[2]), low);
  for (int64_t l = 0; l < channels.n; ++l) {
    const S* line = row + (channels.first + l) / channels.multiplier * p.x_channel_stride;
    T* lane = to + l;
    const S* inside = line + (box.first[2] + low) * w.x_stride;
    for (int64_t j = low; j < high; ++j, inside += w.x_stride) lane[j * pitch] = to_acc(*inside);
    for (int64_t j = 0; j < low; ++j) {
      const int64_t c = padded_index(box.first[2] + j, w.in, p.padding_mode);
      lane[j * pitch] = c < 0 ? T{0} : to_acc(line[c * w.x_stride]);
    }
    for (int64_t j = high; j < box.n[2]; ++j) {
      const int64_t c = padded_index(box.first[2] + j, w.in, p.padding_mode);
      lane[j * pitch] = c < 0 ? T{0} : to_acc(line[c * w.x_stride]);
    }
  }
}

/// The same for consecutive channels: pixel by pixel.
template <class T, class S>
SWATH_ALWAYS_INLINE void copy_row(const ConvProblem& p, const S* row, const ChannelRange& channels,
                                  const InputBox& box, int64_t pitch, T* to) {
  const ConvAxis& w = p.axis[2];
  for (int64_t j = 0; j < box.n[2]; ++j) {
    const int64_t c = padded_index(box.first[2] + j, w.in, p.padding_mode);
    T* pixel = to + j * pitch;
    if (c < 0) {
      fill_zero(pixel, pitch);
    } else {
      copy_strided(row + c * w.x_stride + channels.first, 1, pixel, channels.n);
      fill_zero(pixel + channels.n, pitch - channels.n);
    }
  }
}

/// Stages a box of `channels` from x (pointing at channel 0).
template <class T, class S>
__attribute__((noinline)) void stage_box(const ConvProblem& p, const S* x, const ChannelRange& channels,
                                         const InputBox& box, const BoxLayout& layout, T* to) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1];
  const bool is_consecutive = p.x_channel_stride == 1 && channels.multiplier == 1;
  if (!is_consecutive && layout.pitch > channels.n) fill_zero(to, d.kernel * layout.plane_pitch);
  for (int64_t k = 0; k < d.kernel; ++k) {
    const int64_t z = padded_index(box.first[0] + k * d.dilation, d.in, p.padding_mode);
    for (int64_t i = 0; i < box.n[1]; ++i) {
      const int64_t y = padded_index(box.first[1] + i, h.in, p.padding_mode);
      T* row = to + k * layout.plane_pitch + i * layout.row_pitch;
      const S* from = x + z * d.x_stride + y * h.x_stride;
      if (z < 0 || y < 0) {
        fill_zero(row, layout.row_pitch);
      } else if (is_consecutive) {
        copy_row(p, from, channels, box, layout.pitch, row);
      } else {
        spread_row(p, from, channels, box, layout.pitch, row);
      }
    }
  }
}

/// The tap rows that one output row sees, per chunk of taps.
struct RowList {
  int64_t* offset;
  int64_t* w_offset;
  int64_t* begin;  // per chunk of taps; one more at the end
};

/// Chunks of taps (channels are cut separately): index within the plan's taps.
SWATH_ALWAYS_INLINE int64_t n_tap_chunks(const ChunkPlan& c) {
  return c.n_taps[0] * c.n_taps[1] * c.n_taps[2];
}

/// Fills the list for output row (od, oy). In place: offsets from x's index (0, 0), rows in the
/// padding mapped or left out. Staged: `first_row` is the row of the box that tap row 0 sees.
template <class F>
SWATH_ALWAYS_INLINE void list_rows(const ConvProblem& p, const ChunkPlan& chunks, int64_t w_row_stride,
                                   const RowList& list, const F& offset_of) {
  int64_t n = 0;
  for (int64_t i = 0; i < n_tap_chunks(chunks); ++i) {
    const Chunk k = chunk_at(p, chunks, i);
    list.begin[i] = n;
    for (int64_t kd = k.t0[0]; kd < k.t1[0]; ++kd) {
      for (int64_t ky = k.t0[1]; ky < k.t1[1]; ++ky) {
        const int64_t offset = offset_of(kd, ky);
        if (offset == INT64_MIN) continue;
        list.offset[n] = offset;
        list.w_offset[n] = (kd * p.axis[1].kernel + ky) * w_row_stride;
        ++n;
      }
    }
  }
  list.begin[n_tap_chunks(chunks)] = n;
}

template <class T>
struct ChannelScratch {
  RowList rows;
  int64_t* col_offset;
  T* sums;
  T* tile;
  T* staged;
};

/// Cuts `memory` into the parts and returns their size.
template <class T>
SWATH_ALWAYS_INLINE size_t lay_out(const ConvProblem& p, const ChunkPlan& chunks, int64_t tile_vectors,
                                   int64_t n_staged, void* memory, ChannelScratch<T>& to) {
  const int64_t n_rows = p.axis[0].kernel * p.axis[1].kernel * chunks.n_taps[2];
  const int64_t bytes[7] = {n_rows * 8,
                            n_rows * 8,
                            (n_tap_chunks(chunks) + 1) * 8,
                            p.axis[2].kernel * 8,
                            tile_vectors * kVecBytes,
                            tile_vectors * kVecBytes,
                            n_staged * int64_t{sizeof(T)}};
  void* parts[7];
  int64_t total = 0;
  for (int i = 0; i < 7; ++i) {
    parts[i] = static_cast<char*>(memory) + total;
    total += round_up(bytes[i], 64);
  }
  to = {{static_cast<int64_t*>(parts[0]), static_cast<int64_t*>(parts[1]), static_cast<int64_t*>(parts[2])},
        static_cast<int64_t*>(parts[3]),
        static_cast<T*>(parts[4]),
        static_cast<T*>(parts[5]),
        static_cast<T*>(parts[6])};
  return static_cast<size_t>(total);
}

SWATH_ALWAYS_INLINE const ConvProblem& as_conv(const void* p) {
  return *static_cast<const ConvProblem*>(p);
}

/// Cycles per output position and group, roughly: multiply-adds, and what moving a value costs that
/// does not lie along the lanes. Measured on dense 3x3 and 1x1 shapes of 3 to 256 channels.
SWATH_ALWAYS_INLINE double lanes_cost(const ConvProblem& p, int lanes, bool along_channels) {
  constexpr double kMove = 1.5;
  // A row tile of many channels reads short pieces of many lines, which no prefetcher foresees.
  constexpr double kShortLines = 1.15;
  const ConvAxis &h = p.axis[1], &w = p.axis[2];
  const double taps = static_cast<double>(p.in_per_group) * p.n_taps();
  const double moved_in = kMove * p.in_per_group, moved_out = kMove * p.out_per_group;
  const bool is_depthwise = p.in_per_group == 1;
  if (along_channels) {
    // Depthwise lanes run over all groups; each of their taps loads x, and staging has no reuse.
    const int64_t n = is_depthwise ? p.n_out_channels() : p.out_per_group;
    const double vectors = static_cast<double>(ceil_div(n, lanes));
    const double share = is_depthwise ? vectors / p.n_groups : vectors;
    const double move_in = p.x_channel_stride == 1 ? 0 : is_depthwise ? 8 * moved_in : moved_in;
    return share * taps + move_in + (p.y_channel_stride == 1 ? 0 : moved_out);
  }
  double waste = static_cast<double>(round_up(w.out, lanes)) / w.out;
  if (p.out_per_group >= 4) {
    if (h.out > 1 && waste > 1.2) waste = 1.2;  // rows run together
    if (taps >= 128 && h.out > 1) waste *= kShortLines;
  }
  return p.out_per_group * taps * waste / lanes + (w.x_stride == 1 ? 0 : 2 * moved_in) +
         (w.y_stride == 1 ? 0 : moved_out);
}

template <class T>
SWATH_ALWAYS_INLINE bool prefers_rows(const ConvProblem& p) {
  return lanes_cost(p, kLanes<T>, false) <= lanes_cost(p, kLanes<T>, true);
}

/// One worker of a kernel with lanes along channels; Kernel gives the tile functions.
template <class T, class S, class Kernel>
struct ChannelWorker {
  const ConvProblem& p;
  const Buffers& b;
  const T* weights;
  const T* values;
  ChannelSchedule s;
  ChunkPlan chunks;
  TileFinish finish;
  ChannelScratch<T> scratch;

  /// Input channels that a lane block reads: of the group, or one per lane.
  const S* x_of(int64_t n) const { return x_base<S>(p, b) + p.x_offset + n * p.x_batch_stride; }

  /// Columns [ox, ox + n) of one output row; x points at tap column 0 of column ox.
  void run_row(const ColumnBlock& block, const LaneBlock& lanes, int64_t oy, int64_t ox, int64_t n,
               const T* x, int64_t position_stride) const {
    const int most = Kernel::most_positions(lanes.n_vectors);
    const int64_t n_tiles = ceil_div(n, most);
    const int64_t channel = lanes.group * p.out_per_group + lanes.first;
    const int64_t width = lanes.n_vectors * kLanes<T>;
    const bool is_direct = finish.is_direct && p.y_channel_stride == 1;
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    S* y = static_cast<S*>(b.out[0]) + p.y_offset + block.n * p.y_batch_stride +
           channel * p.y_channel_stride + block.od * d.y_stride + oy * h.y_stride;
    ChannelTile<T> t{};
    t.position_stride = position_stride;
    t.w = weights + Kernel::template weight_offset<T>(p, lanes);
    t.w_tap_stride = Kernel::summed_channels(p) * width;
    for (int64_t i = 0; i < n_tiles; ++i) {
      const int64_t p0 = n * i / n_tiles, p1 = n * (i + 1) / n_tiles;
      t.x = x + p0 * position_stride;
      S* to = y + (ox + p0) * w.y_stride;
      run_chunks(t, lanes, static_cast<int>(p1 - p0), is_direct, reinterpret_cast<T*>(to));
      if (is_direct) continue;
      for (int64_t j = p0; j < p1; ++j) {
        finish_position(block, lanes, oy, ox + j, y + (ox + j) * w.y_stride,
                        scratch.tile + (j - p0) * width);
      }
    }
  }

  void run_chunks(const ChannelTile<T>& shared, const LaneBlock& lanes, int positions, bool is_direct,
                  T* y) const {
    const int64_t width = lanes.n_vectors * kLanes<T>;
    const int64_t channel = lanes.group * p.out_per_group + lanes.first;
    const int64_t n_taps = n_tap_chunks(chunks);
    auto* fn = Kernel::template pick<T>(positions, lanes.n_vectors);
    for (int64_t i = 0; i < chunks.n_chunks; ++i) {
      const Chunk k = chunk_at(p, chunks, i);
      const int64_t first = scratch.rows.begin[i % n_taps];
      ChannelTile<T> t = shared;
      t.x += k.c0;
      t.row_offset = scratch.rows.offset + first;
      t.row_w_offset = scratch.rows.w_offset + first;
      t.n_rows = scratch.rows.begin[i % n_taps + 1] - first;
      t.col_offset = scratch.col_offset + k.t0[2];
      t.n_taps_x = k.t1[2] - k.t0[2];
      t.n_channels = k.c1 - k.c0;
      t.w += (k.t0[2] * Kernel::summed_channels(p) + k.c0) * width;
      t.add = k.is_first ? nullptr : scratch.sums;
      t.out = k.is_last ? scratch.tile : scratch.sums;
      t.out_stride = t.n_lanes = width;
      if (k.is_last && is_direct) {
        t.out = y;
        t.out_stride = p.axis[2].y_stride;
        t.n_lanes = lanes.n;
        t.bias = p.epilogue.has_bias ? values + channel : nullptr;
        t.has_clamp = finish.has_clamp;
        t.low = static_cast<T>(finish.low);
        t.high = static_cast<T>(finish.high);
      }
      fn(t);
    }
  }

  void finish_position(const ColumnBlock& block, const LaneBlock& lanes, int64_t oy, int64_t ox, S* y,
                       T* acc) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    const ConvEpilogue& e = p.epilogue;
    const int64_t channel = lanes.group * p.out_per_group + lanes.first;
    ChannelValues<T> v = channel_values(p, values);
    if (v.bias != nullptr) v.bias += channel;
    if (v.scale != nullptr) v.scale += channel;
    if (v.shift != nullptr) v.shift += channel;
    Run<T, S> run{acc, lanes.n, y, p.y_channel_stride, nullptr, e.residual_channel_stride, v, nullptr, T{1}};
    if (e.has_residual) {
      run.residual = static_cast<const S*>(b.in[5]) + e.residual_offset +
                     block.n * e.residual_batch_stride + channel * e.residual_channel_stride +
                     block.od * d.residual_stride + oy * h.residual_stride + ox * w.residual_stride;
    }
    if (p.padding_mode == PaddingMode::partial) {
      run.outer_ratio = axis_ratio<T>(d, block.od) * axis_ratio<T>(h, oy) * axis_ratio<T>(w, ox);
    }
    finish_run<true>(p, run);
  }

  /// Columns [ox, ox + n) of all rows of the block, from a staged box.
  void run_staged(const ColumnBlock& block, const LaneTasks& tasks, int64_t ox, int64_t n) const {
    const ConvAxis &h = p.axis[1], &w = p.axis[2];
    InputBox box;
    set_box_axis(box, p.axis[0], 0, block.od, 1);
    set_box_axis(box, h, 1, block.oy, block.n_rows);
    set_box_axis(box, w, 2, ox, n);
    int64_t staged_first = -1;
    for (int64_t i = tasks.begin; i < tasks.end; ++i) {
      const LaneBlock lanes = Kernel::template lanes_at<T>(p, i);
      const int64_t pitch = Kernel::template staged_pitch<T>(p, lanes);
      const BoxLayout layout{pitch, box.n[2] * pitch, box.n[1] * box.n[2] * pitch};
      const ChannelRange channels = Kernel::staged_channels(p, lanes);
      if (channels.first != staged_first) {
        stage_box<T, S>(p, x_of(block.n), channels, box, layout, scratch.staged);
        staged_first = channels.first;
      }
      for (int64_t j = 0; j < w.kernel; ++j) scratch.col_offset[j] = j * w.dilation * pitch;
      for (int64_t row = 0; row < block.n_rows; ++row) {
        list_rows(p, chunks, w_row_stride(lanes), scratch.rows, [&](int64_t kd, int64_t ky) {
          return kd * layout.plane_pitch + (row * h.stride + ky * h.dilation) * layout.row_pitch;
        });
        run_row(block, lanes, block.oy + row, ox, n, scratch.staged, w.stride * pitch);
      }
    }
  }

  int64_t w_row_stride(const LaneBlock& lanes) const {
    return p.axis[2].kernel * Kernel::summed_channels(p) * lanes.n_vectors * kLanes<T>;
  }

  /// Columns [ox, ox + n), none of which sees padding, from x itself.
  void run_in_place(const ColumnBlock& block, const LaneBlock& lanes, int64_t ox, int64_t n) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    const auto* x = reinterpret_cast<const T*>(x_of(block.n)) + Kernel::staged_channels(p, lanes).first +
                    w.first_input(ox) * w.x_stride;
    for (int64_t i = 0; i < w.kernel; ++i) scratch.col_offset[i] = i * w.dilation * w.x_stride;
    for (int64_t oy = block.oy; oy < block.oy + block.n_rows; ++oy) {
      list_rows(p, chunks, w_row_stride(lanes), scratch.rows, [&](int64_t kd, int64_t ky) {
        const int64_t z = padded_index(d.first_input(block.od) + kd * d.dilation, d.in, p.padding_mode);
        const int64_t y = padded_index(h.first_input(oy) + ky * h.dilation, h.in, p.padding_mode);
        return z < 0 || y < 0 ? INT64_MIN : z * d.x_stride + y * h.x_stride;
      });
      run_row(block, lanes, oy, ox, n, x, w.stride * w.x_stride);
    }
  }

  /// Whole vectors are read: the last ones of the last row must not leave x.
  bool may_read(const ColumnBlock& block, const LaneBlock& lanes, int64_t ox_end) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    const int64_t over = Kernel::template over_read<T>(lanes);
    if (over == 0) return true;
    const int64_t col = w.first_input(ox_end - 1) + (w.kernel - 1) * w.dilation;
    int64_t last = p.x_offset + block.n * p.x_batch_stride + Kernel::staged_channels(p, lanes).first +
                   lanes.n - 1 + col * w.x_stride;
    last += max_of(0, (d.in - 1) * d.x_stride) + max_of(0, (h.in - 1) * h.x_stride);
    return w.x_stride >= 0 && last + over < p.x_high;
  }

  void run_block(const ColumnBlock& block, const LaneTasks& tasks) const {
    if (!s.reads_x) return run_staged(block, tasks, block.ox, block.n_cols);
    const int64_t end = block.ox + block.n_cols;
    Interior in = interior_columns(p.axis[2]);
    in.low = min_of(max_of(in.low, block.ox), end);
    in.high = max_of(min_of(in.high, end), in.low);
    const LaneBlock last = Kernel::template lanes_at<T>(p, tasks.end - 1);
    while (in.high > in.low && !may_read(block, last, in.high)) --in.high;
    run_staged_in_parts(block, tasks, block.ox, in.low);
    if (in.high > in.low) {
      for (int64_t i = tasks.begin; i < tasks.end; ++i) {
        run_in_place(block, Kernel::template lanes_at<T>(p, i), in.low, in.high - in.low);
      }
    }
    run_staged_in_parts(block, tasks, in.high, end);
  }

  /// The staged box was sized for the usual border; what over-reading adds may need more parts.
  void run_staged_in_parts(const ColumnBlock& block, const LaneTasks& tasks, int64_t ox, int64_t end) const {
    for (; ox < end; ox += s.staged_cols) run_staged(block, tasks, ox, min_of(s.staged_cols, end - ox));
  }

  void run_task(int64_t task) const {
    const int64_t n_lanes = Kernel::template n_lane_tasks<T>(p);
    const int64_t part = task % s.n_parts;
    task /= s.n_parts;
    ColumnBlock block;
    block.ox = task % s.n_x * s.cols;
    task /= s.n_x;
    block.oy = task % s.n_y * s.rows;
    task /= s.n_y;
    block.od = task % p.axis[0].out;
    block.n = task / p.axis[0].out;
    block.n_rows = min_of(s.rows, p.axis[1].out - block.oy);
    block.n_cols = min_of(s.cols, p.axis[2].out - block.ox);
    run_block(block, {n_lanes * part / s.n_parts, n_lanes * (part + 1) / s.n_parts});
  }
};

template <class T, class S, class Kernel>
SWATH_ALWAYS_INLINE ChannelSchedule schedule_of(const ConvProblem& p) {
  ChannelSchedule s = make_channel_schedule<T, S>(p, Kernel::maps_channels(p),
                                                  Kernel::template widest_pitch<T>(p),
                                                  Kernel::kStagedBytes);
  // Small images would give too few tasks: then lane blocks are tasks too.
  const int64_t blocks = p.axis[0].out * s.n_y * s.n_x;
  s.n_parts = min_of(Kernel::template n_lane_tasks<T>(p), max_of(16 / blocks, 1));
  return s;
}

template <class T, class Kernel>
size_t channel_weight_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  return static_cast<size_t>(Kernel::template n_weights<T>(p) + 3 * p.n_out_channels()) * sizeof(T);
}

template <class T, class S, class Kernel>
size_t channel_scratch_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  ChannelScratch<T> unused;
  return lay_out(p, plan_chunks(p), Kernel::kTileVectors, schedule_of<T, S, Kernel>(p).staged, nullptr,
                 unused);
}

template <class T, class S, class Kernel>
int64_t n_channel_tasks(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  const ChannelSchedule s = schedule_of<T, S, Kernel>(p);
  return p.n_batch * p.axis[0].out * s.n_y * s.n_x * s.n_parts;
}

template <class T, class S, class Kernel>
void pack_channels(const void* problem, const Buffers& b, void* to) noexcept {
  const ConvProblem& p = as_conv(problem);
  T* weights = static_cast<T*>(to);
  Kernel::template pack_weights<T, S>(p, static_cast<const S*>(b.in[1]) + p.w_offset, weights);
  pack_values<S>(p, b, weights + Kernel::template n_weights<T>(p));
}

template <class T, class S, class Kernel>
void run_channels(const void* problem, const Buffers& b, const void* packed, void* memory, int64_t begin,
                  int64_t end) noexcept {
  const ConvProblem& p = as_conv(problem);
  const T* weights = static_cast<const T*>(packed);
  ChannelWorker<T, S, Kernel> worker{p,
                                     b,
                                     weights,
                                     weights + Kernel::template n_weights<T>(p),
                                     schedule_of<T, S, Kernel>(p),
                                     plan_chunks(p),
                                     tile_finish<T, S>(p),
                                     {}};
  lay_out(p, worker.chunks, Kernel::kTileVectors, worker.s.staged, memory, worker.scratch);
  for (int64_t i = begin; i < end; ++i) worker.run_task(i);
}

}  // namespace
}  // namespace swath::SWATH_ISA
