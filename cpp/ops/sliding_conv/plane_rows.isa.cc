// Few output channels per group (depthwise, image filters, 1-D): lanes along a row, tiles of up to
// 4 output rows of one channel that share the loaded input rows.
#include "core/isa_table.h"
#include "ops/sliding_conv/rows.h"

namespace swath::SWATH_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
// 4 rows x 4 vectors of sums, 4 of x and a weight: 21 of 32 registers.
inline constexpr int kTileVectors = 4, kLineVectors = 8;
#else
// 4 rows x 2 vectors of sums, 2 of x and a weight: 11 of 16 registers.
inline constexpr int kTileVectors = 2, kLineVectors = 6;
#endif
inline constexpr int kTileRows = 4;
/// Staged elements of a block: half of a 1 MB second-level cache would still do, a first-level
/// cache of 32 KB holds the rows that one tile reads.
inline constexpr int64_t kStagedBytes = 64 * 1024;
/// Columns of a block: whole rows of usual images, long enough that the halo does not count; a
/// signal without rows gets longer ones, so that opening a block does not count either.
inline constexpr int64_t kBlockCols = 512, kSignalCols = 4096;
/// Narrower blocks are staged whole rather than split into border and interior.
inline constexpr int64_t kSplitCols = 256;

/// How a problem is cut.
struct Schedule {
  BlockGrid grid;
  int64_t spacing;     // output rows of one tile are this far apart: they share tap rows
  int64_t rows_apart;  // in tap rows
  int64_t n_tap_rows;  // of the row table, per plane
  int64_t staged;      // elements
};

SWATH_ALWAYS_INLINE int64_t gcd_of(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

template <class T>
SWATH_ALWAYS_INLINE Schedule make_schedule(const ConvProblem& p) {
  const ConvAxis &h = p.axis[1], &w = p.axis[2];
  Schedule s;
  const int64_t common = gcd_of(h.stride, h.dilation);
  s.spacing = h.dilation / common;
  s.rows_apart = h.stride / common;
  s.n_tap_rows = s.rows_apart * (kTileRows - 1) + h.kernel;
  const int64_t most = h.out == 1 && h.kernel == 1 ? kSignalCols : kBlockCols;
  const int64_t cols = w.out <= most + most / 2 ? w.out : most;
  const int64_t row_bytes =
      p.in_per_group * p.axis[0].kernel * inputs_seen(w, cols) * int64_t{sizeof(T)};
  const int64_t unit = kTileRows * s.spacing;
  const int64_t fit = (kStagedBytes / row_bytes - (h.kernel - 1) * h.dilation) / h.stride;
  const int64_t rows = max_of(fit / unit * unit, unit);
  s.grid = make_grid(p, min_of(rows, h.out), cols);
  if (s.grid.n_y > 1) s.grid = {round_up(s.grid.rows, unit), cols, 0, s.grid.n_x};
  s.grid.n_y = ceil_div(h.out, s.grid.rows);
  // A last tile of three rows reads the input of a fourth: it has room behind the block's.
  const RowsLayout layout = make_layout(p, s.grid.rows, cols);
  s.staged =
      p.in_per_group * layout.channel_pitch + s.spacing * h.stride * layout.row_pitch + kLanes<T>;
  return s;
}

template <class T>
using TileFn = void(const RowTile<T>&);

template <class T>
SWATH_ALWAYS_INLINE TileFn<T>* pick_tile(int rows, int64_t vectors) {
#define SWATH_TILE(R, V) \
  case (R) * 16 + (V):   \
    return &row_tile<T, R, 1, V>;
  switch (rows * 16 + vectors) {
    SWATH_TILE(1, 1)
    SWATH_TILE(1, 2)
    SWATH_TILE(1, 3)
    SWATH_TILE(1, 4)
    SWATH_TILE(1, 5)
    SWATH_TILE(1, 6)
    SWATH_TILE(2, 1)
    SWATH_TILE(2, 2)
    SWATH_TILE(4, 1)
    SWATH_TILE(4, 2)
#if defined(__AVX512F__) || defined(__aarch64__)
    SWATH_TILE(1, 7)
    SWATH_TILE(1, 8)
    SWATH_TILE(2, 3)
    SWATH_TILE(2, 4)
    SWATH_TILE(4, 3)
    SWATH_TILE(4, 4)
#endif
  }
#undef SWATH_TILE
  return nullptr;
}

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
  RowTile<T> tile;  // what all tiles share

  /// What the tiles of one output channel share.
  RowTile<T> channel_tile(const Block& block, const BlockInput<T>& in, int64_t o,
                          bool is_direct) const {
    const int64_t channel = block.g * p.out_per_group + o;
    RowTile<T> t = tile;
    t.x_channel_stride = in.channel_stride;
    t.w = weights + channel * p.in_per_group * p.n_taps();
    t.n_channels_out = 1;
    if (is_direct) {
      t.out_row_stride = s.spacing * p.axis[1].y_stride;
      t.bias = p.epilogue.has_bias ? values + channel : nullptr;
      t.has_clamp = finish.has_clamp;
      t.low = static_cast<T>(finish.low);
      t.high = static_cast<T>(finish.high);
    }
    return t;
  }

  /// Rows first, first + spacing, ... of the block for channel o, all columns that count: tiles of
  /// n_rows, of which `valid` are stored. y points at the block's first output if the tiles write
  /// it themselves.
  void run_rows(const Block& block, const BlockInput<T>& in, int64_t o, int64_t first, int n_rows,
                int valid, RowTile<T>& t, T* y) const {
    const ActiveRows rows =
        active_rows(p, b, block.n, block.od, block.oy + first, valid, s.spacing);
    for_each_run(
        rows, block.ox, block.ox + block.n_cols, [&](int64_t begin, int64_t end, bool active) {
          if (active) {
            run_tiles(block, in, o, first, n_rows, valid, begin - block.ox, end - block.ox, t, y);
            return;
          }
          for (int j = 0; j < valid; ++j) {
            skip_columns<T, S>(p, b, block, o, block.oy + first + j * s.spacing, begin,
                               end - begin);
          }
        });
  }

  /// Columns [begin, end) of run_rows.
  __attribute__((noinline)) void run_tiles(const Block& block, const BlockInput<T>& in, int64_t o,
                                           int64_t first, int n_rows, int valid, int64_t begin,
                                           int64_t end, RowTile<T>& t, T* y) const {
    const int64_t n_vectors = ceil_div(end - begin, kLanes<T>);
    const int64_t most = n_rows == 1 ? kLineVectors : kTileVectors;
    const int64_t n_tiles = n_vectors <= most ? 1 : ceil_div(n_vectors, most);
    t.n_rows = valid;
    for (int64_t i = 0; i < n_tiles; ++i) {
      const int64_t v0 = n_tiles == 1 ? 0 : n_vectors * i / n_tiles;
      const int64_t v1 = n_tiles == 1 ? n_vectors : n_vectors * (i + 1) / n_tiles;
      const int64_t ox = begin + v0 * kLanes<T>;
      const int64_t n = min_of(begin + v1 * kLanes<T>, end) - ox;
      t.x = in.x + first * in.out_row_stride + ox;
      if (y != nullptr) {
        t.out = y + first * p.axis[1].y_stride + ox;
        t.n_cols = n;
        set_factors(p, b, block, block.oy + first, block.ox + ox, s.spacing, t);
      } else {
        t.out = scratch.tile;
        t.out_row_stride = t.n_cols = (v1 - v0) * kLanes<T>;
      }
      auto* tile_fn = pick_tile<T>(n_rows, v1 - v0);
      run_tile(p, chunks, tile_fn, 1, v1 - v0, n_rows, t, scratch.sums);
      if (y != nullptr) continue;
      if (p.epilogue.has_gate) {
        RowTile<T> gate = t;
        gate.w += n_packed(p);
        gate.out = scratch.gate;
        run_tile(p, chunks, tile_fn, 1, v1 - v0, n_rows, gate, scratch.sums);
      }
      for (int j = 0; j < valid; ++j) {
        const int64_t at = j * t.out_row_stride;
        finish_columns<T, S>(p, b, values, block, o, block.oy + first + j * s.spacing,
                             block.ox + ox, n, {scratch.tile + at, scratch.gate + at});
      }
    }
  }

  /// A wide block whose rows lie inside the image: only its border columns are staged.
  void run_block(const Block& block) const {
    if (block.n_cols < kSplitCols || !splits_columns(block)) return run_whole(block);
    const ConvAxis& w = p.axis[2];
    const int64_t tile = kTileVectors * kLanes<T>;
    // Columns whose taps all lie in the image, and a vector beyond them.
    const int64_t reach = (w.kernel - 1) * w.dilation + kLanes<T>;
    const int64_t low = round_up(max_of(w.pad - block.ox, 0), tile);
    const int64_t end = min_of(w.in - reach + w.pad - block.ox, block.n_cols) / tile * tile;
    if (end - low < kSplitCols / 2) return run_whole(block);
    run_part(block, 0, low);
    run_part(block, low, end);
    run_part(block, end, block.n_cols);
  }

  bool splits_columns(const Block& block) const {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    const InputBox box = input_box(p, block);
    const bool rows_inside = box.first[0] >= 0 && box.first[0] + box.n[0] <= d.in &&
                             box.first[1] >= 0 && box.first[1] + box.n[1] <= h.in;
    return !p.mask.has_values && sizeof(T) == sizeof(S) && w.x_stride == 1 && w.stride == 1 &&
           rows_inside;
  }

  void run_part(const Block& block, int64_t begin, int64_t end) const {
    if (begin >= end) return;
    Block part = block;
    part.ox += begin;
    part.n_cols = end - begin;
    run_whole(part);
  }

  void run_whole(const Block& block) const {
    if (skip_block<T, S>(p, b, block)) return;
    const BlockInput<T> in = open_block<T, S>(p, b, block, s.n_tap_rows, scratch);
    const bool is_direct = finish.is_direct && p.axis[2].y_stride == 1;
    for (int64_t o = 0; o < p.out_per_group; ++o) {
      RowTile<T> t = channel_tile(block, in, o, is_direct);
      T* y = nullptr;
      if (is_direct) {
        y = static_cast<T*>(b.write(p.y)) + p.y_offset + block.n * p.y_batch_stride +
            (block.g * p.out_per_group + o) * p.y_channel_stride + block.od * p.axis[0].y_stride +
            block.oy * p.axis[1].y_stride + block.ox;
      }
      for (int64_t base = 0; base < block.n_rows; base += kTileRows * s.spacing) {
        for (int64_t r = base; r < min_of(base + s.spacing, block.n_rows); ++r) {
          run_column_of_tiles(block, in, o, r, t, y);
        }
      }
    }
  }

  /// Up to kTileRows rows from `row` on, `spacing` apart.
  void run_column_of_tiles(const Block& block, const BlockInput<T>& in, int64_t o, int64_t row,
                           RowTile<T>& t, T* y) const {
    const int64_t rows_left = block.n_rows - row;
    int64_t left =
        rows_left > (kTileRows - 1) * s.spacing ? kTileRows : ceil_div(rows_left, s.spacing);
    while (left > 0) {
      // Three rows run as four: a staged block has room for the row that is not stored.
      const int n = left == 4 || (left == 3 && in.is_staged) ? 4 : left >= 2 ? 2 : 1;
      run_rows(block, in, o, row, n, static_cast<int>(min_of(n, left)), t, y);
      row += n * s.spacing;
      left -= n;
    }
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  if (p.in_per_group == 0) return "there are no input channels";
  if (p.out_per_group >= 4 && p.axis[2].out > 1) {
    return "4 or more output channels per group share loads in dense_rows";
  }
  return is_box_too_large(p, p.in_per_group, sizeof(T)) ? kBoxTooLarge : nullptr;
}

template <class T, class S>
void pack(const void* problem, const Buffers& b, void* to) noexcept {
  pack_row_weights<T, S>(as_conv(problem), b, 1, static_cast<T*>(to));
}

template <class T>
size_t scratch_bytes(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  const Schedule s = make_schedule<T>(p);
  Scratch<T> unused;
  return lay_out(p, s.n_tap_rows, kTileRows * kLineVectors, s.grid.cols, s.staged, nullptr, unused);
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
                      {},
                      {}};
  lay_out(p, worker.s.n_tap_rows, kTileRows * kLineVectors, worker.s.grid.cols, worker.s.staged,
          memory, worker.scratch);
  worker.tile =
      make_tile<T>(p, worker.s.n_tap_rows, worker.scratch.row_offset, worker.scratch.col_offset, 1);
  worker.tile.n_rows_apart = worker.s.rows_apart;
  for (int64_t i = begin; i < end; ++i) worker.run_block(worker.s.grid.at(p, i));
}

}  // namespace

#define SWATH_PLANE_ROWS(name, T, S)                     \
  extern const KernelFns sliding_conv_plane_rows_##name; \
  const KernelFns sliding_conv_plane_rows_##name{        \
      reject<T>, row_weight_bytes<T>, pack<T, S>, scratch_bytes<T>, n_tasks<T>, run<T, S>};
SWATH_PLANE_ROWS(f32, float, float)
SWATH_PLANE_ROWS(f64, double, double)
SWATH_PLANE_ROWS(f16, float, f16)
SWATH_PLANE_ROWS(bf16, float, bf16)
#undef SWATH_PLANE_ROWS

}  // namespace swath::SWATH_ISA
