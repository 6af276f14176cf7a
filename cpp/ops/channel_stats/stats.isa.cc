// Sums over the positions of each channel in one pass, with deviations about the mean of each block
// of positions: a difference of large sums would lose what a channel of large mean varies by.
#include "ops/channel_stats/problem.h"
#include "ops/common/carver.h"
#include "ops/common/rows.h"

namespace swath::SWATH_ISA {
namespace {

constexpr int64_t kBlock = 2048;     // elements of a row, which is read twice for deviations
constexpr int64_t kBlockRows = 128;  // the same across rows

const StatsProblem& as_stats(const void* problem) {
  return *static_cast<const StatsProblem*>(problem);
}

/// One task: channels [first, first + n) of one sample and one part of its positions.
struct Task {
  int64_t part, sample, first, n;

  __attribute__((always_inline)) Task(const StatsProblem& p, int64_t index) {
    part = index % p.n_parts;
    index /= p.n_parts;
    first = index % p.n_channel_blocks() * p.channel_block;
    sample = index / p.n_channel_blocks();
    n = p.channels.n - first < p.channel_block ? p.channels.n - first : p.channel_block;
  }
};

/// Statistics of one channel, block by block.
template <class A>
struct Running {
  LongSum<A> sum, product;
  A count = 0, mean = 0, square = 0;

  __attribute__((always_inline)) void add_moments(A n, A block_mean, A block_square) {
    const A shift = block_mean - mean;
    const A all = count + n;
    square += block_square + shift * shift * (count * n / all);
    mean += shift * (n / all);
    count = all;
  }
};

template <class S>
class Rows {
 public:
  using A = typename AccOf<S>::type;

  Rows(const StatsProblem& problem, const Buffers& b, void* memory) : p_(problem) {
    carve(memory);
    x_ = static_cast<const S*>(b.read(p_.x));
    c_ = p_.has_product ? static_cast<const S*>(b.read(p_.c)) : nullptr;
    to_ = static_cast<A*>(b.write(p_.sums));
  }
  static int64_t scratch_bytes(const StatsProblem& p) { return Rows(p).carve(nullptr); }

  void run(const Task& task) const {
    const int64_t begin = p_.part_begin(task.part), end = p_.part_begin(task.part + 1);
    const bool is_one_row = p_.rows.count() == 1;
    const int64_t n_rows = is_one_row ? 1 : end - begin;
    for (int64_t i = task.first; i < task.first + task.n; ++i) {
      Running<A> r;
      WalkPosition<kStatsArrays> row(p_.rows, is_one_row ? 0 : begin);
      for (int64_t k = 0; k < n_rows; ++k, row.advance()) {
        const int64_t first = is_one_row ? begin : 0, n = is_one_row ? end - begin : p_.run.n;
        const int64_t x = task.sample * p_.batch.stride[kStatsX] + i * p_.channels.stride[kStatsX] +
                          row.at[kStatsX] + first * p_.run.stride[kStatsX];
        const int64_t c = task.sample * p_.batch.stride[kStatsC] + i * p_.channels.stride[kStatsC] +
                          row.at[kStatsC] + first * p_.run.stride[kStatsC];
        add_row(r, x, c, n);
      }
      finish(r, task, i);
    }
  }

 private:
  explicit Rows(const StatsProblem& problem) : p_(problem) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    raw_x_ = carver.take<S>(kBlock);
    raw_c_ = carver.take<S>(kBlock);
    return carver.used;
  }

  void add_row(Running<A>& r, int64_t x_at, int64_t c_at, int64_t n_all) const {
    const int64_t x_stride = p_.run.stride[kStatsX], c_stride = p_.run.stride[kStatsC];
    for (int64_t j = 0; j < n_all; j += kBlock) {
      const int64_t n = n_all - j < kBlock ? n_all - j : kBlock;
      const S* x = x_ + x_at + j * x_stride;
      if (x_stride != 1) {
        gather_row(x, x_stride, raw_x_, n);
        x = raw_x_;
      }
      const A sum = sum_lanes<A>(n, [&](int64_t i, int m) { return load_part<A>(x + i, m); });
      if (p_.has_moments) {
        const A mean = sum / static_cast<A>(n);
        const Vec<A> centre = set1(mean);
        const A square = sum_lanes<A>(n, [&](int64_t i, int m) {
          const auto is_inside = iota<Bits<A>>() < set1(static_cast<Bits<A>>(m));
          const Vec<A> d = load_part<A>(x + i, m) - centre;
          return select(is_inside, d * d, zero<A>());
        });
        r.add_moments(static_cast<A>(n), mean, square);
      } else {
        r.sum.add(sum);
      }
      if (c_ == nullptr) continue;
      const S* c = c_ + c_at + j * c_stride;
      if (c_stride != 1) {
        gather_row(c, c_stride, raw_c_, n);
        c = raw_c_;
      }
      r.product.add(sum_lanes<A>(
          n, [&](int64_t i, int m) { return load_part<A>(c + i, m) * load_part<A>(x + i, m); }));
    }
  }

  void finish(const Running<A>& r, const Task& task, int64_t channel) const {
    const auto to = [&](int64_t value) -> A& {
      return to_[p_.result(task.part, value, task.sample, channel)];
    };
    to(0) = p_.has_moments ? r.mean : r.sum.value();
    if (p_.has_moments) to(1) = r.square;
    if (c_ != nullptr) to(p_.n_values() - 1) = r.product.value();
  }

  const StatsProblem& p_;
  const S *x_ = nullptr, *c_ = nullptr;
  A* to_ = nullptr;
  S *raw_x_ = nullptr, *raw_c_ = nullptr;
};

/// kVectors vectors of channels side by side, of which the last holds n_last.
template <class S, int kVectors>
struct Lanes {
  using A = typename AccOf<S>::type;
  const StatsProblem& p;
  const S *x, *c;  // at the first channel of the sample
  int n_last;
  Vec<A> sum[kVectors], product[kVectors], mean[kVectors], square[kVectors];
  A count = 0;

  /// Blocks of several vectors are whole.
  __attribute__((always_inline)) int lanes_of(int) const {
    return kVectors > 1 ? kLanes<A> : n_last;
  }
  __attribute__((always_inline)) Vec<A> at(const S* from, int u) const {
    return load_part<A>(from + u * kLanes<A>, lanes_of(u));
  }

  /// f(offset in x, offset in c) for n rows: positions that merged into one axis take no counter.
  template <class F>
  __attribute__((always_inline)) void each_row(int64_t first, int64_t n, const F& f) const {
    if (p.rows.n_axes <= 1) {
      const int64_t x_step = p.rows.n_axes == 0 ? 0 : p.rows.axes[0].stride[kStatsX];
      const int64_t c_step = p.rows.n_axes == 0 ? 0 : p.rows.axes[0].stride[kStatsC];
      for (int64_t i = first; i < first + n; ++i) f(i * x_step, i * c_step);
      return;
    }
    WalkPosition<kStatsArrays> row(p.rows, first);
    for (int64_t i = 0; i < n; ++i, row.advance()) f(row.at[kStatsX], row.at[kStatsC]);
  }

  __attribute__((always_inline)) void run(int64_t begin, int64_t end) {
    for (int u = 0; u < kVectors; ++u) sum[u] = product[u] = mean[u] = square[u] = zero<A>();
    for (int64_t first = begin; first < end; first += kBlockRows) {
      const int64_t n = end - first < kBlockRows ? end - first : kBlockRows;
      Vec<A> s[kVectors], d[kVectors];
      for (int u = 0; u < kVectors; ++u) s[u] = d[u] = zero<A>();
      if (c == nullptr) {
        each_row(first, n, [&](int64_t x_at, int64_t) {
#pragma GCC unroll 4
          for (int u = 0; u < kVectors; ++u) s[u] += at(x + x_at, u);
        });
      } else {
        each_row(first, n, [&](int64_t x_at, int64_t c_at) {
#pragma GCC unroll 4
          for (int u = 0; u < kVectors; ++u) {
            const Vec<A> v = at(x + x_at, u);
            s[u] += v;
            d[u] += v * at(c + c_at, u);
          }
        });
      }
      for (int u = 0; u < kVectors; ++u) product[u] += d[u];
      if (p.has_moments) {
        add_moments(first, n, s);
      } else {
        for (int u = 0; u < kVectors; ++u) sum[u] += s[u];
      }
    }
  }

  __attribute__((always_inline)) void add_moments(int64_t first, int64_t n,
                                                  const Vec<A> (&s)[kVectors]) {
    const A n_here = static_cast<A>(n), all = count + n_here;
    Vec<A> centre[kVectors], d2[kVectors];
    for (int u = 0; u < kVectors; ++u) {
      centre[u] = s[u] / set1(n_here);
      d2[u] = zero<A>();
    }
    each_row(first, n, [&](int64_t x_at, int64_t) {
#pragma GCC unroll 4
      for (int u = 0; u < kVectors; ++u) {
        const Vec<A> d = at(x + x_at, u) - centre[u];
        d2[u] += d * d;
      }
    });
    for (int u = 0; u < kVectors; ++u) {
      const Vec<A> shift = centre[u] - mean[u];
      square[u] += d2[u] + shift * shift * set1(count * n_here / all);
      mean[u] += shift * set1(n_here / all);
    }
    count = all;
  }

  __attribute__((always_inline)) void finish(A* to, int64_t value_step) const {
    for (int u = 0; u < kVectors; ++u) {
      A* here = to + u * kLanes<A>;
      store_part(here, p.has_moments ? mean[u] : sum[u], lanes_of(u));
      if (p.has_moments) store_part(here + value_step, square[u], lanes_of(u));
      if (c != nullptr) {
        store_part(here + (p.n_values() - 1) * value_step, product[u], lanes_of(u));
      }
    }
  }
};

template <class S, int kVectors>
__attribute__((noinline)) void run_lanes(const StatsProblem& p, const S* x, const S* c, int n_last,
                                         int64_t part, typename AccOf<S>::type* to) {
  Lanes<S, kVectors> lanes{p, x, c, n_last, {}, {}, {}, {}};
  lanes.run(p.part_begin(part), p.part_begin(part + 1));
  lanes.finish(to, p.batch.n * p.channels.n);
}

template <class S>
void run_by_lanes(const StatsProblem& p, const Buffers& b, const Task& task) {
  using A = typename AccOf<S>::type;
  constexpr int kLane = kLanes<A>, kMany = 4;
  const S* x = static_cast<const S*>(b.read(p.x)) + task.sample * p.batch.stride[kStatsX];
  const S* c = p.has_product
                   ? static_cast<const S*>(b.read(p.c)) + task.sample * p.batch.stride[kStatsC]
                   : nullptr;
  A* to = static_cast<A*>(b.write(p.sums));
  const int64_t end = task.first + task.n;
  int64_t i = task.first;
  const auto step = [&](auto vectors, int n_last) {
    run_lanes<S, decltype(vectors)::value>(p, x + i, c == nullptr ? nullptr : c + i, n_last,
                                           task.part, to + p.result(task.part, 0, task.sample, i));
    i += (decltype(vectors)::value - 1) * kLane + n_last;
  };
  while (i + kMany * kLane <= end) step(std::integral_constant<int, kMany>{}, kLane);
  while (i < end) {
    step(std::integral_constant<int, 1>{}, static_cast<int>(end - i < kLane ? end - i : kLane));
  }
}

const char* reject_rows(const void* problem) noexcept {
  return as_stats(problem).by_lanes ? "the channels are the contiguous axis" : nullptr;
}
const char* reject_lanes(const void* problem) noexcept {
  const StatsProblem& p = as_stats(problem);
  if (!p.by_lanes) return "the channels are not the contiguous axis";
  const bool is_unit = p.channels.stride[kStatsX] == 1 && p.channels.stride[kStatsC] == 1;
  return is_unit ? nullptr : "the channels of one array are apart";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept {
  const StatsProblem& p = as_stats(problem);
  return p.batch.n * p.n_channel_blocks() * p.n_parts;
}

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Rows<S>::scratch_bytes(as_stats(problem)));
}

template <class S>
void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const StatsProblem& p = as_stats(problem);
  if (p.by_lanes) {
    for (int64_t i = begin; i < end; ++i) run_by_lanes<S>(p, b, Task(p, i));
    return;
  }
  const Rows<S> rows(p, b, scratch);
  for (int64_t i = begin; i < end; ++i) rows.run(Task(p, i));
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)                                            \
  extern const KernelFns channel_stats_##variant##_##dtype;                                  \
  const KernelFns channel_stats_##variant##_##dtype{reject_##variant,     no_bytes, no_pack, \
                                                    scratch_bytes<dtype>, n_tasks,  run<dtype>};
#include "ops/channel_stats/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
