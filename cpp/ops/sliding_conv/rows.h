// What the two kernels with lanes along a row share: blocks of outputs, their input (in place or
// staged), packed weights, and the way a finished tile goes to y.
#pragma once

#include "ops/sliding_conv/chunks.h"
#include "ops/sliding_conv/finish.h"
#include "ops/sliding_conv/stage.h"
#include "ops/sliding_conv/tiles_rows.h"

namespace swath::SWATH_ISA {
namespace {

/// A box of outputs of one group of one sample: what one task computes.
struct Block {
  int64_t n, g, od, oy, n_rows, ox, n_cols;
};

/// The output cut into blocks of at most rows x cols.
struct BlockGrid {
  int64_t rows, cols;
  int64_t n_y, n_x;

  int64_t count(const ConvProblem& p) const {
    return p.n_batch * p.n_groups * p.axis[0].out * n_y * n_x;
  }
  Block at(const ConvProblem& p, int64_t index) const {
    Block b;
    b.ox = index % n_x * cols;
    index /= n_x;
    b.oy = index % n_y * rows;
    index /= n_y;
    b.od = index % p.axis[0].out;
    index /= p.axis[0].out;
    b.g = index % p.n_groups;
    b.n = index / p.n_groups;
    b.n_rows = min_of(rows, p.axis[1].out - b.oy);
    b.n_cols = min_of(cols, p.axis[2].out - b.ox);
    return b;
  }
};

SWATH_ALWAYS_INLINE BlockGrid make_grid(const ConvProblem& p, int64_t rows, int64_t cols) {
  // Blocks of nearly equal size: a last block of one row would waste most of its tiles.
  const ConvAxis &h = p.axis[1], &w = p.axis[2];
  const int64_t n_y = ceil_div(h.out, max_of(rows, 1));
  return {ceil_div(h.out, n_y), cols, n_y, ceil_div(w.out, cols)};
}

SWATH_ALWAYS_INLINE InputBox input_box(const ConvProblem& p, const Block& b) {
  InputBox box;
  set_box_axis(box, p.axis[0], 0, b.od, 1);
  set_box_axis(box, p.axis[1], 1, b.oy, b.n_rows);
  set_box_axis(box, p.axis[2], 2, b.ox, b.n_cols);
  return box;
}

/// The layout of a staged block. Tiles read up to a vector beyond a row: that is the next row's
/// data, and zeros behind the last one (`staged_elements` counts them).
SWATH_ALWAYS_INLINE RowsLayout make_layout(const ConvProblem& p, int64_t n_rows, int64_t n_cols) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  RowsLayout l;
  l.col_phases = w.stride;
  l.row_phases = h.stride;
  l.row_pitch = ceil_div(inputs_seen(w, n_cols), w.stride);
  l.row_phase_pitch = ceil_div(inputs_seen(h, n_rows), h.stride) * l.row_pitch;
  l.col_phase_pitch = l.row_phases * l.row_phase_pitch;
  l.plane_pitch = l.col_phases * l.col_phase_pitch;
  l.channel_pitch = d.kernel * l.plane_pitch;
  return l;
}

/// Where the tiles of one block read: the element of tap 0 and output (0, 0) of the block's first
/// channel, the step from one output row to the next, and from one tap row to the next.
template <class T>
struct BlockInput {
  const T* x;
  int64_t channel_stride, out_row_stride;
  bool is_staged;
};

/// x itself, if it needs no padding and no conversion and over-reading by a vector stays in it.
template <class T, class S>
SWATH_ALWAYS_INLINE bool can_read_x(const ConvProblem& p, const Block& b, const InputBox& box) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  if (p.mask.has_values || sizeof(T) != sizeof(S) || w.x_stride != 1 || w.stride != 1 ||
      !is_inside(p, box))
    return false;
  const int64_t c = b.g * p.in_per_group + p.in_per_group - 1;
  const int64_t last = p.x_offset + b.n * p.x_batch_stride +
                       max_of(c * p.x_channel_stride, b.g * p.in_per_group * p.x_channel_stride) +
                       box.first[0] * d.x_stride + max_of(0, (box.n[0] - 1) * d.x_stride) +
                       box.first[1] * h.x_stride + max_of(0, (box.n[1] - 1) * h.x_stride) +
                       box.first[2] + box.n[2] - 1;
  return last + kLanes<T> <= p.x_high;
}

/// One worker's scratch memory.
template <class T>
struct Scratch {
  int64_t* row_offset;
  int64_t* col_offset;
  T* sums;       // of earlier chunks
  T* tile;       // of a tile that does not write y itself
  T* gate;       // and of its gates
  T* mask_line;  // converted values of a mask
  T* staged;
};

/// Cuts `memory` into the parts and returns their size; memory may be null to ask for the size
/// only.
template <class T>
SWATH_ALWAYS_INLINE size_t lay_out(const ConvProblem& p, int64_t n_tap_rows, int64_t tile_vectors,
                                   int64_t n_cols, int64_t n_staged, void* memory, Scratch<T>& to) {
  constexpr int kParts = 7;
  const int64_t tile = tile_vectors * kVecBytes, item = sizeof(T);
  const int64_t mask_line = p.mask.has_values ? inputs_seen(p.axis[2], n_cols) : 0;
  const int64_t bytes[kParts] = {
      p.axis[0].kernel * n_tap_rows * 8, p.axis[2].kernel * 8, tile,           tile,
      p.epilogue.has_gate ? tile : 0,    mask_line * item,     n_staged * item};
  void* parts[kParts];
  int64_t total = 0;
  for (int i = 0; i < kParts; ++i) {
    parts[i] = static_cast<char*>(memory) + total;
    total += round_up(bytes[i], 64);
  }
  to = {static_cast<int64_t*>(parts[0]), static_cast<int64_t*>(parts[1]), static_cast<T*>(parts[2]),
        static_cast<T*>(parts[3]),       static_cast<T*>(parts[4]),       static_cast<T*>(parts[5]),
        static_cast<T*>(parts[6])};
  return static_cast<size_t>(total);
}

/// Weights in tile order: per group and block of OB channels [channel][plane][ky][kx][OB], behind
/// them the per-channel values. Blocks shrink to 4, 2, 1 for the channels that are left over.
SWATH_ALWAYS_INLINE int block_width(int64_t left, int widest) {
  int width = widest;
  while (width > left) width /= 2;
  return width;
}

template <class T, class S>
SWATH_ALWAYS_INLINE void pack_row_half(const ConvProblem& p, const Buffers& b, int widest, T* to) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  for (int64_t g = 0; g < p.n_groups; ++g) {
    for (int64_t o = 0; o < p.out_per_group;) {
      const int width = block_width(p.out_per_group - o, widest);
      const S* from = static_cast<const S*>(b.read(p.w)) + p.w_offset + g * p.w_group_stride +
                      o * p.w_out_stride;
      for (int64_t c = 0; c < p.in_per_group; ++c) {
        for (int64_t kd = 0; kd < d.kernel; ++kd) {
          for (int64_t ky = 0; ky < h.kernel; ++ky) {
            for (int64_t kx = 0; kx < w.kernel; ++kx) {
              const S* tap =
                  from + c * p.w_in_stride + kd * d.w_stride + ky * h.w_stride + kx * w.w_stride;
              for (int i = 0; i < width; ++i) *to++ = to_acc(tap[i * p.w_out_stride]);
            }
          }
        }
      }
      o += width;
    }
  }
  pack_values<S>(p, b, to);
}

SWATH_ALWAYS_INLINE int64_t n_row_weights(const ConvProblem& p) {
  return p.n_out_channels() * p.in_per_group * p.n_taps();
}
/// Values of one half: weights, then bias, scale and shift.
SWATH_ALWAYS_INLINE int64_t n_packed(const ConvProblem& p) {
  return n_row_weights(p) + 3 * p.n_out_channels();
}

/// One half after the other.
template <class T, class S>
SWATH_ALWAYS_INLINE void pack_row_weights(const ConvProblem& p, const Buffers& b, int widest,
                                          T* to) {
  pack_row_half<T, S>(p, b, widest, to);
  if (p.epilogue.has_gate) pack_row_half<T, S>(gate_half(p), b, widest, to + n_packed(p));
}

/// Reads the block in place or stages it, and fills the tables of tap offsets: entry (plane, i) of
/// the rows is the offset of input row i dilation.
template <class T, class S>
SWATH_ALWAYS_INLINE BlockInput<T> open_block(const ConvProblem& p, const Buffers& b,
                                             const Block& block, int64_t n_tap_rows,
                                             const Scratch<T>& scratch) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  const InputBox box = input_box(p, block);
  const S* x = x_base<S>(p, b) + p.x_offset + block.n * p.x_batch_stride +
               block.g * p.in_per_group * p.x_channel_stride;
  if (can_read_x<T, S>(p, block, box)) {
    for (int64_t k = 0; k < d.kernel; ++k) {
      for (int64_t i = 0; i < n_tap_rows; ++i) {
        scratch.row_offset[k * n_tap_rows + i] =
            k * d.dilation * d.x_stride + i * h.dilation * h.x_stride;
      }
    }
    for (int64_t i = 0; i < w.kernel; ++i) scratch.col_offset[i] = i * w.dilation;
    x += box.first[0] * d.x_stride + box.first[1] * h.x_stride + box.first[2];
    return {reinterpret_cast<const T*>(x), p.x_channel_stride, h.stride * h.x_stride, false};
  }
  const RowsLayout layout = make_layout(p, block.n_rows, block.n_cols);
  for (int64_t k = 0; k < d.kernel; ++k) {
    for (int64_t i = 0; i < n_tap_rows; ++i) {
      scratch.row_offset[k * n_tap_rows + i] = k * layout.plane_pitch + layout.row(i * h.dilation);
    }
  }
  for (int64_t i = 0; i < w.kernel; ++i) {
    scratch.col_offset[i] = layout.col(i * w.dilation);
  }
  const S* x_end = x_base<S>(p, b) + p.x_high;
  const MaskSource<T> mask =
      mask_source(p, b, block.n, block.g * p.in_per_group, scratch.mask_line);
  stage_rows<T, S>(p, x, x_end, mask, p.in_per_group, box, layout, scratch.staged);
  fill_zero(scratch.staged + p.in_per_group * layout.channel_pitch, kLanes<T>);
  return {scratch.staged, layout.channel_pitch, layout.row_pitch, true};
}

/// Runs one tile over all chunks: sums of all but the last go to `sums`, the last one finishes.
template <class T, class F>
SWATH_ALWAYS_INLINE void run_tile(const ConvProblem& p, const ChunkPlan& chunks, F* fn, int width,
                                  int64_t n_vectors, int n_tile_rows, const RowTile<T>& whole,
                                  T* sums) {
  if (chunks.n_chunks == 1) return fn(whole);
  const ConvAxis* a = p.axis;
  for (int64_t i = 0; i < chunks.n_chunks; ++i) {
    const Chunk k = chunk_at(p, chunks, i);
    RowTile<T> t = whole;
    t.x += k.c0 * t.x_channel_stride;
    t.n_channels = k.c1 - k.c0;
    t.row_offset += k.t0[0] * t.plane_rows + k.t0[1];
    t.n_planes = k.t1[0] - k.t0[0];
    t.n_taps_y = k.t1[1] - k.t0[1];
    t.col_offset += k.t0[2];
    t.n_taps_x = k.t1[2] - k.t0[2];
    t.w +=
        (((k.c0 * a[0].kernel + k.t0[0]) * a[1].kernel + k.t0[1]) * a[2].kernel + k.t0[2]) * width;
    t.add = k.is_first ? nullptr : sums;
    if (!k.is_last) {
      t.out = sums;
      t.out_channel_stride = n_vectors * kLanes<T>;
      t.out_row_stride = width * t.out_channel_stride;
      t.n_cols = t.out_channel_stride;
      t.n_rows = n_tile_rows;
      t.n_channels_out = width;
      t.bias = t.ratio = t.keep = nullptr;
      t.has_clamp = false;
    }
    fn(t);
  }
}

/// The parts of a tile that do not change within a call.
template <class T>
SWATH_ALWAYS_INLINE RowTile<T> make_tile(const ConvProblem& p, int64_t n_tap_rows,
                                         const int64_t* row_offset, const int64_t* col_offset,
                                         int width) {
  const ConvAxis* a = p.axis;
  RowTile<T> t{};
  t.n_channels = p.in_per_group;
  t.row_offset = row_offset;
  t.plane_rows = n_tap_rows;
  t.n_planes = a[0].kernel;
  t.n_taps_y = a[1].kernel;
  t.n_rows_apart = 1;
  t.n_taps_x = a[2].kernel;
  t.col_offset = col_offset;
  t.w_row_stride = a[2].kernel * width;
  t.w_plane_stride = a[1].kernel * t.w_row_stride;
  t.w_channel_stride = a[0].kernel * t.w_plane_stride;
  return t;
}

template <class S>
SWATH_ALWAYS_INLINE S* output_at(const ConvProblem& p, const Buffers& b, const Block& block,
                                 int64_t o, int64_t oy, int64_t ox) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  return static_cast<S*>(b.write(p.y)) + p.y_offset + block.n * p.y_batch_stride +
         (block.g * p.out_per_group + o) * p.y_channel_stride + block.od * d.y_stride +
         oy * h.y_stride + ox * w.y_stride;
}

/// Writes n columns that a mask leaves out.
template <class T, class S>
__attribute__((noinline)) void skip_columns(const ConvProblem& p, const Buffers& b,
                                            const Block& block, int64_t o, int64_t oy, int64_t ox,
                                            int64_t n) {
  const S value = skipped_value<T, S>(p);
  S* y = output_at<S>(p, b, block, o, oy, ox);
  for (int64_t i = 0; i < n; ++i) y[i * p.axis[2].y_stride] = value;
}

/// Lets a tile apply the mask's factors of the outputs from (oy, ox) on, rows `spacing` apart.
template <class T>
SWATH_ALWAYS_INLINE void set_factors(const ConvProblem& p, const Buffers& b, const Block& block,
                                     int64_t oy, int64_t ox, int64_t spacing, RowTile<T>& t) {
  const int64_t row = mask_row(p, block.n, block.od, oy);
  if (p.mask.has_ratio) t.ratio = factor_row<T>(p, b, p.mask.ratio, row) + ox;
  if (p.mask.has_keep) t.keep = factor_row<T>(p, b, p.mask.keep, row) + ox;
  t.factor_row_stride = spacing * p.axis[2].out;
}

/// Whether a mask leaves out the whole block, which is then written.
template <class T, class S>
SWATH_ALWAYS_INLINE bool skip_block(const ConvProblem& p, const Buffers& b, const Block& block) {
  const ActiveRows rows = active_rows(p, b, block.n, block.od, block.oy, block.n_rows, 1);
  if (has_active(rows, block.ox, block.ox + block.n_cols)) return false;
  for (int64_t o = 0; o < p.out_per_group; ++o) {
    for (int64_t row = 0; row < block.n_rows; ++row) {
      skip_columns<T, S>(p, b, block, o, block.oy + row, block.ox, block.n_cols);
    }
  }
  return true;
}

/// Finishes n sums: channel o, output row (od, oy), columns from ox.
template <class T, class S>
__attribute__((noinline)) void finish_columns(const ConvProblem& p, const Buffers& b,
                                              const T* values, const Block& block, int64_t o,
                                              int64_t oy, int64_t ox, int64_t n,
                                              const RunSums<T>& sums) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  const int64_t channel = block.g * p.out_per_group + o;
  const ConvEpilogue& e = p.epilogue;
  Run<T, S> run{};
  run.acc = sums.acc;
  run.n = n;
  run.y = output_at<S>(p, b, block, o, oy, ox);
  run.y_stride = w.y_stride;
  run.residual_stride = w.residual_stride;
  run.values = values_from(p, values, channel);
  if (e.has_gate) {
    run.gate = sums.gate;
    run.gate_values = values_from(p, values + n_packed(p), channel);
  }
  if (e.has_residual) {
    run.residual = static_cast<const S*>(b.read(e.residual)) + e.residual_offset +
                   block.n * e.residual_batch_stride + channel * e.residual_channel_stride +
                   block.od * d.residual_stride + oy * h.residual_stride + ox * w.residual_stride;
  }
  const int64_t row = mask_row(p, block.n, block.od, oy);
  if (p.mask.has_ratio) run.ratio = factor_row<T>(p, b, p.mask.ratio, row) + ox;
  if (p.mask.has_keep) run.keep = factor_row<T>(p, b, p.mask.keep, row) + ox;
  finish_run<false>(p, run);
}

template <class T>
size_t row_weight_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  return static_cast<size_t>(n_halves(p) * n_packed(p)) * sizeof(T);
}

}  // namespace
}  // namespace swath::SWATH_ISA
