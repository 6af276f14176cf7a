// Lanes along output channels: V vectors of dy at one position meet J values of x that all lanes
// share. dy is read in place where its channels are consecutive, else turned; x in place where no
// padding and no conversion is needed, else staged. Tasks: partial sums x blocks of output channels
// x blocks of input channels.
#include "core/isa_table.h"
#include "ops/conv_weight_grad/lanes_cost.h"
#include "ops/conv_weight_grad/parts.h"
#include "ops/conv_weight_grad/tiles.h"

namespace swath::SWATH_ISA {
namespace {

inline constexpr int kVectors = 2;
inline constexpr int kMostWeights = kGradRegisters / kVectors;
/// Sums of one task.
inline constexpr double kMostSumBytes = 64e6;

template <class T>
struct Schedule {
  BlockGrid grid;
  int64_t n_lane_blocks, channels, n_channel_blocks;
};

template <class T>
SWATH_ALWAYS_INLINE Schedule<T> make_grad_schedule(const WeightGradProblem& w) {
  const ConvProblem& p = w.conv;
  Schedule<T> s;
  const int64_t cols = min_of(p.axis[2].out, kBlockTerms);
  s.grid = make_position_grid<T>(p, max_of(kBlockTerms / max_of(cols, 1), 1), cols);
  s.n_lane_blocks = n_lane_blocks<T>(p.out_per_group, kVectors);
  const double box = box_elements(p, s.grid.rows, s.grid.cols) * sizeof(T);
  const int64_t fit = box < kMostBoxBytes ? static_cast<int64_t>(kMostBoxBytes / box) : 1;
  // Each block of input channels turns dy again: not more of them than tasks are wanted.
  const int64_t other_tasks = p.n_groups * s.n_lane_blocks * w.n_partials;
  const int64_t wanted = ceil_div(p.in_per_group, ceil_div(kEnoughTasks, other_tasks));
  s.channels = max_of(min_of(fit, max_of(wanted, 8)), 1);
  s.n_channel_blocks = ceil_div(p.in_per_group, s.channels);
  s.channels = ceil_div(p.in_per_group, s.n_channel_blocks);
  return s;
}

template <class T>
struct Memory {
  T *sums, *dy, *staged, *mask_line;
  int64_t *offset, *row_offset, *col_offset;
};

template <class T>
SWATH_ALWAYS_INLINE size_t lay_out(const WeightGradProblem& w, const Schedule<T>& s, void* start,
                                   Memory<T>& m) {
  const ConvProblem& p = w.conv;
  Carver cut{static_cast<char*>(start)};
  const int64_t n = s.channels * p.n_taps();
  m.sums = cut.take<T>(n * kVectors * kLanes<T>);
  m.dy = cut.take<T>(s.grid.rows * s.grid.cols * kVectors * kLanes<T>);
  // stage_rows splits rows and columns by their residue, which rounds up.
  const auto& [d, h, q] = p.axis;
  const int64_t box = d.kernel * (inputs_seen(h, s.grid.rows) + h.stride) *
                      (inputs_seen(q, s.grid.cols) + q.stride);
  m.staged = cut.take<T>(s.channels * box + 2 * kLanes<T>);
  m.offset = cut.take<int64_t>(n);
  m.mask_line = cut.take<T>(mask_line_elements(p, s.channels, s.grid.cols));
  m.row_offset = cut.take<int64_t>(d.kernel * h.kernel);
  m.col_offset = cut.take<int64_t>(q.kernel);
  return static_cast<size_t>(cut.used);
}

/// Where the values of x are: element 0, and the steps between positions and channels. The tables
/// hold the taps' offsets.
template <class T>
struct Source {
  const T* x;
  int64_t channel_stride, row, col;
};

template <class T, class S>
struct Worker {
  const WeightGradProblem& w;
  const Buffers& b;
  Schedule<T> s;
  Memory<T> m;

  /// x in place. Only single values are read, so nothing beyond the box is.
  Source<T> open_in_place(const ConvProblem& part, const Block& block, const InputBox& box) const {
    const auto& [d, h, q] = part.axis;
    const S* x = x_base<S>(part, b) + part.x_offset + block.n * part.x_batch_stride;
    for (int64_t k = 0; k < d.kernel; ++k) {
      for (int64_t i = 0; i < h.kernel; ++i) {
        m.row_offset[k * h.kernel + i] = k * d.dilation * d.x_stride + i * h.dilation * h.x_stride;
      }
    }
    for (int64_t i = 0; i < q.kernel; ++i) m.col_offset[i] = i * q.dilation * q.x_stride;
    x += box.first[0] * d.x_stride + box.first[1] * h.x_stride + box.first[2] * q.x_stride;
    return {reinterpret_cast<const T*>(x), part.x_channel_stride, h.stride * h.x_stride,
            q.stride * q.x_stride};
  }

  MaskSource<T> mask_of(const ConvProblem& part, const Block& block) const {
    return mask_source(part, b, block.n, 0, m.mask_line);
  }

  Source<T> open_pixels(const ConvProblem& part, const Block& block, const InputBox& box) const {
    const auto& [d, h, q] = part.axis;
    const int64_t n = part.in_per_group;
    const BoxLayout layout{n, box.n[2] * n, box.n[1] * box.n[2] * n};
    const S* x = x_base<S>(part, b) + part.x_offset + block.n * part.x_batch_stride;
    stage_box<T, S>(part, x, mask_of(part, block), {0, n, 1}, box, layout, m.staged);
    for (int64_t k = 0; k < d.kernel; ++k) {
      for (int64_t i = 0; i < h.kernel; ++i) {
        m.row_offset[k * h.kernel + i] = k * layout.plane_pitch + i * h.dilation * layout.row_pitch;
      }
    }
    for (int64_t i = 0; i < q.kernel; ++i) m.col_offset[i] = i * q.dilation * n;
    return {m.staged, 1, h.stride * layout.row_pitch, q.stride * n};
  }

  Source<T> open_rows(const ConvProblem& part, const Block& block, const InputBox& box) const {
    const auto& [d, h, q] = part.axis;
    const RowsLayout layout = make_layout(part, block.n_rows, block.n_cols);
    const S* x = x_base<S>(part, b);
    stage_rows<T, S>(part, x + part.x_offset + block.n * part.x_batch_stride, x + part.x_high,
                     mask_of(part, block), part.in_per_group, box, layout, m.staged);
    for (int64_t k = 0; k < d.kernel; ++k) {
      for (int64_t i = 0; i < h.kernel; ++i) {
        m.row_offset[k * h.kernel + i] = k * layout.plane_pitch + layout.row(i * h.dilation);
      }
    }
    for (int64_t i = 0; i < q.kernel; ++i) m.col_offset[i] = layout.col(i * q.dilation);
    return {m.staged, layout.channel_pitch, layout.row_pitch, 1};
  }

  Source<T> open_x(const ConvProblem& part, const Block& block) const {
    const InputBox box = input_box(part, block);
    if (!part.mask.has_values && sizeof(T) == sizeof(S) && is_inside(part, box))
      return open_in_place(part, block, box);
    return part.x_channel_stride == 1 ? open_pixels(part, block, box) : open_rows(part, block, box);
  }

  /// dy of the block and of `lanes`: [row][column][lane].
  void open_dy(const ConvProblem& part, const Block& block, const LaneBlock& lanes,
               GradTile<T>& t) const {
    const auto& [d, h, q] = part.axis;
    const S* dy = x_base<S>(part, b) + part.x_offset + block.n * part.x_batch_stride;
    const int64_t width = lanes.n_vectors * kLanes<T>;
    if (sizeof(T) == sizeof(S) && part.x_channel_stride == 1 && lanes.n == width) {
      dy += block.od * d.x_stride + block.oy * h.x_stride + block.ox * q.x_stride;
      t.dy = reinterpret_cast<const T*>(dy);
      t.dy_row = h.x_stride;
      t.dy_step = q.x_stride;
      return;
    }
    InputBox box;
    set_box_axis(box, d, 0, block.od, 1);
    set_box_axis(box, h, 1, block.oy, block.n_rows);
    set_box_axis(box, q, 2, block.ox, block.n_cols);
    const BoxLayout layout{width, block.n_cols * width, block.n_rows * block.n_cols * width};
    stage_box<T, S>(part, dy, {}, {0, lanes.n, 1}, box, layout, m.dy);
    t.dy = m.dy;
    t.dy_row = layout.row_pitch;
    t.dy_step = width;
  }

  static auto pick(int vectors, int64_t n_weights) -> void (*)(const GradTile<T>&) {
    switch (n_weights) {
#define SWATH_CASE(J)                                                        \
  case J:                                                                    \
    if constexpr (J <= kMostWeights) {                                       \
      return vectors == 1 ? &shared_grads<T, 1, J> : &shared_grads<T, 2, J>; \
    }                                                                        \
    break;
      SWATH_UP_TO_12(SWATH_CASE)
#undef SWATH_CASE
    }
    return nullptr;
  }

  void add_block(const ConvProblem& x, const ConvProblem& dy, const Block& block,
                 const LaneBlock& lanes) const {
    const auto& [d, h, q] = x.axis;
    const Source<T> source = open_x(x, block);
    GradTile<T> tile{};
    open_dy(dy, block, lanes, tile);
    int64_t n = 0;
    for (int64_t c = 0; c < x.in_per_group; ++c) {
      for (int64_t row = 0; row < d.kernel * h.kernel; ++row) {
        for (int64_t i = 0; i < q.kernel; ++i) {
          m.offset[n++] = c * source.channel_stride + m.row_offset[row] + m.col_offset[i];
        }
      }
    }
    tile.x = source.x;
    tile.n_rows = block.n_rows;
    tile.x_row = source.row;
    tile.n_steps = block.n_cols;
    tile.x_step = source.col;
    in_equal_runs(n, kMostWeights, [&](int64_t first, int64_t count) {
      tile.offset = m.offset + first;
      tile.sums = m.sums + first * lanes.n_vectors * kLanes<T>;
      pick(lanes.n_vectors, count)(tile);
    });
  }

  void run_task(int64_t task) const {
    const ConvProblem& p = w.conv;
    const int64_t c0 = task % s.n_channel_blocks * s.channels;
    task /= s.n_channel_blocks;
    const LaneBlock lanes = lane_block<T>(p.out_per_group, kVectors, task % s.n_lane_blocks);
    task /= s.n_lane_blocks;
    const int64_t g = task % p.n_groups, partial = task / p.n_groups;
    const int64_t channels = min_of(s.channels, p.in_per_group - c0);
    const ConvProblem x = x_part(p, g, c0, channels);
    const int64_t o = g * p.out_per_group + lanes.first;
    const ConvProblem dy = dy_part(w, o, lanes.n);
    const int64_t n = channels * p.n_taps(), pitch = lanes.n_vectors * kLanes<T>;
    fill_zero(m.sums, n * pitch);
    const BlockRange range = partial_range(w, s.grid, partial);
    for (int64_t i = range.begin; i < range.end; ++i) {
      add_block(x, dy, s.grid.at(x, i), lanes);
    }
    const int64_t per_output = p.in_per_group * p.n_taps();
    write_lanes<T, S>(w, b, partial, o * per_output + c0 * p.n_taps(), per_output, m.sums, pitch,
                      lanes.n, n);
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  const ConvProblem& p = w.conv;
  if (p.in_per_group == 0) return "there are no input channels";
  if (is_box_too_large(p, 1, sizeof(T))) return kBoxTooLarge;
  if (static_cast<double>(p.n_taps()) * kVectors * kVecBytes > kMostSumBytes) {
    return "the sums of all taps would not fit into scratch memory";
  }
  return prefers_grad_rows<T>(w) ? "lanes along a row cost less than lanes along channels"
                                 : nullptr;
}

size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class T>
size_t scratch_bytes(const void* problem) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  Memory<T> unused;
  return lay_out(w, make_grad_schedule<T>(w), nullptr, unused);
}

template <class T>
int64_t n_tasks(const void* problem) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  const Schedule<T> s = make_grad_schedule<T>(w);
  return w.n_partials * w.conv.n_groups * s.n_lane_blocks * s.n_channel_blocks;
}

template <class T, class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  Worker<T, S> worker{w, b, make_grad_schedule<T>(w), {}};
  lay_out(w, worker.s, memory, worker.m);
  for (int64_t i = begin; i < end; ++i) worker.run_task(i);
}

}  // namespace

#define SWATH_GRADS(name, T, S)                                                                 \
  extern const KernelFns conv_weight_grad_dense_channels_##name;                                \
  const KernelFns conv_weight_grad_dense_channels_##name{reject<T>,        no_bytes,   no_pack, \
                                                         scratch_bytes<T>, n_tasks<T>, run<T, S>};
SWATH_GRADS(f32, float, float)
SWATH_GRADS(f64, double, double)
SWATH_GRADS(f16, float, f16)
SWATH_GRADS(bf16, float, bf16)
#undef SWATH_GRADS

}  // namespace swath::SWATH_ISA
