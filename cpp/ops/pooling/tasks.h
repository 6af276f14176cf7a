// What one task of pooling does, and how a worker's scratch memory is laid out. Included by
// *.isa.cc only.
#pragma once

#include "ops/pooling/width.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Elements that may be read past the end of a row in scratch memory.
template <class A>
inline constexpr int64_t kSlack = 2 * kLanes<A>;

/// Cuts a worker's memory into pieces; with a null base it only counts.
struct Carver {
  char* base;
  int64_t used = 0;

  template <class T>
  __attribute__((always_inline)) T* take(int64_t n) {
    const int64_t at = used;
    used += (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return base == nullptr ? nullptr : reinterpret_cast<T*>(base + at);
  }
};

template <class A>
struct Scratch {
  A *row = nullptr, *steps = nullptr;       // of the width: one row, and its shorter windows
  A *output = nullptr, *counts = nullptr;  // one row of outputs, and the elements in their windows
  A* slab = nullptr;                       // one picture made of the depth
  Rings<A> depth, height;

  /// Returns the bytes taken.
  __attribute__((noinline)) int64_t carve(const PoolingProblem& p, void* base) {
    Carver carver{static_cast<char*>(base)};
    const PoolAxis& w = p.width;
    const int64_t padded = w.reach(w.block) * p.inner_block;
    if (p.has_width) {
      row = carver.take<A>(padded + kSlack<A>);
      if (w.n_steps > 1) steps = carver.take<A>(padded + kSlack<A>);
    }
    const int64_t n_outputs = w.block * p.inner_block;
    output = carver.take<A>(n_outputs);
    if (p.divides_by_inside) counts = carver.take<A>(n_outputs + kSlack<A>);
    const int64_t inside = (w.in < w.reach(w.block) ? w.in : w.reach(w.block)) * p.inner_block;
    carve_rings(carver, p.height, inside, height);
    if (!p.depth.is_absent()) {
      const int64_t reach = p.height.reach(p.height.block);
      const int64_t n_slab = (p.height.in < reach ? p.height.in : reach) * inside;
      slab = carver.take<A>(n_slab);
      carve_rings(carver, p.depth, n_slab, depth);
    }
    return carver.used;
  }

 private:
  static void carve_rings(Carver& carver, const PoolAxis& axis, int64_t n_row, Rings<A>& rings) {
    for (int j = 0; j + 1 < axis.n_steps; ++j) {
      rings.rows[j] = carver.take<A>(axis.ring_rows(j) * n_row);
      rings.tags[j] = carver.take<int64_t>(axis.ring_rows(j));
    }
  }
};

struct Range {
  int64_t first, n;
};
SWATH_ALWAYS_INLINE Range block_range(int64_t index, int64_t block, int64_t n) {
  const int64_t first = index * block;
  return {first, n - first < block ? n - first : block};
}

int64_t clip_end(int64_t end, int64_t n, int64_t begin) {
  const int64_t clipped = end < n ? end : n;
  return clipped < begin ? begin : clipped;
}

__attribute__((noinline)) WidthTile make_tile(const PoolAxis& axis, const Range& w,
                                              int64_t n_inner) {
  WidthTile t{w.first, w.n, n_inner, w.first * axis.stride - axis.pad, 0, 0};
  const int64_t end = t.start + axis.reach(w.n);
  t.begin = t.start < 0 ? 0 : t.start;
  if (t.begin > end) t.begin = end;
  t.end = clip_end(end, axis.in, t.begin);
  return t;
}

__attribute__((noinline)) RowShape make_shape(const PoolingProblem& p, const WidthTile& tile) {
  RowShape shape;
  const int64_t n_columns = tile.end - tile.begin;
  shape.len = n_columns * tile.n_inner;
  const bool is_dense = p.n_inner == 1 || n_columns == 1 ||
                        (p.width.x_stride == tile.n_inner && p.x_inner_stride == 1);
  if (!is_dense) {
    shape.n_segments = n_columns;
    shape.segment_step = p.width.x_stride;
    shape.len = tile.n_inner;
  }
  return shape;
}

/// Elements inside the windows along the width.
template <class A>
__attribute__((noinline)) void count_inside(const PoolAxis& axis, const WidthTile& tile, A* counts) {
  for (int64_t i = 0; i < tile.n; ++i) {
    const A count = static_cast<A>(axis.n_inside(tile.first + i));
    for (int64_t c = 0; c < tile.n_inner; ++c) counts[i * tile.n_inner + c] = count;
  }
}

/// One block of one element of the outer axes. x and y point at that element.
struct Block {
  int64_t depth, height, width, inner;
};

template <class Op, class S, class Load>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const PoolingProblem& problem, Load load, void* scratch) : p_(problem), load_(load) {
    scratch_.carve(problem, scratch);
  }

  void run(const S* x, S* y, const Block& block) const {
    const Range w = block_range(block.width, p_.width.block, p_.width.out);
    const Range c = block_range(block.inner, p_.inner_block, p_.n_inner);
    const Range h = block_range(block.height, p_.height.block, p_.height.out);
    const Range d = block_range(block.depth, p_.depth.block, p_.depth.out);
    const WidthTile tile = make_tile(p_.width, w, c.n);
    const RowShape shape = make_shape(p_, tile);
    const Width<Op, A> width(p_, tile, scratch_.row, scratch_.steps);
    if (p_.divides_by_inside) count_inside(p_.width, tile, scratch_.counts);
    x += tile.begin * p_.width.x_stride + c.first * p_.x_inner_stride;
    y += w.first * p_.width.y_stride + c.first * p_.y_inner_stride;
    if (p_.depth.is_absent()) return run_height(load_, x, p_.height.x_stride, y, h, width, shape, 1);

    // The rows of all depths' windows first, then a picture of them as in two dimensions.
    const int64_t start = h.first * p_.height.stride - p_.height.pad;
    const int64_t begin = start < 0 ? 0 : start;
    const int64_t end = clip_end(start + p_.height.reach(h.n), p_.height.in, begin);
    RowShape picture = shape;
    picture.n_sub = end - begin;
    picture.sub_step = p_.height.x_stride;
    const Column<Op, Load> column(p_.depth, scratch_.depth, x + begin * p_.height.x_stride,
                                  p_.depth.x_stride, load_, picture);
    RowShape dense;
    dense.len = shape.n_segments * shape.len;
    for (int64_t i = d.first; i < d.first + d.n; ++i) {
      column.make_output(i, scratch_.slab);
      run_height(UnitLoad<A>{}, scratch_.slab - begin * dense.len, dense.len,
                 y + i * p_.depth.y_stride, h, width, dense, p_.depth.n_inside(i));
    }
  }

 private:
  template <class RowLoad>
  __attribute__((noinline)) void run_height(RowLoad load, const typename RowLoad::Element* x, int64_t x_step, S* y,
                  const Range& h, const Width<Op, A>& width, const RowShape& shape,
                  int64_t depth_inside) const {
    const WidthTile& tile = width.tile();
    const Column<Op, RowLoad> column(p_.height, scratch_.height, x, x_step, load, shape);
    const int64_t n = tile.n_inner;
    const int64_t y_step = n == 1 ? p_.width.y_stride : p_.y_inner_stride;
    const bool is_dense = y_step == 1 && (n == 1 || tile.n == 1 || p_.width.y_stride == n);
    const bool is_final = std::is_same_v<S, A> && is_dense && p_.op != PoolOp::mean;
    A divisor = static_cast<A>(p_.divisor);
    for (int64_t j = h.first; j < h.first + h.n; ++j) {
      S* to = y + j * p_.height.y_stride;
      A* row = is_final ? reinterpret_cast<A*>(to) : scratch_.output;
      if (p_.has_width) {
        column.make_output(j, width.inside());
        width.fold_row(row);
      } else {
        column.make_output(j, row);
      }
      if (is_final) continue;
      if (p_.divides_by_inside) divisor = static_cast<A>(depth_inside * p_.height.n_inside(j));
      write_outputs(to, tile, is_dense || n == 1 ? tile.n * n : n, y_step, divisor);
    }
  }

  /// The row of outputs in runs of `len` elements.
  void write_outputs(S* y, const WidthTile& tile, int64_t len, int64_t y_step, A divisor) const {
    for (int64_t i = 0; i < tile.n * tile.n_inner; i += len, y += p_.width.y_stride) {
      write_row(scratch_.output + i, y, y_step, divisor,
                p_.divides_by_inside ? scratch_.counts + i : nullptr, len);
    }
  }

  const PoolingProblem& p_;
  Load load_;
  Scratch<A> scratch_;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
