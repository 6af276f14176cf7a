// Many output channels per group, channels first: lanes along positions, tiles of up to 8 output
// channels. Rows of a block may be run together as one line of positions (what falls between two
// rows is computed and dropped), so that narrow images fill the vectors.
#include "core/isa_table.h"
#include "ops/sliding_conv/rows.h"

namespace swath::SWATH_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
// 8 x 3 sums, 3 of x and a weight: 28 of 32 registers, 11 loads for 24 multiply-adds.
inline constexpr int kWidth = 8, kVectors = 3;
#elif defined(__AVX2__)
// 4 x 3 sums, 3 of x and a weight: 16 of 16 registers.
inline constexpr int kWidth = 4, kVectors = 3;
#else
// Without FMA a product needs a register too.
inline constexpr int kWidth = 4, kVectors = 2;
#endif
/// Input of a block: stays in a second-level cache beside the weights.
inline constexpr int64_t kStagedBytes = 160 * 1024;

struct Schedule {
  BlockGrid grid;
  bool joins_rows;
  int64_t staged;  // elements
};

/// Wasted lanes decide: a row rounded up to vectors, or the gap between rows that run together.
template <class T>
SWATH_ALWAYS_INLINE bool should_join(const ConvProblem& p, int64_t cols) {
  const ConvAxis& w = p.axis[2];
  const int64_t gap = ceil_div(inputs_seen(w, cols), w.stride) - cols;
  return round_up(cols, kLanes<T>) - cols > gap + cols / 32;
}

template <class T>
SWATH_ALWAYS_INLINE Schedule make_schedule(const ConvProblem& p) {
  const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  const int64_t per_col = p.in_per_group * d.kernel * int64_t{sizeof(T)};
  const int64_t tile = kVectors * kLanes<T>;
  // Whole rows if `kernel` of them fit, else as many tiles as do.
  int64_t cols = w.out;
  const int64_t fit = kStagedBytes / (per_col * inputs_seen(h, 1) * w.stride);
  if (cols > fit) cols = min_of(max_of(fit / tile, 1) * tile, w.out);
  const int64_t row_bytes = per_col * inputs_seen(w, cols);
  const int64_t rows = (kStagedBytes / row_bytes - (h.kernel - 1) * h.dilation) / h.stride;
  Schedule s;
  s.grid = make_grid(p, min_of(max_of(rows, 1), h.out), cols);
  s.joins_rows = should_join<T>(p, cols);
  s.staged = p.in_per_group * make_layout(p, s.grid.rows, cols).channel_pitch + kLanes<T>;
  return s;
}

template <class T>
using TileFn = void(const RowTile<T>&);

template <class T>
SWATH_ALWAYS_INLINE TileFn<T>* pick_tile(int width, int64_t vectors) {
#define SWATH_TILE(OB, V) \
  case (OB) * 16 + (V):   \
    return &row_tile<T, 1, OB, V>;
  switch (width * 16 + vectors) {
    SWATH_TILE(1, 1)
    SWATH_TILE(1, 2)
    SWATH_TILE(2, 1)
    SWATH_TILE(2, 2)
    SWATH_TILE(4, 1)
    SWATH_TILE(4, 2)
#if defined(__AVX2__) || defined(__aarch64__)
    SWATH_TILE(1, 3)
    SWATH_TILE(2, 3)
    SWATH_TILE(4, 3)
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
    SWATH_TILE(8, 1)
    SWATH_TILE(8, 2)
    SWATH_TILE(8, 3)
#endif
  }
#undef SWATH_TILE
  return nullptr;
}

/// Positions [first, first + n) of a line of outputs, rows `pitch` positions apart.
struct Line {
  int64_t row, n, pitch;
};

template <class T, class S>
struct Worker {
  const ConvProblem& p;
  const Buffers& b;
  const T* weights;
  const T* values;
  Schedule s;
  ChunkPlan chunks;
  TileFinish finish;
  Scratch<T> scratch;

  /// Writes the tile's positions [f, f + n) of `width` channels, row by row.
  void finish_tile(const Block& block, const Line& line, int64_t o, int width, int64_t f, int64_t n,
                   int64_t tile_cols) const {
    int64_t row = line.row + f / line.pitch, col = f % line.pitch;
    for (int64_t done = 0; done < n;) {
      const int64_t in_row = min_of(line.pitch - col, n - done);
      const int64_t valid = min_of(block.n_cols - col, in_row);
      for (int i = 0; valid > 0 && i < width; ++i) {
        const int64_t at = i * tile_cols + done;
        RunSums<T> sums{align_run(scratch.tile + at, valid, scratch.sums), nullptr};
        if (p.epilogue.has_gate) {
          sums.gate = align_run(scratch.gate + at, valid, scratch.sums + kVectors * kLanes<T>);
        }
        finish_columns<T, S>(p, b, values, block, o + i, block.oy + row, block.ox + col, valid,
                             sums);
      }
      done += in_row;
      ++row;
      col = 0;
    }
  }

  /// finish works in whole vectors, which would run into the next row's sums: those runs are moved.
  static T* align_run(T* acc, int64_t n, T* to) {
    if (n % kLanes<T> == 0) return acc;
    __builtin_memcpy(to, acc, static_cast<size_t>(n) * sizeof(T));
    return to;
  }

  /// Columns of one row that count, or all positions of rows that run together.
  void run_line(const Block& block, const BlockInput<T>& in, const Line& line, int64_t o, int width,
                const RowTile<T>& shared) const {
    const int64_t oy = block.oy + line.row;
    const ActiveRows rows = active_rows(p, b, block.n, block.od, oy, 1, 1);
    for_each_run(rows, block.ox, block.ox + line.n, [&](int64_t begin, int64_t end, bool active) {
      if (active) {
        run_tiles(block, in, line, o, width, begin - block.ox, end - block.ox, shared);
        return;
      }
      for (int i = 0; i < width; ++i) {
        skip_columns<T, S>(p, b, block, o + i, oy, begin, end - begin);
      }
    });
  }

  /// Positions [begin, end) of a line.
  __attribute__((noinline)) void run_tiles(const Block& block, const BlockInput<T>& in,
                                           const Line& line, int64_t o, int width, int64_t begin,
                                           int64_t end, const RowTile<T>& shared) const {
    const ConvAxis &h = p.axis[1], &w = p.axis[2];
    const int64_t channel = block.g * p.out_per_group + o;
    const bool is_direct = finish.is_direct && w.y_stride == 1 && line.n <= line.pitch;
    const int64_t n_vectors = ceil_div(end - begin, kLanes<T>);
    const int64_t n_tiles = ceil_div(n_vectors, kVectors);
    RowTile<T> t = shared;
    t.w = weights + channel * p.in_per_group * p.n_taps();
    t.n_rows = 1;
    t.n_channels_out = width;
    T* y = static_cast<T*>(b.write(p.y));
    if (is_direct) {
      y += p.y_offset + block.n * p.y_batch_stride + channel * p.y_channel_stride +
           block.od * p.axis[0].y_stride + (block.oy + line.row) * h.y_stride + block.ox;
      t.out_channel_stride = p.y_channel_stride;
      t.bias = p.epilogue.has_bias ? values + channel : nullptr;
      t.has_clamp = finish.has_clamp;
      t.low = static_cast<T>(finish.low);
      t.high = static_cast<T>(finish.high);
    }
    for (int64_t i = 0; i < n_tiles; ++i) {
      const int64_t v0 = n_vectors * i / n_tiles, v1 = n_vectors * (i + 1) / n_tiles;
      const int64_t f = begin + v0 * kLanes<T>;
      const int64_t n = min_of(begin + v1 * kLanes<T>, end) - f;
      t.x = in.x + line.row * in.out_row_stride + f;
      t.n_cols = is_direct ? n : (v1 - v0) * kLanes<T>;
      t.out = is_direct ? y + f : scratch.tile;
      if (!is_direct) t.out_channel_stride = t.n_cols;
      if (is_direct) set_factors(p, b, block, block.oy + line.row, block.ox + f, 0, t);
      auto* tile_fn = pick_tile<T>(width, v1 - v0);
      run_tile(p, chunks, tile_fn, width, v1 - v0, 1, t, scratch.sums);
      if (p.epilogue.has_gate) {
        RowTile<T> gate = t;
        gate.w += n_packed(p);
        gate.out = scratch.gate;
        run_tile(p, chunks, tile_fn, width, v1 - v0, 1, gate, scratch.sums);
      }
      if (!is_direct) finish_tile(block, line, o, width, f, n, t.n_cols);
    }
  }

  void run_block(const Block& block) const {
    if (skip_block<T, S>(p, b, block)) return;
    const BlockInput<T> in = open_block<T, S>(p, b, block, p.axis[1].kernel, scratch);
    const bool joins = s.joins_rows && !has_factors(p) && block.n_rows > 1 &&
                       (in.is_staged || can_join(in, block));
    for (int64_t o = 0; o < p.out_per_group;) {
      const int width = block_width(p.out_per_group - o, kWidth);
      RowTile<T> t =
          make_tile<T>(p, p.axis[1].kernel, scratch.row_offset, scratch.col_offset, width);
      t.x_channel_stride = in.channel_stride;
      if (joins) {
        const int64_t n = (block.n_rows - 1) * in.out_row_stride + block.n_cols;
        run_line(block, in, {0, n, in.out_row_stride}, o, width, t);
      } else {
        for (int64_t row = 0; row < block.n_rows; ++row) {
          run_line(block, in, {row, block.n_cols, block.n_cols}, o, width, t);
        }
      }
      o += width;
    }
  }

  /// Rows of x itself run together if they follow each other closely.
  bool can_join(const BlockInput<T>& in, const Block& block) const {
    return in.out_row_stride >= block.n_cols && in.out_row_stride <= block.n_cols + kLanes<T> / 2;
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  if (p.in_per_group == 0) return "there are no input channels";
  return is_box_too_large(p, p.in_per_group, sizeof(T)) ? kBoxTooLarge : nullptr;
}

template <class T, class S>
void pack(const void* problem, const Buffers& b, void* to) noexcept {
  pack_row_weights<T, S>(as_conv(problem), b, kWidth, static_cast<T*>(to));
}

template <class T>
size_t scratch_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  const Schedule s = make_schedule<T>(p);
  Scratch<T> unused;
  return lay_out(p, p.axis[1].kernel, kWidth * kVectors, s.grid.cols, s.staged, nullptr, unused);
}

template <class T>
int64_t n_tasks(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  return make_schedule<T>(p).grid.count(p);
}

template <class T, class S>
void run(const void* problem, const Buffers& b, const void* packed, void* memory, int64_t begin,
         int64_t end) noexcept {
  const ConvProblem& p = as_conv(problem);
  Worker<T, S> worker{p,
                      b,
                      static_cast<const T*>(packed),
                      static_cast<const T*>(packed) + n_row_weights(p),
                      make_schedule<T>(p),
                      plan_chunks(p),
                      tile_finish<T, S>(p),
                      {}};
  lay_out(p, p.axis[1].kernel, kWidth * kVectors, worker.s.grid.cols, worker.s.staged, memory,
          worker.scratch);
  for (int64_t i = begin; i < end; ++i) {
    worker.run_block(worker.s.grid.at(p, i));
  }
}

}  // namespace

#define SWATH_DENSE_ROWS(name, T, S)                     \
  extern const KernelFns sliding_conv_dense_rows_##name; \
  const KernelFns sliding_conv_dense_rows_##name{        \
      reject<T>, row_weight_bytes<T>, pack<T, S>, scratch_bytes<T>, n_tasks<T>, run<T, S>};
SWATH_DENSE_ROWS(f32, float, float)
SWATH_DENSE_ROWS(f64, double, double)
SWATH_DENSE_ROWS(f16, float, f16)
SWATH_DENSE_ROWS(bf16, float, bf16)
#undef SWATH_DENSE_ROWS

}  // namespace swath::SWATH_ISA
