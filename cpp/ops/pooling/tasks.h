// What one task of pooling does, and how a worker's scratch memory is laid out. Included by
// *.isa.cc only.
#pragma once

#include "ops/common/carver.h"
#include "ops/pooling/width.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Elements that may be read past the end of a row in scratch memory.
template <class A>
inline constexpr int64_t kSlack = 2 * kLanes<A>;

template <class A>
struct Scratch {
  A *row = nullptr, *steps = nullptr;      // of the width: one row, and its shorter windows
  A* stored = nullptr;                     // rows without the zeros of a spread
  A *output = nullptr, *counts = nullptr;  // one row of outputs, and the elements in their windows
  A* slab = nullptr;                       // one picture made of the depth
  Rings<A> depth, height;

  /// Returns the bytes taken.
  __attribute__((noinline)) int64_t carve(const PoolingProblem& p, void* base) {
    Carver carver{static_cast<char*>(base)};
    const PoolAxis& w = p.width;
    const int64_t n_row = p.row_columns * p.inner_block;
    const int64_t n_fold = (p.has_width ? p.rows_per_fold : p.rows_per_pass) * n_row;
    if (p.has_width) {
      row = carver.take<A>(p.rows_per_pass * n_row + kSlack<A>);
      if (w.spread > 1) stored = carver.take<A>(p.rows_per_pass * n_row + kSlack<A>);
      if (w.n_steps > 1 || w.has_phases()) {
        steps = carver.take<A>(n_fold + p.rows_per_fold * w.spread + kSlack<A>);
      }
    }
    output = carver.take<A>(n_fold / w.stride);
    if (p.divides_by_inside) counts = carver.take<A>(w.block * p.inner_block);
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
  WidthTile t{w.first, w.n, n_inner, w.first * axis.stride - axis.pad, 0, 0, 0, 0};
  const int64_t end = t.start + axis.reach(w.n);
  t.begin = t.start < 0 ? 0 : t.start;
  if (t.begin > end) t.begin = end;
  t.end = clip_end(end, axis.in, t.begin);
  t.first_stored = axis.stored(t.begin);
  t.n_stored = axis.stored(t.end) - t.first_stored;
  return t;
}

__attribute__((noinline)) RowShape make_shape(const PoolingProblem& p, const WidthTile& tile) {
  RowShape shape;
  const int64_t n_columns = tile.n_stored;
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
__attribute__((noinline)) void count_inside(const PoolAxis& axis, const WidthTile& tile,
                                            A* counts) {
  for (int64_t i = 0; i < tile.n; ++i) {
    const A count = static_cast<A>(axis.n_inside(tile.first + i));
    for (int64_t c = 0; c < tile.n_inner; ++c) counts[i * tile.n_inner + c] = count;
  }
}

/// One block of one element of the outer axes. x and y point at that element.
struct Block {
  int64_t planes, depth, height, width, inner;
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
    const Range planes = block_range(block.planes, p_.plane_block, p_.planes.n);
    const WidthTile tile = make_tile(p_.width, w, c.n);
    const RowShape shape = make_shape(p_, tile);
    const Width<Op, A> width(p_, tile, p_.has_width ? p_.rows_per_pass : 0, scratch_.row,
                             scratch_.stored, scratch_.steps);
    if (p_.divides_by_inside) count_inside(p_.width, tile, scratch_.counts);
    x += tile.first_stored * p_.width.x_stride + c.first * p_.x_inner_stride +
         planes.first * p_.planes.x_stride;
    y += w.first * p_.width.y_stride + c.first * p_.y_inner_stride +
         planes.first * p_.planes.y_stride;
    if (p_.depth.is_absent()) {
      const Picture<Load> picture{load_, x, p_.height.x_stride, p_.planes.x_stride, shape};
      return run_height(picture, planes.n, y, h, width, 1);
    }

    // The rows of all depths' windows first, then a picture of them as in two dimensions.
    const int64_t start = h.first * p_.height.stride - p_.height.pad;
    const int64_t begin = start < 0 ? 0 : start;
    const int64_t end = clip_end(start + p_.height.reach(h.n), p_.height.in, begin);
    const int64_t first_stored = p_.height.stored(begin);
    RowShape slab = shape;
    slab.n_sub = p_.height.stored(end) - first_stored;
    slab.sub_step = p_.height.x_stride;
    Column<Op, Load> column(p_.depth, scratch_.depth, x + first_stored * p_.height.x_stride,
                            p_.depth.x_stride, load_, slab);
    RowShape dense;
    dense.len = shape.n_segments * shape.len;
    const Picture<UnitLoad<A>> picture{UnitLoad<A>{}, scratch_.slab - first_stored * dense.len,
                                       dense.len, 0, dense};
    const Range d = block_range(block.depth, p_.depth.block, p_.depth.out);
    for (int64_t i = d.first; i < d.first + d.n; ++i) {
      column.make_outputs(i, 1, scratch_.slab, 0, 1);
      run_height(picture, 1, y + i * p_.depth.y_stride, h, width, p_.depth.n_inside(i));
    }
  }

 private:
  /// Rows of the height: row i of plane q is at x + i step + q plane_step.
  template <class RowLoad>
  struct Picture {
    RowLoad load;
    const typename RowLoad::Element* x;
    int64_t step, plane_step;
    const RowShape& shape;
  };

  template <class RowLoad>
  __attribute__((noinline)) void run_height(const Picture<RowLoad>& picture, int64_t n_planes, S* y,
                                            const Range& h, const Width<Op, A>& width,
                                            int64_t depth_inside) const {
    const int64_t n_pass = p_.rows_per_pass < h.n ? p_.rows_per_pass : h.n;
    const A divisor = p_.divides_by_inside ? A{1} : static_cast<A>(p_.divisor);
    // Before a spread there are fewer elements to divide.
    const A early = p_.width.spread > 1 ? divisor : A{1}, late = p_.width.spread > 1 ? 1 : divisor;
    Column<Op, RowLoad> column(p_.height, scratch_.height, picture.x, picture.step, picture.load,
                               picture.shape);
    for (int64_t j = h.first; j < h.first + h.n; j += n_pass) {
      const int64_t n = h.first + h.n - j < n_pass ? h.first + h.n - j : n_pass;
      S* to = y + j * p_.height.y_stride;
      if (!p_.has_width) {
        const bool is_final = is_dense_output(width, 1, n);
        A* rows = is_final ? reinterpret_cast<A*>(to) : scratch_.output;
        column.make_outputs(j, n, rows, is_final ? p_.height.y_stride : width.out_pitch(), divisor);
        if (!is_final) write_outputs(width, 1, j, n, to, depth_inside);
        continue;
      }
      for (int64_t q = 0; q < n_planes; ++q) {
        if (n_planes > 1) column.restart(picture.x + q * picture.plane_step);
        column.make_outputs(j, n, width.inside() + q * n * width.in_pitch(), width.in_pitch(),
                            early);
      }
      width.spread_rows(n_planes * n);
      const int64_t n_fold = p_.rows_per_fold < n && n_planes == 1 ? p_.rows_per_fold : n;
      for (int64_t i = 0; i < n; i += n_fold, to += n_fold * p_.height.y_stride) {
        const int64_t n_here = n - i < n_fold ? n - i : n_fold;
        const bool is_final = is_dense_output(width, n_planes, n_here);
        A* rows = is_final ? reinterpret_cast<A*>(to) : scratch_.output;
        width.fold_rows(i, n_planes * n_here, rows, late);
        if (!is_final) write_outputs(width, n_planes, j + i, n_here, to, depth_inside);
      }
    }
  }

  /// Whether the outputs of n rows of each plane lie in y just as they come.
  bool is_dense_output(const Width<Op, A>& width, int64_t n_planes, int64_t n) const {
    const WidthTile& tile = width.tile();
    const int64_t pitch = width.out_pitch();
    const bool is_dense_row =
        tile.n_inner == 1
            ? tile.n == 1 || p_.width.y_stride == 1
            : p_.y_inner_stride == 1 && (tile.n == 1 || p_.width.y_stride == tile.n_inner);
    return std::is_same_v<S, A> && !p_.divides_by_inside && is_dense_row &&
           (n == 1 || !p_.has_width || p_.height.y_stride == pitch) &&
           (n_planes == 1 || p_.planes.y_stride == n * pitch) &&
           (n * n_planes == 1 || !p_.has_width || tile.n * tile.n_inner == pitch);
  }

  /// Rows [first, first + n) of each plane from the output buffer; y is at the first of them.
  void write_outputs(const Width<Op, A>& width, int64_t n_planes, int64_t first, int64_t n, S* y,
                     int64_t depth_inside) const {
    const A* from = scratch_.output;
    for (int64_t q = 0; q < n_planes; ++q) {
      for (int64_t i = 0; i < n; ++i, from += width.out_pitch()) {
        write_output_row(width.tile(), from, y + q * p_.planes.y_stride + i * p_.height.y_stride,
                         depth_inside * p_.height.n_inside(first + i));
      }
    }
  }

  void write_output_row(const WidthTile& tile, const A* from, S* y, int64_t inside) const {
    const int64_t n = tile.n_inner;
    const bool is_row = n == 1 || (p_.y_inner_stride == 1 && p_.width.y_stride == n);
    const int64_t stride = n == 1 ? p_.width.y_stride : p_.y_inner_stride;
    const int64_t len = is_row ? tile.n * n : n;
    for (int64_t at = 0; at < tile.n * n; at += len, y += p_.width.y_stride) {
      write_row(from + at, y, stride, static_cast<A>(inside),
                p_.divides_by_inside ? scratch_.counts + at : nullptr, len);
    }
  }

  const PoolingProblem& p_;
  Load load_;
  Scratch<A> scratch_;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
