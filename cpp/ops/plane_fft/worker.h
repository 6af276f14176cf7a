// The transforms of one bundle of planes: rows in, columns, rows out. Included by *.isa.cc only.
#pragma once

#include "ops/common/carver.h"
#include "ops/plane_fft/problem.h"
#include "ops/plane_fft/tile.h"

namespace swath {
namespace SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE const PlaneProblem& as_planes(const void* problem) {
  return *static_cast<const PlaneProblem*>(problem);
}
SWATH_ALWAYS_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/// Room for n numbers in whole vectors of any cluster.
SWATH_ALWAYS_INLINE int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// What the passes over columns and the transforms need, whatever the storage type is.
template <class A>
class ColumnWorker {
 public:
  explicit ColumnWorker(const PlaneProblem& problem) : p_(problem) {}

 protected:
  static constexpr int kLane = kLanes<A>;

  /// Memory of one worker; with a null base only counts.
  void carve(Carver& carver) {
    const int64_t work = larger(p_.length[0]->work, p_.length[1]->work);
    x_ = carver.take<A>(work * kPoint<A>);
    y_ = carver.take<A>(work * kPoint<A>);
    const int64_t n_columns =
        larger(p_.a.span[1].count, larger(p_.b.span[1].count, p_.out.span[1].count));
    row_pitch_ = padded(n_columns) + 16;  // a row may be put together of pieces in whole vectors
    rows_ = carver.take<A>(2 * kLane * row_pitch_);
    const int64_t n_rows =
        larger(p_.a.span[0].count, larger(p_.b.span[0].count, p_.out.span[0].count));
    half_ = carver.take<A>(n_rows * 2 * p_.pitch());
    const bool keeps =
        p_.job == PlaneJob::cross || p_.job == PlaneJob::bands || p_.job == PlaneJob::merge;
    if (keeps) kept_ = carver.take<A>(p_.spectrum_size());
  }

  /// Row r of the half-transformed planes: real parts, then imaginary ones.
  A* half_row(int64_t r) const { return half_ + 2 * r * p_.pitch(); }

  A* other(A* tile) const { return tile == x_ ? y_ : x_; }

  /// The transform of a vector of columns.
  A* columns_in(const PlaneSpan& span, int64_t at) const {
    const int64_t pitch = p_.pitch();
    clear_points(x_, 0, span.place);
    for (int64_t r = 0; r < span.count; ++r) {
      const A* row = half_row(r) + at;
      put(x_ + (span.place + r) * kPoint<A>, Complex<A>{load(row), load(row + pitch)});
    }
    clear_points(x_, span.place + span.count, p_.length[0]->n);
    return transform(*p_.length[0], x_, y_);
  }

  /// The inverse transform of a tile that has real and imaginary parts swapped.
  void columns_out(const PlaneSpan& span, int64_t at, A* tile) const {
    const int64_t pitch = p_.pitch();
    const A* found = transform(*p_.length[0], tile, other(tile));
    for (int64_t r = 0; r < span.count; ++r) {
      const Complex<A> z = swapped(get(found + (span.place + r) * kPoint<A>));
      store(half_row(r) + at, z.re);
      store(half_row(r) + at + pitch, z.im);
    }
  }

  Complex<A> load_at(const A* spectrum, int64_t u, int64_t at) const {
    const A* row = spectrum + 2 * u * p_.pitch() + at;
    return {load(row), load(row + p_.pitch())};
  }
  void store_at(A* spectrum, int64_t u, int64_t at, Complex<A> z) const {
    A* row = spectrum + 2 * u * p_.pitch() + at;
    store(row, z.re);
    store(row + p_.pitch(), z.im);
  }

  /// f(u, tile point) over the rows of a spectrum.
  template <class F>
  __attribute__((always_inline)) void for_points(A* tile, const F& f) const {
    for (int64_t u = 0; u < p_.length[0]->n; ++u) f(u, tile + u * kPoint<A>);
  }

  static Complex<A> times(Complex<A> z, Vec<A> scale) { return {z.re * scale, z.im * scale}; }

  /// s = F(a), with all scales of a product if s is for one. Pairs of rows bring a factor of 2 into
  /// each transform.
  void keep_columns(const PlaneSpan& span, int64_t n, A* s) const {
    const Vec<A> scale = set1(static_cast<A>(p_.job == PlaneJob::spectrum ? p_.scale / 4 : 1));
    for (int64_t at = 0; at < n; at += kLane) {
      for_points(columns_in(span, at),
                 [&](int64_t u, const A* point) { store_at(s, u, at, times(get(point), scale)); });
    }
  }

  /// F^-1(F(a) s)
  void multiply_columns(int64_t n, const A* s) const {
    for (int64_t at = 0; at < n; at += kLane) {
      A* tile = columns_in(p_.a.span[0], at);
      if (p_.is_conjugate) {
        for_points(tile, [&](int64_t u, A* point) {
          Complex<A> k = load_at(s, u, at);
          k.im = -k.im;
          put(point, swapped(get(point) * k));
        });
      } else {
        for_points(tile, [&](int64_t u, A* point) {
          put(point, swapped(get(point) * load_at(s, u, at)));
        });
      }
      columns_out(p_.out.span[0], at, tile);
    }
  }

  /// sum += conj(F(b)) F(a), where F(a) is kept.
  void cross_columns(int64_t n, A* sum, bool is_first) const {
    for (int64_t at = 0; at < n; at += kLane) {
      for_points(columns_in(p_.b.span[0], at), [&](int64_t u, const A* point) {
        Complex<A> b = get(point);
        b.im = -b.im;
        Complex<A> z = load_at(kept_, u, at) * b;
        if (!is_first) z = z + load_at(sum, u, at);
        store_at(sum, u, at, z);
      });
    }
  }

  /// F^-1 of the sum of the parts.
  void sum_columns(int64_t n, const A* parts) const {
    const Vec<A> scale = set1(static_cast<A>(p_.scale / 4));
    for (int64_t at = 0; at < n; at += kLane) {
      for_points(x_, [&](int64_t u, A* point) {
        Complex<A> z = load_at(parts, u, at);
        for (int64_t k = 1; k < p_.n_parts; ++k) {
          z = z + load_at(parts + k * p_.spectrum_size(), u, at);
        }
        put(point, swapped(times(z, scale)));
      });
      columns_out(p_.out.span[0], at, x_);
    }
  }

  /// Where the columns of these numbers are in band j of row u; j = 0: all bands.
  auto in_band(int j, int64_t u, Vec<A> column) const {
    const int32_t begin = j > 0 && j + 1 < p_.n_bands ? p_.band_end(j + 1)[u] : 0;
    const int32_t end = p_.band_end(j > 0 ? j : 1)[u];
    return (column >= set1(static_cast<A>(begin))) & (column < set1(static_cast<A>(end)));
  }

  /// Which columns of the planes' spectra are in the vector at `at`.
  Vec<A> column_numbers(int64_t at) const {
    const int64_t n_columns = p_.n_columns();
    A number[kLanes<A>];
    for (int l = 0; l < kLane; ++l) number[l] = static_cast<A>((at + l) % n_columns);
    return load(number);
  }

  /// Columns from which on band j is empty: of the bundle, if it has one plane.
  int64_t band_columns(int j, int64_t n) const {
    if (p_.bundle > 1) return n;
    int32_t end = 0;
    for (int64_t u = 0; u < p_.length[0]->n; ++u) {
      if (p_.band_end(j)[u] > end) end = p_.band_end(j)[u];
    }
    return smaller(n, (end + kLane - 1) / kLane * kLane);
  }

  /// F^-1 of the kept spectrum in band j; j = 0: in all bands.
  void band_columns_out(int j, int64_t n) const {
    const Vec<A> scale = set1(static_cast<A>(p_.scale / 2));
    for (int64_t at = 0; at < n; at += kLane) {
      const Vec<A> column = column_numbers(at);
      for_points(x_, [&](int64_t u, A* point) {
        const auto is_in = in_band(j, u, column);
        const Complex<A> z = times(load_at(kept_, u, at), scale);
        put(point, Complex<A>{select(is_in, z.im, zero<A>()), select(is_in, z.re, zero<A>())});
      });
      columns_out(p_.out.span[0], at, x_);
    }
  }

  /// The part of F(a) in band j into the kept spectrum.
  void band_columns_in(int j, int64_t n) const {
    for (int64_t at = 0; at < n; at += kLane) {
      const Vec<A> column = column_numbers(at);
      for_points(columns_in(p_.a.span[0], at), [&](int64_t u, const A* point) {
        const auto is_in = in_band(j, u, column);
        const Complex<A> z = get(point), old = load_at(kept_, u, at);
        store_at(kept_, u, at, {select(is_in, z.re, old.re), select(is_in, z.im, old.im)});
      });
    }
  }

  const PlaneProblem& p_;
  A *x_ = nullptr, *y_ = nullptr;
  A* rows_ = nullptr;  // [2][lane][row_pitch_]
  int64_t row_pitch_ = 0;
  A* half_ = nullptr;  // half-transformed planes: [row][real, imaginary][pitch]
  A* kept_ = nullptr;  // a spectrum
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
