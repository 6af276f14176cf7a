// Lanes along a row of positions: a vector of dy meets x at several taps and channels. The sums of
// a task stay vectors until its last block; then the lanes are added. Tasks: partial sums x blocks
// of output channels x blocks of input channels.
#include "core/isa_table.h"
#include "ops/conv_weight_grad/lanes_cost.h"
#include "ops/conv_weight_grad/parts.h"
#include "ops/conv_weight_grad/tiles.h"

namespace swath::SWATH_ISA {
namespace {

inline constexpr int kMostOutputs = kGradRegisters / 6;  // of one tile
inline constexpr int64_t kTaskOutputs = 4 * kMostOutputs;
inline constexpr int kMostAlone = 12;  // weights of a tile of one output channel

/// Weights of a tile of `outputs` output channels.
SWATH_ALWAYS_INLINE int most_weights(int outputs) {
  return outputs == 1 ? kMostAlone : kGradRegisters / outputs;
}

struct Schedule {
  BlockGrid grid;
  int64_t outputs, n_output_blocks, channels, n_channel_blocks;
};

template <class T>
SWATH_ALWAYS_INLINE Schedule make_grad_schedule(const WeightGradProblem& w) {
  const ConvProblem& p = w.conv;
  Schedule s;
  const int64_t steps = ceil_div(p.axis[2].out, kLanes<T>);
  const int64_t most_cols = 128 * kLanes<T>;
  const int64_t rows = max_of(kBlockTerms / max_of(min_of(steps, 128), 1), 1);
  s.grid = make_position_grid<T>(p, rows, most_cols);
  s.n_output_blocks = ceil_div(p.out_per_group, kTaskOutputs);
  s.outputs = ceil_div(p.out_per_group, s.n_output_blocks);
  const double box = box_elements(p, s.grid.rows, s.grid.cols) * sizeof(T);
  const int64_t fit = box < kMostBoxBytes ? static_cast<int64_t>(kMostBoxBytes / box) : 1;
  const int64_t other_tasks = p.n_groups * s.n_output_blocks * w.n_partials;
  const int64_t wanted = ceil_div(p.in_per_group, ceil_div(kEnoughTasks, other_tasks));
  s.channels = max_of(min_of(fit, wanted), 1);
  s.n_channel_blocks = ceil_div(p.in_per_group, s.channels);
  s.channels = ceil_div(p.in_per_group, s.n_channel_blocks);
  return s;
}

template <class T>
struct Memory {
  T *sums, *dy, *x, *result, *mask_line;
  int64_t *offset, *row_offset, *col_offset, *unused;
};

/// Room for n_channels channels that open_block stages.
template <class T>
SWATH_ALWAYS_INLINE int64_t staged_elements(const ConvProblem& p, const BlockGrid& grid,
                                            int64_t n_channels) {
  return n_channels * make_layout(p, grid.rows, grid.cols).channel_pitch + 2 * kLanes<T>;
}

template <class T>
SWATH_ALWAYS_INLINE size_t lay_out(const WeightGradProblem& w, const Schedule& s, void* start,
                                   Memory<T>& m) {
  const ConvProblem& p = w.conv;
  Carver cut{static_cast<char*>(start)};
  const int64_t n = s.channels * p.n_taps();
  m.sums = cut.take<T>(n * s.outputs * kLanes<T>);
  m.result = cut.take<T>(n);
  m.dy = cut.take<T>(staged_elements<T>(dy_part(w, 0, 1), s.grid, s.outputs));
  m.x = cut.take<T>(staged_elements<T>(p, s.grid, s.channels));
  m.offset = cut.take<int64_t>(n);
  m.row_offset = cut.take<int64_t>(p.axis[0].kernel * p.axis[1].kernel);
  m.col_offset = cut.take<int64_t>(p.axis[2].kernel);
  m.unused = cut.take<int64_t>(2);
  m.mask_line = cut.take<T>(mask_line_elements(p, s.channels, s.grid.cols));
  return static_cast<size_t>(cut.used);
}

template <class T, class S>
struct Worker {
  const WeightGradProblem& w;
  const Buffers& b;
  Schedule s;
  Memory<T> m;

  static auto pick(int outputs, int64_t n_weights) -> void (*)(const GradTile<T>&) {
    switch (n_weights) {
#define SWATH_CASE(J)                                             \
  case J:                                                         \
    if constexpr (J * 4 <= kGradRegisters && kMostOutputs >= 4) { \
      if (outputs == 4) return &own_grads<T, 4, J>;               \
    }                                                             \
    if constexpr (J * 2 <= kGradRegisters) {                      \
      if (outputs == 2) return &own_grads<T, 2, J>;               \
    }                                                             \
    return &own_grads<T, 1, J>;
      SWATH_UP_TO_12(SWATH_CASE)
#undef SWATH_CASE
    }
    return nullptr;
  }

  void add_block(const ConvProblem& x, const ConvProblem& dy, const Block& block) const {
    const auto& [d, h, q] = x.axis;
    const BlockInput<T> from = open_block<T, S>(
        x, b, block, h.kernel, {m.row_offset, m.col_offset, {}, {}, {}, m.mask_line, m.x});
    const BlockInput<T> grad =
        open_block<T, S>(dy, b, block, 1, {m.unused, m.unused + 1, {}, {}, {}, {}, m.dy});
    const int64_t n = x.in_per_group * x.n_taps();
    int64_t at = 0;
    for (int64_t c = 0; c < x.in_per_group; ++c) {
      for (int64_t row = 0; row < d.kernel * h.kernel; ++row) {
        for (int64_t i = 0; i < q.kernel; ++i) {
          m.offset[at++] = c * from.channel_stride + m.row_offset[row] + m.col_offset[i];
        }
      }
    }
    GradTile<T> tile{};
    tile.x = from.x;
    tile.n_rows = block.n_rows;
    tile.dy_row = grad.out_row_stride;
    tile.x_row = from.out_row_stride;
    tile.n_steps = block.n_cols / kLanes<T>;
    tile.n_last = static_cast<int>(block.n_cols % kLanes<T>);
    tile.dy_step = tile.x_step = kLanes<T>;
    tile.dy_out = grad.channel_stride;
    tile.sums_out = n * kLanes<T>;
    for (int64_t o = 0; o < dy.in_per_group;) {
      const int outputs = block_width(dy.in_per_group - o, kMostOutputs);
      tile.dy = grad.x + o * grad.channel_stride;
      in_equal_runs(n, most_weights(outputs), [&](int64_t first, int64_t count) {
        tile.offset = m.offset + first;
        tile.sums = m.sums + (o * n + first) * kLanes<T>;
        pick(outputs, count)(tile);
      });
      o += outputs;
    }
  }

  void run_task(int64_t task) const {
    const ConvProblem& p = w.conv;
    const int64_t c0 = task % s.n_channel_blocks * s.channels;
    task /= s.n_channel_blocks;
    const int64_t o0 = task % s.n_output_blocks * s.outputs;
    task /= s.n_output_blocks;
    const int64_t g = task % p.n_groups, partial = task / p.n_groups;
    const int64_t channels = min_of(s.channels, p.in_per_group - c0);
    const int64_t outputs = min_of(s.outputs, p.out_per_group - o0);
    const ConvProblem x = x_part(p, g, c0, channels);
    const ConvProblem dy = dy_part(w, g * p.out_per_group + o0, outputs);
    const int64_t n = channels * p.n_taps();
    fill_zero(m.sums, n * outputs * kLanes<T>);
    const BlockRange range = partial_range(w, s.grid, partial);
    for (int64_t i = range.begin; i < range.end; ++i) add_block(x, dy, s.grid.at(x, i));
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t j = 0; j < n; ++j) {
        m.result[j] = reduce_add(load(m.sums + (o * n + j) * kLanes<T>));
      }
      const int64_t output = g * p.out_per_group + o0 + o;
      write_weights<T, S>(w, b, partial, (output * p.in_per_group + c0) * p.n_taps(), m.result, 1,
                          n);
    }
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const ConvProblem& p = as_grad(problem).conv;
  if (p.in_per_group == 0) return "there are no input channels";
  if (static_cast<double>(p.n_taps()) * kTaskOutputs * kVecBytes > 64e6) {
    return "the sums of all taps would not fit into scratch memory";
  }
  return is_box_too_large(p, 1, sizeof(T)) ? kBoxTooLarge : nullptr;
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
  const Schedule s = make_grad_schedule<T>(w);
  return w.n_partials * w.conv.n_groups * s.n_output_blocks * s.n_channel_blocks;
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

#define SWATH_GRADS(name, T, S)                                                       \
  extern const KernelFns conv_weight_grad_rows_##name;                                \
  const KernelFns conv_weight_grad_rows_##name{reject<T>,        no_bytes,   no_pack, \
                                               scratch_bytes<T>, n_tasks<T>, run<T, S>};
SWATH_GRADS(f32, float, float)
SWATH_GRADS(f64, double, double)
SWATH_GRADS(f16, float, f16)
SWATH_GRADS(bf16, float, bf16)
#undef SWATH_GRADS

}  // namespace swath::SWATH_ISA
