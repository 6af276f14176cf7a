// Rows between the arrays and the box in scratch memory. Included by *.isa.cc only.
#pragma once

#include "ops/pooling_backward/box.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// to[i] = from[i stride].
template <class S, class A>
SWATH_ALWAYS_INLINE void read_run(const S* from, int64_t stride, A* to, int64_t n) {
  int64_t i = 0;
  if (stride == 1) {
    for (; i + kLanes<A> <= n; i += kLanes<A>) store(to + i, load_as<A>(from + i));
    if (i < n) {
      const int rest = static_cast<int>(n - i);
      store_n(to + i, load_as_n<A>(from + i, rest), rest);
    }
    return;
  }
  for (; i < n; ++i) to[i] = to_acc(from[i * stride]);
}

/// to[i stride] = from[i]; whole vectors of `from` may be read.
template <class S, class A>
SWATH_ALWAYS_INLINE void write_run(const A* from, S* to, int64_t stride, int64_t n) {
  int64_t i = 0;
  if (stride == 1) {
    for (; i + kLanes<A> <= n; i += kLanes<A>) store_as(to + i, load(from + i));
    if (i < n) store_as_n(to + i, load(from + i), static_cast<int>(n - i));
    return;
  }
  for (; i < n; ++i) to[i * stride] = from_acc<S>(from[i]);
}

/// Lanes [0, n) of p, n may be any number; `outside` in the others.
template <class A, class S>
SWATH_ALWAYS_INLINE Vec<A> load_or(const S* p, int64_t n, A outside) {
  if (n >= kLanes<A>) return load_as<A>(p);
  if (n <= 0) return set1(outside);
  const auto is_inside = iota<Bits<A>>() < set1(static_cast<Bits<A>>(n));
  return select(is_inside, load_as_n<A>(p, static_cast<int>(n)), set1(outside));
}

/// x[0, n), in turn to `even` and `odd`. Whole vectors are written: behind the row is `outside`.
template <class S, class A>
__attribute__((noinline)) void split_pairs(const S* x, int64_t n, A* even, A* odd, A outside) {
  constexpr int kLane = kLanes<A>;
  for (int64_t i = 0; i < n; i += 2 * kLane, even += kLane, odd += kLane) {
    const Vec<A> a = load_or(x + i, n - i, outside);
    const Vec<A> b = load_or(x + i + kLane, n - i - kLane, outside);
    store(even, unzip<0>(a, b));
    store(odd, unzip<1>(a, b));
  }
}

/// The inverse.
template <class S, class A>
__attribute__((noinline)) void join_pairs(const A* even, const A* odd, S* dx, int64_t n) {
  constexpr int kLane = kLanes<A>;
  int64_t i = 0;
  for (; i + 2 * kLane <= n; i += 2 * kLane, even += kLane, odd += kLane) {
    const Vec<A> a = load(even), b = load(odd);
    store_as(dx + i, zip<0>(a, b));
    store_as(dx + i + kLane, zip<1>(a, b));
  }
  if (i == n) return;
  const Vec<A> a = load(even), b = load(odd);
  const int rest = static_cast<int>(n - i);
  store_as_n(dx + i, zip<0>(a, b), rest < kLane ? rest : kLane);
  if (rest > kLane) store_as_n(dx + i + kLane, zip<1>(a, b), rest - kLane);
}

/// One row of n_columns of x; column 0 has position `at` of the box, whose row starts at `to`.
template <class S, class A>
SWATH_ALWAYS_INLINE void stage_row(const ExtremeProblem& p, const Box& b, const S* x, int64_t at,
                                   int64_t n_columns, A* to, A outside) {
  const ExtremeAxis& w = p.axis[2];
  if (p.n_inner == 1) {
    if (w.stride == 1) return read_run(x, w.x_stride, to + at, n_columns);
    if (w.stride == 2 && w.x_stride == 1) {
      return split_pairs(x, n_columns, to + b.place(p, 2, at), to + b.place(p, 2, at + 1), outside);
    }
    for (int64_t skip = 0; skip < w.stride && skip < n_columns; ++skip) {
      const int64_t n_here = (n_columns - skip + w.stride - 1) / w.stride;
      read_run(x + skip * w.x_stride, w.stride * w.x_stride, to + b.place(p, 2, at + skip), n_here);
    }
    return;
  }
  if (w.stride == 1 && w.x_stride == b.n_inner && p.x_inner_stride == 1) {
    return read_run(x, 1, to + at * b.n_inner, n_columns * b.n_inner);
  }
  for (int64_t i = 0; i < n_columns; ++i) {
    read_run(x + i * w.x_stride, p.x_inner_stride, to + b.place(p, 2, at + i), b.n_inner);
  }
}

/// Reads the elements of x under the box's windows. x is at the outer element.
template <class S, class A>
__attribute__((noinline)) void stage_box(const ExtremeProblem& p, const Box& b, const S* x, A* box,
                                         A outside) {
  if (b.has_border) fill(box, b.n_elements, outside);
  int64_t begin[3], end[3];
  for (int i = 0; i < 3; ++i) {
    const Side& s = b.side[i];
    begin[i] = larger(s.origin, 0);
    end[i] = smaller(s.origin + (s.n_windows - 1) * p.axis[i].stride + p.axis[i].span() + 1,
                     p.axis[i].in);
  }
  x += b.inner_begin * p.x_inner_stride + begin[2] * p.axis[2].x_stride;
  for (int64_t z = begin[0]; z < end[0]; ++z) {
    A* slab = box + b.place(p, 0, z - b.side[0].origin);
    for (int64_t y = begin[1]; y < end[1]; ++y) {
      stage_row(p, b, x + z * p.axis[0].x_stride + y * p.axis[1].x_stride,
                begin[2] - b.side[2].origin, end[2] - begin[2],
                slab + b.place(p, 1, y - b.side[1].origin), outside);
    }
  }
}

/// Reads dy of the box's windows; what lies between the rows is left as it is.
template <class S, class A>
__attribute__((noinline)) void stage_dy(const ExtremeProblem& p, const Box& b, const S* dy, A* to) {
  const ExtremeAxis& w = p.axis[2];
  const int64_t n = b.side[2].n_windows;
  dy += b.inner_begin * p.dy_inner_stride + b.side[2].first_window * w.dy_stride;
  for (int64_t z = 0; z < b.side[0].n_windows; ++z) {
    for (int64_t y = 0; y < b.side[1].n_windows; ++y) {
      const S* from = dy + (b.side[0].first_window + z) * p.axis[0].dy_stride +
                      (b.side[1].first_window + y) * p.axis[1].dy_stride;
      A* row = to + z * b.step(0) + y * b.row;
      if (p.n_inner == 1) {
        read_run(from, w.dy_stride, row, n);
      } else if (w.dy_stride == b.n_inner && p.dy_inner_stride == 1) {
        read_run(from, 1, row, n * b.n_inner);
      } else {
        for (int64_t i = 0; i < n; ++i) {
          read_run(from + i * w.dy_stride, p.dy_inner_stride, row + i * b.n_inner, b.n_inner);
        }
      }
    }
  }
}

template <class S, class A>
SWATH_ALWAYS_INLINE void write_dx_row(const ExtremeProblem& p, const Box& b, const A* from, S* dx) {
  const ExtremeAxis& w = p.axis[2];
  const int64_t n = b.side[2].end - b.side[2].begin, at = b.side[2].begin - b.side[2].origin;
  if (p.n_inner == 1) {
    if (w.stride == 1) return write_run(from + at, dx, w.dx_stride, n);
    if (w.stride == 2 && w.dx_stride == 1) {
      return join_pairs(from + b.place(p, 2, at), from + b.place(p, 2, at + 1), dx, n);
    }
    for (int64_t skip = 0; skip < w.stride && skip < n; ++skip) {
      const int64_t n_here = (n - skip + w.stride - 1) / w.stride;
      write_run(from + b.place(p, 2, at + skip), dx + skip * w.dx_stride, w.stride * w.dx_stride,
                n_here);
    }
    return;
  }
  if (w.stride == 1 && w.dx_stride == b.n_inner && p.dx_inner_stride == 1) {
    return write_run(from + at * b.n_inner, dx, 1, n * b.n_inner);
  }
  for (int64_t i = 0; i < n; ++i) {
    write_run(from + b.place(p, 2, at + i), dx + i * w.dx_stride, p.dx_inner_stride, b.n_inner);
  }
}

/// Writes the task's block of dx from the box, or zeros where `box` is null. dx is at the outer
/// element.
template <class S, class A>
__attribute__((noinline)) void write_dx(const ExtremeProblem& p, const Box& b, const A* box,
                                        S* dx) {
  dx += b.inner_begin * p.dx_inner_stride + b.side[2].begin * p.axis[2].dx_stride;
  const int64_t n = b.side[2].end - b.side[2].begin;
  for (int64_t z = b.side[0].begin; z < b.side[0].end; ++z) {
    const A* slab = box == nullptr ? nullptr : box + b.place(p, 0, z - b.side[0].origin);
    for (int64_t y = b.side[1].begin; y < b.side[1].end; ++y) {
      S* to = dx + z * p.axis[0].dx_stride + y * p.axis[1].dx_stride;
      if (box != nullptr) {
        write_dx_row(p, b, slab + b.place(p, 1, y - b.side[1].origin), to);
        continue;
      }
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t c = 0; c < b.n_inner; ++c) {
          to[i * p.axis[2].dx_stride + c * p.dx_inner_stride] = from_acc<S>(0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
