// Every step one element at a time, in double.
#include <cmath>
#include <iterator>
#include <limits>

#include "ops/common/scalar.h"
#include "ops/dynamic_conv/problem.h"

namespace swath {
namespace {

const DynamicProblem& as_dynamic(const void* p) { return *static_cast<const DynamicProblem*>(p); }

/// One task is a sample and a group, or a group where all samples share the taps' gradient.
int64_t n_tasks(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  return p.n_partials > 0 ? p.n_groups : p.n_batch * p.n_groups;
}

struct Position {
  int64_t h, w;
};

struct Reference {
  const DynamicProblem& p;
  const Buffers& b;
  int64_t n, g;

  double load(const DynamicArray& a, int64_t m, int64_t h, int64_t w) const {
    return load_scalar(p.dtype, b.read(a.ref), a.at(n, g, m, h, w));
  }
  double raw_tap(int64_t k, Position y) const {
    const DType dtype = p.taps_are_acc ? accumulator_of(p.dtype) : p.dtype;
    return load_scalar(dtype, b.read(p.taps.ref), p.taps.at(n, g, k, y.h, y.w));
  }
  Position met(int64_t k, Position y) const {
    const DynamicAxis &r = p.rows(), &c = p.cols();
    return {y.h * r.stride + k / c.kernel * r.dilation - r.pad,
            y.w * c.stride + k % c.kernel * c.dilation - c.pad};
  }
  bool is_inside(Position x) const {
    return x.h >= 0 && x.h < p.rows().x && x.w >= -p.n_history && x.w < p.cols().x;
  }
  /// The input at a position of x, which may be in the history.
  double input(int64_t m, Position x) const {
    if (!is_inside(x)) return 0;
    return x.w < 0 ? load(p.history, m, x.h, x.w + p.n_history) : load(p.in, m, x.h, x.w);
  }

  /// The softmax of a position: its maximum and the sum of exponentials.
  struct Softmax {
    double most = -std::numeric_limits<double>::infinity(), sum = 1;
  };
  bool counts(int64_t k, Position y) const { return !p.renormalize || is_inside(met(k, y)); }
  Softmax softmax_at(Position y) const {
    Softmax s;
    if (!p.softmax) return s;
    for (int64_t k = 0; k < p.n_taps(); ++k) {
      if (!counts(k, y)) continue;
      const double v = raw_tap(k, y);
      if (!(v <= s.most)) s.most = std::isnan(s.most) ? s.most : v;
    }
    ScalarSum sum;
    for (int64_t k = 0; k < p.n_taps(); ++k) {
      if (counts(k, y)) sum.add(std::exp(raw_tap(k, y) - s.most));
    }
    s.sum = sum.value();
    return s;
  }
  double tap(const Softmax& s, int64_t k, Position y) const {
    if (!p.softmax) return raw_tap(k, y);
    return counts(k, y) ? std::exp(raw_tap(k, y) - s.most) / s.sum : 0;
  }

  template <class F>
  void for_outputs(const F& f) const {
    for (int64_t h = 0; h < p.rows().y; ++h) {
      for (int64_t w = 0; w < p.cols().y; ++w) f(Position{h, w});
    }
  }

  void forward() const {
    for_outputs([&](Position y) {
      const Softmax s = softmax_at(y);
      for (int64_t m = 0; m < p.n_members; ++m) {
        ScalarSum sum;
        for (int64_t k = 0; k < p.n_taps(); ++k) {
          const Position x = met(k, y);
          if (is_inside(x)) sum.add(tap(s, k, y) * input(m, x));
        }
        store_scalar(p.dtype, b.write(p.out.ref), p.out.at(n, g, m, y.h, y.w), sum.value());
      }
    });
  }

  /// The output that meets position x with tap k; false if there is none.
  bool meets(Position x, int64_t k, Position& y) const {
    const DynamicAxis &r = p.rows(), &c = p.cols();
    const int64_t h = x.h + r.pad - k / c.kernel * r.dilation;
    const int64_t w = x.w + c.pad - k % c.kernel * c.dilation;
    y = {h / r.stride, w / c.stride};
    return h >= 0 && w >= 0 && h % r.stride == 0 && w % c.stride == 0 && y.h < r.y && y.w < c.y;
  }
  void input_grad() const {
    for (int64_t m = 0; m < p.n_members; ++m) {
      for (int64_t h = 0; h < p.rows().x; ++h) {
        for (int64_t w = 0; w < p.cols().x; ++w) {
          ScalarSum sum;
          for (int64_t k = 0; k < p.n_taps(); ++k) {
            Position y;
            if (!meets({h, w}, k, y)) continue;
            sum.add(tap(softmax_at(y), k, y) * load(p.in, m, y.h, y.w));
          }
          store_scalar(p.dtype, b.write(p.out.ref), p.out.at(n, g, m, h, w), sum.value());
        }
      }
    }
  }

  double tap_products(int64_t k, Position y) const {
    ScalarSum sum;
    for (int64_t m = 0; m < p.n_members; ++m)
      sum.add(load(p.dy, m, y.h, y.w) * input(m, met(k, y)));
    return sum.value();
  }
  /// f(k, gradient) for the taps of a position.
  template <class F>
  void taps_grad(Position y, const F& f) const {
    const Softmax s = softmax_at(y);
    ScalarSum mean;
    for (int64_t k = 0; p.softmax && k < p.n_taps(); ++k) {
      mean.add(tap(s, k, y) * tap_products(k, y));
    }
    for (int64_t k = 0; k < p.n_taps(); ++k) {
      const double products = tap_products(k, y);
      f(k, p.softmax ? tap(s, k, y) * (products - mean.value()) : products);
    }
  }
  void taps_grad() const {
    for_outputs([&](Position y) {
      taps_grad(y, [&](int64_t k, double value) {
        store_scalar(p.dtype, b.write(p.out.ref), p.out.at(n, g, k, y.h, y.w), value);
      });
    });
  }

  void softmax() const {
    for_outputs([&](Position y) {
      const Softmax s = softmax_at(y);
      for (int64_t k = 0; k < p.n_taps(); ++k) {
        store_scalar(accumulator_of(p.dtype), b.write(p.out.ref), p.out.at(n, g, k, y.h, y.w),
                     tap(s, k, y));
      }
    });
  }
};

/// All in the first partial sum; the others are 0.
void shared_taps_grad(const DynamicProblem& p, const Buffers& b, int64_t g) {
  const DType acc = accumulator_of(p.dtype);
  void* sums = b.write(p.out.ref);
  for (int64_t i = 0; i < p.n_partials; ++i) {
    for (int64_t k = 0; k < p.n_taps(); ++k) {
      store_scalar(acc, sums, (i * p.n_groups + g) * p.n_taps() + k, 0);
    }
  }
  for (int64_t n = 0; n < p.n_batch; ++n) {
    const Reference r{p, b, n, g};
    r.for_outputs([&](Position y) {
      r.taps_grad(y, [&](int64_t k, double value) {
        const int64_t at = g * p.n_taps() + k;
        store_scalar(acc, sums, at, load_scalar(acc, sums, at) + value);
      });
    });
  }
}

void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  for (int64_t i = begin; i < end; ++i) {
    if (p.n_partials > 0) {
      shared_taps_grad(p, buffers, i);
      continue;
    }
    const Reference r{p, buffers, i / p.n_groups, i % p.n_groups};
    switch (p.role) {
      case DynamicRole::forward:
        r.forward();
        break;
      case DynamicRole::input_grad:
        r.input_grad();
        break;
      case DynamicRole::taps_grad:
        r.taps_grad();
        break;
      case DynamicRole::softmax:
        r.softmax();
        break;
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)          \
  {"dynamic_conv_" #dtype "_reference", \
   "reference",                         \
   DType::dtype,                        \
   Cluster::reference,                  \
   DeviceType::cpu,                     \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable dynamic_conv_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
