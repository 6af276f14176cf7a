// One worker of a kernel with lanes along channels; Kernel (Depthwise, Dense) gives the tile
// functions, the order of the weights and which channels a lane block reads.
#pragma once

#include "ops/sliding_conv/channels.h"
#include "ops/sliding_conv/finish.h"

namespace swath::SWATH_ISA {
namespace {

template <class T>
struct ChannelScratch {
  RowList rows;
  int64_t* col_offset;
  T* sums;
  T* tile;
  T* gate;
  T* mask_line;
  T* staged;
};

/// Cuts `memory` into the parts and returns their size.
template <class T>
SWATH_ALWAYS_INLINE size_t lay_out(const ConvProblem& p, const ChunkPlan& chunks,
                                   int64_t tile_vectors, const ChannelSchedule& s, void* memory,
                                   ChannelScratch<T>& to) {
  constexpr int kParts = 9;
  // One entry more: list_rows writes a row before it knows whether it counts.
  const int64_t n_rows = p.axis[0].kernel * p.axis[1].kernel * chunks.n_taps[2] + 1;
  const int64_t tile = tile_vectors * kVecBytes, item = sizeof(T);
  const int64_t bytes[kParts] = {
      n_rows * 8,     n_rows * 8, (n_tap_chunks(chunks) + 1) * 8, p.axis[2].kernel * 8,
      tile,           tile,       p.epilogue.has_gate ? tile : 0, s.mask_line * item,
      s.staged * item};
  void* parts[kParts];
  int64_t total = 0;
  for (int i = 0; i < kParts; ++i) {
    parts[i] = static_cast<char*>(memory) + total;
    total += round_up(bytes[i], 64);
  }
  to = {{static_cast<int64_t*>(parts[0]), static_cast<int64_t*>(parts[1]),
         static_cast<int64_t*>(parts[2])},
        static_cast<int64_t*>(parts[3]),
        static_cast<T*>(parts[4]),
        static_cast<T*>(parts[5]),
        static_cast<T*>(parts[6]),
        static_cast<T*>(parts[7]),
        static_cast<T*>(parts[8])};
  return static_cast<size_t>(total);
}

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

  const S* x_of(int64_t n) const { return x_base<S>(p, b) + p.x_offset + n * p.x_batch_stride; }

  static int64_t channel_of(const ConvProblem& p, const LaneBlock& lanes) {
    return lanes.group * p.out_per_group + lanes.first;
  }

  S* output_at(const ColumnBlock& block, const LaneBlock& lanes, int64_t oy, int64_t ox) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    return static_cast<S*>(b.write(p.y)) + p.y_offset + block.n * p.y_batch_stride +
           channel_of(p, lanes) * p.y_channel_stride + block.od * d.y_stride + oy * h.y_stride +
           ox * w.y_stride;
  }

  /// Columns [ox, ox + n) of one output row; x points at tap column 0 of column ox. The row list
  /// and the column offsets are set.
  void run_row(const ColumnBlock& block, const LaneBlock& lanes, int64_t oy, int64_t ox, int64_t n,
               const T* x, int64_t position_stride) const {
    const ActiveRows rows = active_rows(p, b, block.n, block.od, oy, 1, 1);
    for_each_run(rows, ox, ox + n, [&](int64_t begin, int64_t end, bool active) {
      if (active) {
        run_tiles(block, lanes, oy, begin, end - begin, x + (begin - ox) * position_stride,
                  position_stride);
      } else {
        skip_positions(block, lanes, oy, begin, end - begin);
      }
    });
  }

  /// Writes n positions that a mask leaves out.
  __attribute__((noinline)) void skip_positions(const ColumnBlock& block, const LaneBlock& lanes,
                                                int64_t oy, int64_t ox, int64_t n) const {
    const S value = skipped_value<T, S>(p);
    S* y = output_at(block, lanes, oy, ox);
    for (int64_t i = 0; i < n; ++i) {
      S* position = y + i * p.axis[2].y_stride;
      for (int64_t l = 0; l < lanes.n; ++l) position[l * p.y_channel_stride] = value;
    }
  }

  /// Whether a mask leaves out the whole block, which is then written.
  bool skip_block(const ColumnBlock& block, const LaneTasks& tasks) const {
    const ActiveRows rows = active_rows(p, b, block.n, block.od, block.oy, block.n_rows, 1);
    if (has_active(rows, block.ox, block.ox + block.n_cols)) return false;
    for (int64_t i = tasks.begin; i < tasks.end; ++i) {
      const LaneBlock lanes = Kernel::template lanes_at<T>(p, i);
      for (int64_t row = 0; row < block.n_rows; ++row) {
        skip_positions(block, lanes, block.oy + row, block.ox, block.n_cols);
      }
    }
    return true;
  }

  /// Columns of run_row that count.
  __attribute__((noinline)) void run_tiles(const ColumnBlock& block, const LaneBlock& lanes,
                                           int64_t oy, int64_t ox, int64_t n, const T* x,
                                           int64_t position_stride) const {
    const ConvAxis& w = p.axis[2];
    const int64_t n_tiles = ceil_div(n, Kernel::most_positions(p, lanes.n_vectors));
    const int64_t channel = channel_of(p, lanes), width = lanes.n_vectors * kLanes<T>;
    const bool is_direct = finish.is_direct && p.y_channel_stride == 1;
    S* y = output_at(block, lanes, oy, ox);
    ChannelTile<T> t{};
    t.position_stride = position_stride;
    t.row_offset = scratch.rows.offset;
    t.row_index = scratch.rows.index;
    t.n_rows = scratch.rows.begin[1];
    t.col_offset = scratch.col_offset;
    t.n_taps_x = w.kernel;
    t.n_channels = p.in_per_group;
    t.w = weights + Kernel::template weight_offset<T>(p, lanes);
    t.w_tap_stride = Kernel::summed_channels(p) * width;
    t.w_row_stride = w.kernel * t.w_tap_stride;
    t.out = scratch.tile;
    t.out_stride = t.n_lanes = width;
    if (is_direct) {
      t.out_stride = w.y_stride;
      t.n_lanes = lanes.n;
      t.bias = p.epilogue.has_bias ? values + channel : nullptr;
      t.has_clamp = finish.has_clamp;
      t.low = static_cast<T>(finish.low);
      t.high = static_cast<T>(finish.high);
    }
    const int64_t row = mask_row(p, block.n, block.od, oy);
    const T* ratio = p.mask.has_ratio ? factor_row<T>(p, b, p.mask.ratio, row) + ox : nullptr;
    const T* keep = p.mask.has_keep ? factor_row<T>(p, b, p.mask.keep, row) + ox : nullptr;
    for (int64_t i = 0; i < n_tiles; ++i) {
      const int64_t p0 = n * i / n_tiles, p1 = n * (i + 1) / n_tiles;
      auto* fn = Kernel::template pick<T>(p, static_cast<int>(p1 - p0), lanes.n_vectors);
      t.x = x + p0 * position_stride;
      if (is_direct) {
        t.out = reinterpret_cast<T*>(y + p0 * w.y_stride);
        if (p.mask.has_ratio) t.ratio = ratio + p0;
        if (p.mask.has_keep) t.keep = keep + p0;
      }
      run_tile(t, fn, width);
      if (is_direct) continue;
      if (p.epilogue.has_gate) {
        ChannelTile<T> gate = t;
        gate.w += n_packed_of(p);
        gate.out = scratch.gate;
        run_tile(gate, fn, width);
      }
      for (int64_t j = p0; j < p1; ++j) {
        const int64_t at = (j - p0) * width;
        finish_position(block, lanes, oy, ox + j, y + j * w.y_stride,
                        {scratch.tile + at, scratch.gate + at});
      }
    }
  }

  /// Values of one half: weights, then bias, scale and shift.
  static int64_t n_packed_of(const ConvProblem& p) {
    return Kernel::template n_weights<T>(p) + 3 * p.n_out_channels();
  }

  template <class F>
  __attribute__((always_inline)) void run_tile(const ChannelTile<T>& t, F* fn,
                                               int64_t width) const {
    if (chunks.n_chunks == 1) return fn(t);
    run_chunks(t, fn, width);
  }

  /// One tile over all chunks: sums of all but the last go to scratch, the last one finishes.
  template <class F>
  __attribute__((noinline)) void run_chunks(const ChannelTile<T>& whole, F* fn,
                                            int64_t width) const {
    const int64_t n_taps = n_tap_chunks(chunks);
    for (int64_t i = 0; i < chunks.n_chunks; ++i) {
      const Chunk k = chunk_at(p, chunks, i);
      const int64_t first = scratch.rows.begin[i % n_taps];
      ChannelTile<T> t = whole;
      t.x += k.c0;
      t.row_offset += first;
      t.row_index += first;
      t.n_rows = scratch.rows.begin[i % n_taps + 1] - first;
      t.col_offset += k.t0[2];
      t.n_taps_x = k.t1[2] - k.t0[2];
      t.n_channels = k.c1 - k.c0;
      t.w += k.t0[2] * t.w_tap_stride + k.c0 * width;
      t.add = k.is_first ? nullptr : scratch.sums;
      if (!k.is_last) {
        t.out = scratch.sums;
        t.out_stride = t.n_lanes = width;
        t.bias = t.ratio = t.keep = nullptr;
        t.has_clamp = false;
      }
      fn(t);
    }
  }

  __attribute__((noinline)) void finish_position(const ColumnBlock& block, const LaneBlock& lanes,
                                                 int64_t oy, int64_t ox, S* y,
                                                 const RunSums<T>& sums) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    const ConvEpilogue& e = p.epilogue;
    const int64_t channel = channel_of(p, lanes);
    Run<T, S> run{};
    run.acc = sums.acc;
    run.n = lanes.n;
    run.y = y;
    run.y_stride = p.y_channel_stride;
    run.residual_stride = e.residual_channel_stride;
    run.values = values_from(p, values, channel);
    if (e.has_gate) {
      run.gate = sums.gate;
      run.gate_values = values_from(p, values + n_packed_of(p), channel);
    }
    if (e.has_residual) {
      run.residual = static_cast<const S*>(b.read(e.residual)) + e.residual_offset +
                     block.n * e.residual_batch_stride + channel * e.residual_channel_stride +
                     block.od * d.residual_stride + oy * h.residual_stride + ox * w.residual_stride;
    }
    const int64_t row = mask_row(p, block.n, block.od, oy);
    if (p.mask.has_ratio) run.outer_ratio = factor_row<T>(p, b, p.mask.ratio, row)[ox];
    if (p.mask.has_keep) run.outer_keep = factor_row<T>(p, b, p.mask.keep, row)[ox];
    finish_run<true>(p, run);
  }

  /// Columns [ox, ox + n) of all rows of the block, from staged boxes.
  void run_staged(const ColumnBlock& block, const LaneTasks& tasks, int64_t ox, int64_t n) const {
    const ConvAxis &h = p.axis[1], &w = p.axis[2];
    InputBox box;
    set_box_axis(box, p.axis[0], 0, block.od, 1);
    set_box_axis(box, h, 1, block.oy, block.n_rows);
    set_box_axis(box, w, 2, ox, n);
    LaneTasks share = tasks;
    for (; share.begin < tasks.end; share.begin = share.end) {
      const ChannelRange channels = Kernel::template box_channels<T>(p, tasks, share);
      const int64_t pitch = Kernel::template box_pitch<T>(channels);
      const BoxLayout layout{pitch, box.n[2] * pitch, box.n[1] * box.n[2] * pitch};
      const MaskSource<T> mask = mask_source(p, b, block.n, 0, scratch.mask_line);
      stage_box<T, S>(p, x_of(block.n), mask, channels, box, layout, scratch.staged);
      for (int64_t j = 0; j < w.kernel; ++j) scratch.col_offset[j] = j * w.dilation * pitch;
      for (int64_t row = 0; row < block.n_rows; ++row) {
        list_rows(p, chunks, scratch.rows, [&](int64_t kd, int64_t ky) {
          return kd * layout.plane_pitch + (row * h.stride + ky * h.dilation) * layout.row_pitch;
        });
        for (int64_t i = share.begin; i < share.end; ++i) {
          const LaneBlock lanes = Kernel::template lanes_at<T>(p, i);
          run_row(block, lanes, block.oy + row, ox, n,
                  scratch.staged + Kernel::lane_offset(lanes, channels), w.stride * pitch);
        }
      }
    }
  }

  /// Columns [ox, ox + n), none of which sees padding, from x itself.
  void run_in_place(const ColumnBlock& block, const LaneTasks& tasks, int64_t ox, int64_t n) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    const auto* x = reinterpret_cast<const T*>(x_of(block.n)) + w.first_input(ox) * w.x_stride;
    for (int64_t i = 0; i < w.kernel; ++i) scratch.col_offset[i] = i * w.dilation * w.x_stride;
    for (int64_t oy = block.oy; oy < block.oy + block.n_rows; ++oy) {
      list_rows(p, chunks, scratch.rows, [&](int64_t kd, int64_t ky) {
        const int64_t z =
            padded_index(d.first_input(block.od) + kd * d.dilation, d.in, p.padding_mode);
        const int64_t y = padded_index(h.first_input(oy) + ky * h.dilation, h.in, p.padding_mode);
        return z < 0 || y < 0 ? kSkip : z * d.x_stride + y * h.x_stride;
      });
      for (int64_t i = tasks.begin; i < tasks.end; ++i) {
        const LaneBlock lanes = Kernel::template lanes_at<T>(p, i);
        run_row(block, lanes, oy, ox, n, x + Kernel::first_channel(p, lanes),
                w.stride * w.x_stride);
      }
    }
  }

  /// Whole vectors are read: the last ones of the last row must not leave x.
  bool may_read(const ColumnBlock& block, const LaneBlock& lanes, int64_t ox_end) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    const int64_t over = Kernel::template over_read<T>(lanes);
    if (over == 0) return true;
    const int64_t col = w.first_input(ox_end - 1) + (w.kernel - 1) * w.dilation;
    int64_t last = p.x_offset + block.n * p.x_batch_stride + Kernel::first_channel(p, lanes) +
                   lanes.n - 1 + col * w.x_stride;
    last += max_of(0, (d.in - 1) * d.x_stride) + max_of(0, (h.in - 1) * h.x_stride);
    return w.x_stride >= 0 && last + over < p.x_high;
  }

  void run_block(const ColumnBlock& block, const LaneTasks& tasks) const {
    if (skip_block(block, tasks)) return;
    if (!s.reads_x) return run_staged(block, tasks, block.ox, block.n_cols);
    const int64_t end = block.ox + block.n_cols;
    Interior in = interior_columns(p.axis[2]);
    in.low = min_of(max_of(in.low, block.ox), end);
    in.high = max_of(min_of(in.high, end), in.low);
    const LaneBlock last = Kernel::template lanes_at<T>(p, tasks.end - 1);
    while (in.high > in.low && !may_read(block, last, in.high)) --in.high;
    run_border(block, tasks, block.ox, in.low);
    if (in.high > in.low) run_in_place(block, tasks, in.low, in.high - in.low);
    run_border(block, tasks, in.high, end);
  }

  /// The staged box was sized for the usual border; what over-reading adds may need more parts.
  void run_border(const ColumnBlock& block, const LaneTasks& tasks, int64_t ox, int64_t end) const {
    for (; ox < end; ox += s.staged_cols)
      run_staged(block, tasks, ox, min_of(s.staged_cols, end - ox));
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

template <class T, class Kernel>
size_t channel_weight_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  const int64_t n_half = Kernel::template n_weights<T>(p) + 3 * p.n_out_channels();
  return static_cast<size_t>(n_halves(p) * n_half) * sizeof(T);
}

template <class T, class S, class Kernel>
size_t channel_scratch_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  ChannelScratch<T> unused;
  return lay_out(p, plan_chunks(p), Kernel::kTileVectors, make_channel_schedule<T, S, Kernel>(p),
                 nullptr, unused);
}

template <class T, class S, class Kernel>
int64_t n_channel_tasks(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  const ChannelSchedule s = make_channel_schedule<T, S, Kernel>(p);
  return p.n_batch * p.axis[0].out * s.n_y * s.n_x * s.n_parts;
}

template <class T, class S, class Kernel>
SWATH_ALWAYS_INLINE void pack_channel_half(const ConvProblem& p, const Buffers& b, T* to) {
  Kernel::template pack_weights<T, S>(p, static_cast<const S*>(b.read(p.w)) + p.w_offset, to);
  pack_values<S>(p, b, to + Kernel::template n_weights<T>(p));
}

template <class T, class S, class Kernel>
void pack_channels(const void* problem, const Buffers& b, void* to) noexcept {
  const ConvProblem& p = as_conv(problem);
  T* packed = static_cast<T*>(to);
  pack_channel_half<T, S, Kernel>(p, b, packed);
  if (!p.epilogue.has_gate) return;
  pack_channel_half<T, S, Kernel>(
      gate_half(p), b, packed + Kernel::template n_weights<T>(p) + 3 * p.n_out_channels());
}

template <class T, class S, class Kernel>
void run_channels(const void* problem, const Buffers& b, const void* packed, void* memory,
                  int64_t begin, int64_t end) noexcept {
  const ConvProblem& p = as_conv(problem);
  const T* weights = static_cast<const T*>(packed);
  ChannelWorker<T, S, Kernel> worker{p,
                                     b,
                                     weights,
                                     weights + Kernel::template n_weights<T>(p),
                                     make_channel_schedule<T, S, Kernel>(p),
                                     plan_chunks(p),
                                     tile_finish<T, S>(p),
                                     {}};
  lay_out(p, worker.chunks, Kernel::kTileVectors, worker.s, memory, worker.scratch);
  for (int64_t i = begin; i < end; ++i) worker.run_task(i);
}

}  // namespace
}  // namespace swath::SWATH_ISA
