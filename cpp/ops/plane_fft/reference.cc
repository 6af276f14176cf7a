// The transforms from their definition, in double: O(n) operations for each number.
#include <cmath>
#include <iterator>

#include "ops/common/scalar.h"
#include "ops/plane_fft/problem.h"
#include "ops/plane_fft/table.h"

namespace swath {
namespace {

const PlaneProblem& as_planes(const void* p) { return *static_cast<const PlaneProblem*>(p); }

struct Point {
  double re = 0, im = 0;
};
Point operator+(Point a, Point b) { return {a.re + b.re, a.im + b.im}; }
Point operator*(Point a, Point b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }

/// A sum that keeps what its additions round off: the sequential sum of a constant would drift
/// further than the kernels' short trees.
struct ExactSum {
  double sum = 0, lost = 0;

  void add(double x) {
    const double next = sum + x;
    lost += std::abs(sum) >= std::abs(x) ? (sum - next) + x : (x - next) + sum;
    sum = next;
  }
  double value() const { return sum + lost; }
};

/// y[k] = sum_j x[j] exp(-+2 pi i j k / n), one line of points `stride` apart.
void transform_line(const Point* x, Point* y, int64_t stride, int64_t n, const Point* roots,
                    bool is_inverse) {
  for (int64_t k = 0; k < n; ++k) {
    ExactSum re, im;
    int64_t at = 0;
    for (int64_t j = 0; j < n; ++j) {
      const Point w = roots[at];
      const Point term = x[j * stride] * Point{w.re, is_inverse ? -w.im : w.im};
      re.add(term.re);
      im.add(term.im);
      at += k;
      if (at >= n) at -= n;
    }
    y[k * stride] = {re.value(), im.value()};
  }
}

/// Whole spectra of planes, one after the other. The half that the plan keeps is written with the
/// kernels' layout.
class Reference {
 public:
  Reference(const PlaneProblem& p, const Buffers& b, void* scratch)
      : p_(p), b_(b), n0_(p.length[0]->n), n1_(p.length[1]->n) {
    auto* at = static_cast<Point*>(scratch);
    for (Point** plane : {&x_, &y_, &kept_, &rest_}) {
      *plane = at;
      at += n0_ * n1_;
    }
    for (int i = 0; i < 2; ++i) {
      const int64_t n = p.length[i]->n;
      roots_[i] = at;
      for (int64_t k = 0; k < n; ++k) {
        const std::complex<double> w = fft_root(k, n);
        roots_[i][k] = {w.real(), w.imag()};
      }
      at += n;
    }
  }
  static size_t scratch_bytes(const PlaneProblem& p) {
    const int64_t n0 = p.length[0]->n, n1 = p.length[1]->n;
    return static_cast<size_t>(4 * n0 * n1 + n0 + n1) * sizeof(Point);
  }

  void run(int64_t task) {
    const int64_t bundle = task / p_.n_shares(), share = task % p_.n_shares();
    const int64_t first = bundle * p_.bundle;
    for (int64_t i = 0; i < p_.bundle && first + i < p_.n_planes; ++i) {
      bundle_ = bundle;
      in_bundle_ = i;
      run_plane(first + i, share);
    }
  }

 private:
  template <class F>
  void for_points(const F& f) const {
    for (int64_t u = 0; u < n0_; ++u) {
      for (int64_t v = 0; v < n1_; ++v) f(u, v, u * n1_ + v);
    }
  }

  void run_plane(int64_t plane, int64_t share) {
    switch (p_.job) {
      case PlaneJob::spectrum:
        load(p_.a, p_.a.array, plane);
        return store_spectrum(0, p_.scale);
      case PlaneJob::product:
        load(p_.a, p_.a.array, share * p_.n_planes + plane);
        for_points([&](int64_t u, int64_t v, int64_t at) {
          Point s = spectrum(0, u, v);
          if (p_.is_conjugate) s.im = -s.im;
          x_[at] = x_[at] * s;
        });
        transform(true);
        return store_plane(share * p_.n_planes + plane, 0);
      case PlaneJob::cross:
        return cross(plane, share);
      case PlaneJob::sum:
        for_points([&](int64_t u, int64_t v, int64_t at) {
          x_[at] = {};
          for (int64_t k = 0; k < p_.n_parts; ++k) x_[at] = x_[at] + spectrum(k, u, v);
          x_[at] = {x_[at].re * p_.scale, x_[at].im * p_.scale};
        });
        transform(true);
        return store_plane(plane, 0);
      case PlaneJob::bands:
        return bands(plane);
      case PlaneJob::merge:
        return merge(plane);
    }
  }

  void cross(int64_t plane, int64_t part) {
    for_points([&](int64_t, int64_t, int64_t at) { rest_[at] = {}; });
    const int64_t begin = part * p_.part_size();
    for (int64_t n = begin; n < begin + p_.part_size() && n < p_.n_batch; ++n) {
      load(p_.a, p_.a.array, n * p_.n_planes + plane);
      for_points([&](int64_t, int64_t, int64_t at) { kept_[at] = x_[at]; });
      load(p_.b, p_.b.array, n * p_.n_planes + plane);
      for_points([&](int64_t, int64_t, int64_t at) {
        rest_[at] = rest_[at] + kept_[at] * Point{x_[at].re, -x_[at].im};
      });
    }
    for_points([&](int64_t, int64_t, int64_t at) { x_[at] = rest_[at]; });
    store_spectrum(part, 1);
  }

  bool is_in_band(int j, int64_t u, int64_t v) const {
    const int64_t column = v < n1_ - v ? v : n1_ - v;
    const int64_t begin = j + 1 < p_.n_bands ? p_.band_end(j + 1)[u] : 0;
    return column >= begin && column < p_.band_end(j)[u];
  }

  void bands(int64_t plane) {
    load(p_.a, p_.a.array, plane);
    for_points([&](int64_t u, int64_t v, int64_t at) {
      kept_[at] = x_[at];
      rest_[at] = {element(p_.a, p_.a.array, plane, u, v), 0};
    });
    for (int j = 1; j < p_.n_bands; ++j) {
      for_points([&](int64_t u, int64_t v, int64_t at) {
        x_[at] = is_in_band(j, u, v) ? kept_[at] : Point{};
      });
      transform(true);
      for_points([&](int64_t, int64_t, int64_t at) {
        x_[at].re *= p_.scale;
        rest_[at].re -= x_[at].re;
      });
      store_plane(plane, j);
    }
    for_points([&](int64_t, int64_t, int64_t at) { x_[at] = rest_[at]; });
    store_plane(plane, 0);
  }

  void merge(int64_t plane) {
    for_points([&](int64_t, int64_t, int64_t at) { kept_[at] = {}; });
    for (int j = 1; j < p_.n_bands; ++j) {
      for (const int sign : {1, -1}) {
        const PlaneArray& array = p_.bands[sign > 0 ? j : 0];
        if (!array.is_present) continue;
        load(p_.a, array, plane);
        for_points([&](int64_t u, int64_t v, int64_t at) {
          if (!is_in_band(j, u, v)) return;
          kept_[at] = kept_[at] + Point{sign * x_[at].re, sign * x_[at].im};
        });
      }
    }
    for_points([&](int64_t, int64_t, int64_t at) { x_[at] = kept_[at]; });
    transform(true);
    for_points([&](int64_t u, int64_t v, int64_t at) {
      x_[at].re *= p_.scale;
      if (p_.bands[0].is_present) x_[at].re += element(p_.a, p_.bands[0], plane, u, v);
    });
    store_plane(plane, 0);
  }

  /// What is at point (u, v) of the transform.
  double element(const PlaneSide& side, const PlaneArray& array, int64_t plane, int64_t u,
                 int64_t v) const {
    const PlaneSpan &rows = side.span[0], &columns = side.span[1];
    u -= rows.place;
    v -= columns.place;
    if (u < 0 || u >= rows.count || v < 0 || v >= columns.count) return 0;
    const int64_t at = array.offset + WalkPosition<1>(array.lead, plane).at[0] +
                       (rows.first + u) % rows.n * array.row_stride +
                       (columns.first + v) % columns.n * array.column_stride;
    return load_scalar(p_.dtype, b_.read(array.ref), at);
  }

  /// x = F(the plane).
  void load(const PlaneSide& side, const PlaneArray& array, int64_t plane) {
    for_points(
        [&](int64_t u, int64_t v, int64_t at) { x_[at] = {element(side, array, plane, u, v), 0}; });
    transform(false);
  }

  void transform(bool is_inverse) {
    for (int64_t u = 0; u < n0_; ++u) {
      transform_line(x_ + u * n1_, y_ + u * n1_, 1, n1_, roots_[1], is_inverse);
    }
    for (int64_t v = 0; v < n1_; ++v) {
      transform_line(y_ + v, x_ + v, n1_, n0_, roots_[0], is_inverse);
    }
  }

  int64_t spectrum_at(int64_t part, int64_t u, int64_t v) const {
    return (bundle_ * p_.n_parts + part) * p_.spectrum_size() + 2 * u * p_.pitch() +
           in_bundle_ * p_.n_columns() + v;
  }
  Point spectrum(int64_t part, int64_t u, int64_t v) const {
    const bool is_mirrored = v >= p_.n_columns();
    if (is_mirrored) {
      u = u == 0 ? 0 : n0_ - u;
      v = n1_ - v;
    }
    const int64_t at = spectrum_at(part, u, v);
    const DType dtype = accumulator_of(p_.dtype);
    const void* all = b_.read(p_.spectra);
    const double im = load_scalar(dtype, all, at + p_.pitch());
    return {load_scalar(dtype, all, at), is_mirrored ? -im : im};
  }
  void store_spectrum(int64_t part, double scale) {
    const DType dtype = accumulator_of(p_.dtype);
    void* all = b_.write(p_.spectra);
    for (int64_t u = 0; u < n0_; ++u) {
      for (int64_t v = 0; v < p_.n_columns(); ++v) {
        const int64_t at = spectrum_at(part, u, v);
        store_scalar(dtype, all, at, x_[u * n1_ + v].re * scale);
        store_scalar(dtype, all, at + p_.pitch(), x_[u * n1_ + v].im * scale);
      }
    }
  }

  void store_plane(int64_t plane, int64_t band) {
    const PlaneArray& array = p_.job == PlaneJob::bands ? p_.bands[band] : p_.out.array;
    const PlaneSpan &rows = p_.out.span[0], &columns = p_.out.span[1];
    const int64_t base = array.offset + WalkPosition<1>(array.lead, plane).at[0];
    for (int64_t i = 0; i < rows.count; ++i) {
      for (int64_t j = 0; j < columns.count; ++j) {
        store_scalar(
            p_.dtype, b_.write(array.ref),
            base + (rows.first + i) * array.row_stride + (columns.first + j) * array.column_stride,
            x_[(rows.place + i) * n1_ + columns.place + j].re);
      }
    }
  }

  const PlaneProblem& p_;
  const Buffers& b_;
  int64_t n0_, n1_;
  Point *x_, *y_, *kept_, *rest_;
  Point* roots_[2];
  int64_t bundle_ = 0, in_bundle_ = 0;
};

size_t scratch_bytes(const void* problem) noexcept {
  return Reference::scratch_bytes(as_planes(problem));
}
int64_t n_tasks(const void* problem) noexcept { return as_planes(problem).n_tasks(); }
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  Reference reference(as_planes(problem), buffers, scratch);
  for (int64_t i = begin; i < end; ++i) reference.run(i);
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, scratch_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)       \
  {"plane_fft_" #dtype "_reference", \
   "reference",                      \
   DType::dtype,                     \
   Cluster::reference,               \
   DeviceType::cpu,                  \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable plane_fft_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
