// One input and one output channel per group, channels last: each lane is a channel of its own.
// Tasks: partial sums x shares of the lanes.
#include "core/isa_table.h"
#include "ops/conv_weight_grad/parts.h"
#include "ops/conv_weight_grad/tiles.h"

namespace swath::SWATH_ISA {
namespace {

inline constexpr int kMostWeights = 12;
/// Vectors of channels of a task: a pixel of it is some cache lines.
inline constexpr int64_t kShareVectors = 4;

struct Schedule {
  BlockGrid grid;
  int64_t n_shares;
};

template <class T>
SWATH_ALWAYS_INLINE Schedule make_grad_schedule(const ConvProblem& p) {
  Schedule s;
  // In units of one channel: a share has some vectors of them.
  const int64_t cols = min_of(p.axis[2].out, kBlockTerms);
  int64_t rows = max_of(kBlockTerms / max_of(cols, 1), 1);
  const int64_t vectors = ceil_div(p.n_groups, kLanes<T>);
  const int64_t width = min_of(vectors, kShareVectors) * kLanes<T>;
  while (rows > 1 && box_elements(p, rows, cols) * width * sizeof(T) > 2.0 * kMostBoxBytes) {
    rows = (rows + 1) / 2;
  }
  s.grid = make_position_grid<T>(p, rows, cols);
  s.n_shares = ceil_div(vectors, kShareVectors);
  return s;
}

template <class T>
struct Memory {
  T *sums, *dy, *x, *mask_line;
  int64_t* offset;
};

template <class T>
SWATH_ALWAYS_INLINE size_t lay_out(const ConvProblem& p, const Schedule& s, void* start,
                                   Memory<T>& m) {
  Carver cut{static_cast<char*>(start)};
  const int64_t width = min_of(ceil_div(p.n_groups, kLanes<T>), kShareVectors) * kLanes<T>;
  m.sums = cut.take<T>(p.n_taps() * width);
  m.dy = cut.take<T>(s.grid.rows * s.grid.cols * width);
  m.x = cut.take<T>(static_cast<int64_t>(box_elements(p, s.grid.rows, s.grid.cols)) * width);
  m.offset = cut.take<int64_t>(p.n_taps());
  m.mask_line = cut.take<T>(mask_line_elements(p, width, s.grid.cols));
  return static_cast<size_t>(cut.used);
}

/// Pixels of a box, staged or in place: steps between rows and columns of pixels and planes.
template <class T>
struct Pixels {
  const T* at;
  int64_t plane, row, col;
};

template <class T, class S>
struct Worker {
  const WeightGradProblem& w;
  const Buffers& b;
  Schedule s;
  Memory<T> m;

  /// The n channels of `part` that the block sees. Whole vectors may be read.
  Pixels<T> open(const ConvProblem& part, const Block& block, int64_t n, T* staged) const {
    const auto& [d, h, q] = part.axis;
    const InputBox box = input_box(part, block);
    const S* x = x_base<S>(part, b) + part.x_offset + block.n * part.x_batch_stride;
    const int64_t pitch = round_up(n, kLanes<T>);
    if (!part.mask.has_values && sizeof(T) == sizeof(S) && part.x_channel_stride == 1 &&
        n == pitch && is_inside(part, box)) {
      x += box.first[0] * d.x_stride + box.first[1] * h.x_stride + box.first[2] * q.x_stride;
      return {reinterpret_cast<const T*>(x), d.x_stride * d.dilation, h.x_stride, q.x_stride};
    }
    const BoxLayout layout{pitch, box.n[2] * pitch, box.n[1] * box.n[2] * pitch};
    const MaskSource<T> mask = mask_source(part, b, block.n, 0, m.mask_line);
    stage_box<T, S>(part, x, mask, {0, n, 1}, box, layout, staged);
    return {staged, layout.plane_pitch, layout.row_pitch, pitch};
  }

  static auto pick(int64_t n_weights) -> void (*)(const GradTile<T>&) {
    switch (n_weights) {
#define SWATH_CASE(J) \
  case J:             \
    return &own_grads<T, 1, J>;
      SWATH_UP_TO_12(SWATH_CASE)
#undef SWATH_CASE
    }
    return nullptr;
  }

  void add_block(const ConvProblem& x_all, const ConvProblem& dy_all, const Block& block,
                 int64_t n) const {
    const auto& [d, h, q] = x_all.axis;
    const Pixels<T> x = open(x_all, block, n, m.x), dy = open(dy_all, block, n, m.dy);
    int64_t at = 0;
    for (int64_t k = 0; k < d.kernel; ++k) {
      for (int64_t i = 0; i < h.kernel; ++i) {
        for (int64_t j = 0; j < q.kernel; ++j) {
          m.offset[at++] = k * x.plane + i * h.dilation * x.row + j * q.dilation * x.col;
        }
      }
    }
    GradTile<T> tile{};
    tile.n_rows = block.n_rows;
    tile.dy_row = dy.row;
    tile.x_row = h.stride * x.row;
    tile.n_steps = block.n_cols;
    tile.dy_step = dy.col;
    tile.x_step = q.stride * x.col;
    for (int64_t lane = 0; lane < n; lane += kLanes<T>) {
      tile.dy = dy.at + lane;
      tile.x = x.at + lane;
      T* sums = m.sums + lane * at;
      in_equal_runs(at, kMostWeights, [&](int64_t first, int64_t count) {
        tile.offset = m.offset + first;
        tile.sums = sums + first * kLanes<T>;
        pick(count)(tile);
      });
    }
  }

  void run_task(int64_t task) const {
    const ConvProblem& p = w.conv;
    const int64_t vectors = ceil_div(p.n_groups, kLanes<T>);
    const int64_t share = task % s.n_shares, partial = task / s.n_shares;
    const int64_t first = vectors * share / s.n_shares * kLanes<T>;
    const int64_t last = min_of(vectors * (share + 1) / s.n_shares * kLanes<T>, p.n_groups);
    const int64_t n = last - first, taps = p.n_taps();
    const ConvProblem x = x_part(p, first, 0, n), dy = dy_part(w, first, n);
    fill_zero(m.sums, round_up(n, kLanes<T>) * taps);
    const BlockRange range = partial_range(w, s.grid, partial);
    for (int64_t i = range.begin; i < range.end; ++i) add_block(x, dy, s.grid.at(x, i), n);
    for (int64_t lane = 0; lane < n; lane += kLanes<T>) {
      write_lanes<T, S>(w, b, partial, (first + lane) * taps, taps, m.sums + lane * taps, kLanes<T>,
                        min_of(kLanes<T>, n - lane), taps);
    }
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const ConvProblem& p = as_grad(problem).conv;
  if (p.in_per_group != 1 || p.out_per_group != 1) {
    return "a group has more than one channel";
  }
  if (p.x_channel_stride != 1 && p.y_channel_stride != 1) return "channels are not consecutive";
  // Lanes that no channel fills against those of rows that are turned.
  if (2 * p.n_groups < kLanes<T>) return "fewer channels than half the lanes";
  if (static_cast<double>(p.n_taps()) * kShareVectors * kVecBytes > 64e6) {
    return "the sums of all taps would not fit into scratch memory";
  }
  return is_box_too_large(p, double{kShareVectors * kLanes<T>}, sizeof(T)) ? kBoxTooLarge : nullptr;
}

size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class T>
size_t scratch_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_grad(problem).conv;
  Memory<T> unused;
  return lay_out(p, make_grad_schedule<T>(p), nullptr, unused);
}

template <class T>
int64_t n_tasks(const void* problem) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  return w.n_partials * make_grad_schedule<T>(w.conv).n_shares;
}

template <class T, class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  Worker<T, S> worker{w, b, make_grad_schedule<T>(w.conv), {}};
  lay_out(w.conv, worker.s, memory, worker.m);
  for (int64_t i = begin; i < end; ++i) worker.run_task(i);
}

}  // namespace

#define SWATH_GRADS(name, T, S)                                      \
  extern const KernelFns conv_weight_grad_depthwise_channels_##name; \
  const KernelFns conv_weight_grad_depthwise_channels_##name{        \
      reject<T>, no_bytes, no_pack, scratch_bytes<T>, n_tasks<T>, run<T, S>};
SWATH_GRADS(f32, float, float)
SWATH_GRADS(f64, double, double)
SWATH_GRADS(f16, float, f16)
SWATH_GRADS(bf16, float, bf16)
#undef SWATH_GRADS

}  // namespace swath::SWATH_ISA
