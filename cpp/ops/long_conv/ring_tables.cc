#include "ops/long_conv/ring_tables.h"

#include <cmath>
#include <cstring>
#include <list>
#include <mutex>
#include <new>
#include <numbers>
#include <vector>

namespace swath {
namespace {

/// Of one pass; larger tables are made of two factors.
constexpr int64_t kMaxTableBytes = 96 << 10;
/// Sizes whose tables are kept: a model has few lengths.
constexpr size_t kKept = 16;

struct Owned : RingTables {
  std::vector<std::unique_ptr<char[]>> memory;
  DType dtype = DType::f32;
};

struct Turn {
  double re, im;
};
/// exp(2 pi i fraction)
Turn turn(double fraction) {
  const double angle = 2 * std::numbers::pi * fraction;
  return {std::cos(angle), std::sin(angle)};
}

template <class A>
A* allocate(Owned& t, int64_t count) {
  // A cache line more, to begin at one.
  t.memory.push_back(std::make_unique<char[]>(static_cast<size_t>(count) * sizeof(A) + 64));
  const auto at = reinterpret_cast<uintptr_t>(t.memory.back().get());
  return reinterpret_cast<A*>((at + 63) / 64 * 64);
}

/// Powers of exp(2 pi i / period) at any multiple, from two tables of its square root.
class Turns {
 public:
  explicit Turns(int64_t period) : period_(period) {
    while (low_ * low_ < period) low_ *= 2;
    for (int64_t i = 0; i < low_; ++i) fine_.push_back(at_exact(i));
    for (int64_t i = 0; i * low_ < period; ++i) coarse_.push_back(at_exact(i * low_));
  }
  Turn operator()(int64_t i) const {
    i %= period_;
    const Turn a = fine_[static_cast<size_t>(i % low_)];
    const Turn b = coarse_[static_cast<size_t>(i / low_)];
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }

 private:
  Turn at_exact(int64_t i) const {
    return turn(static_cast<double>(i) / static_cast<double>(period_));
  }
  int64_t period_, low_ = 1;
  std::vector<Turn> fine_, coarse_;
};

/// The radices, the first pass first; after them sub-transforms of `lanes` elements remain.
std::vector<int> radices(int64_t n, int lanes, int64_t lane_bytes) {
  int64_t rest = n / lanes;
  std::vector<int> found;
  for (int odd : {3, 5}) {
    if (rest % odd == 0) found.push_back(odd);
    if (rest % odd == 0) rest /= odd;
  }
  int twos = 0;
  while (rest > 1) {
    rest /= 2;
    ++twos;
  }
  // Radix 8 needs 16 vectors and as many temporaries: only with 32 registers does it save time.
  const int eights = lane_bytes == 64 ? (twos % 3 == 0   ? twos / 3
                                         : twos % 3 == 2 ? (twos - 2) / 3
                                                         : (twos - 4) / 3)
                                      : twos % 2;
  const int fours = (twos - 3 * eights) / 2;
  // The first ones go over more than the first cache holds: as few as can be (1.15 times faster at
  // 16384 elements than with 4 first).
  for (int i = 0; i < eights; ++i) found.push_back(8);
  for (int i = 0; i < fours; ++i) found.push_back(4);
  return found;
}

/// Factor `m` (of n_factors) of column c turns by c (4 m + 1) / (4 n) in the first pass, by
/// c m / size in the others, whose factor 0 is not stored.
template <class A>
void fill_pass(Owned& t, RingPass& pass, int64_t size, bool is_first) {
  const Turns turns(is_first ? 4 * size : size);
  const int first_factor = is_first ? 0 : 1;
  pass.n_factors = pass.radix - first_factor;
  const auto value = [&](int64_t column, int f) {
    const int64_t m = f + first_factor;
    return turns(column * (is_first ? 4 * m + 1 : m));
  };
  const int64_t bytes = pass.quarter * pass.n_factors * 2 * static_cast<int64_t>(sizeof(A));
  const bool is_split = bytes > kMaxTableBytes && pass.quarter % kFactorBlock == 0;
  const int64_t columns = is_split ? kFactorBlock : pass.quarter;
  A* to = allocate<A>(t, columns * pass.n_factors * 2);
  pass.factors = to;
  for (int64_t c = 0; c < columns; c += t.lanes) {
    for (int f = 0; f < pass.n_factors; ++f, to += 2 * t.lanes) {
      for (int64_t l = 0; l < t.lanes; ++l) {
        const Turn v = value(c + l, f);
        to[l] = static_cast<A>(v.re);
        to[t.lanes + l] = static_cast<A>(v.im);
      }
    }
  }
  if (!is_split) return;
  A* base = allocate<A>(t, pass.quarter / kFactorBlock * pass.n_factors * 2);
  pass.base = base;
  for (int64_t c = 0; c < pass.quarter; c += kFactorBlock) {
    for (int f = 0; f < pass.n_factors; ++f) {
      const Turn v = value(c, f);
      *base++ = static_cast<A>(v.re);
      *base++ = static_cast<A>(v.im);
    }
  }
}

template <class A>
void fill(Owned& t) {
  int64_t size = t.n;
  for (int radix : radices(t.n, t.lanes, t.lanes * static_cast<int64_t>(sizeof(A)))) {
    RingPass& pass = t.passes[t.n_passes++];
    pass.radix = radix;
    pass.quarter = pass.pitch = size / radix;
    fill_pass<A>(t, pass, size, t.n_passes == 1);
    size = pass.quarter;
  }
  const int radix = t.passes[0].radix;
  t.passes[0].pitch += ring_padding(t.n, sizeof(A));
  A* corner = allocate<A>(t, 2 * radix);
  t.corner = corner;
  for (int j = 0; j < radix; ++j) {
    const Turn v = turn(j / (4.0 * radix));
    corner[2 * j] = static_cast<A>(v.re);
    corner[2 * j + 1] = static_cast<A>(v.im);
  }
}

}  // namespace

int64_t next_ring(int64_t n) {
  int64_t best = 0;
  for (int64_t odd : {1, 3, 5}) {
    int64_t size = odd * kMinRing;
    while (size < n) size *= 2;
    if (best == 0 || size < best) best = size;
  }
  return best;
}

std::shared_ptr<const RingTables> ring_tables(int64_t n, int lanes, DType dtype) {
  static std::mutex mutex;
  static std::list<std::shared_ptr<const Owned>> kept;  // last used first
  const std::lock_guard lock(mutex);
  for (auto it = kept.begin(); it != kept.end(); ++it) {
    if ((*it)->n != n || (*it)->lanes != lanes || (*it)->dtype != dtype) continue;
    kept.splice(kept.begin(), kept, it);
    return kept.front();
  }
  auto made = std::make_shared<Owned>();
  made->n = n;
  made->lanes = lanes;
  made->dtype = dtype;
  if (dtype == DType::f64) {
    fill<double>(*made);
  } else {
    fill<float>(*made);
  }
  kept.push_front(made);
  if (kept.size() > kKept) kept.pop_back();
  return made;
}

}  // namespace swath
