// Sums, means and maxima of rows, their gradients, and rows that only move.
#include "ops/common/rows.h"
#include "ops/common/carver.h"
#include "ops/tokens/problem.h"

namespace swath::SWATH_ISA {
namespace {

const TokensProblem& as_tokens(const void* p) { return *static_cast<const TokensProblem*>(p); }

template <class S>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const TokensProblem& problem, const Buffers& b, void* memory) : p_(problem) {
    carve(memory);
    x0_ = static_cast<const S*>(b.read(p_.x));
    y0_ = b.write(p_.y);
    if (p_.weight != TokenWeight::none) w_ = b.read(p_.w);
    if (has_g()) g0_ = static_cast<const S*>(b.read(p_.g));
    if (p_.has_offsets) offsets_ = static_cast<const int64_t*>(b.read(p_.offsets));
    sources_ = static_cast<const int64_t*>(b.read(p_.sources));
  }
  static int64_t scratch_bytes(const TokensProblem& p) { return Worker(p).carve(nullptr); }

  void run(int64_t task) {
    const int64_t per_place = p_.tasks_per_place();
    const WalkPosition<kTokenArrays> place(p_.lead, task / per_place);
    x_ = x0_ + place.at[kTokenX];
    w_at_ = place.at[kTokenW];
    g_ = g0_ + place.at[kTokenG];
    y_at_ = place.at[kTokenY];
    const int64_t table = place.at[kTokenTable];
    const int64_t first = task % per_place * TokensProblem::kTokenTask;
    const int64_t end = smaller(first + TokensProblem::kTokenTask, p_.n_rows);
    for (int64_t row = first; row < end; ++row) {
      const int64_t begin = p_.first_source(offsets_, table, row);
      make_row(row, sources_ + begin, p_.end_source(offsets_, table, row) - begin);
    }
  }

 private:
  explicit Worker(const TokensProblem& problem) : p_(problem) {}

  static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
  bool has_g() const { return p_.mode == TokenMode::max_grad || p_.mode == TokenMode::dot; }

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    const int64_t n = p_.n_channels + kLanes<A>;
    for (A** row : {&part_, &total_}) *row = carver.take<A>(n);
    for (S** row : {&raw_x_, &raw_g_}) *row = carver.take<S>(n);
    return carver.used;
  }

  /// The channels of a row, side by side.
  const S* x_row(int64_t token) const {
    return side_by_side(x_ + p_.x_rows.at(token), p_.x_step, raw_x_);
  }
  const S* g_row(int64_t token) const {
    return side_by_side(g_ + p_.g_rows.at(token), p_.g_step, raw_g_);
  }
  const S* side_by_side(const S* from, int64_t step, S* raw) const {
    if (step == 1) return from;
    gather_row(from, step, raw, p_.n_channels);
    return raw;
  }
  A weight(int64_t token) const {
    const int64_t at = w_at_ + p_.w_rows.at(token);
    return p_.w_is_acc ? static_cast<const A*>(w_)[at] : to_acc(static_cast<const S*>(w_)[at]);
  }

  void make_row(int64_t row, const int64_t* sources, int64_t n) {
    switch (p_.mode) {
      case TokenMode::sum:
      case TokenMode::mean:
        return add_row(row, sources, n);
      case TokenMode::max:
        find_max(sources, n);
        return finish(row, nullptr);
      case TokenMode::max_grad:
        find_max(sources, n);
        return give_to_max(row, sources, n);
      case TokenMode::dot:
        return multiply(row, sources);
    }
  }

  void add_row(int64_t row, const int64_t* sources, int64_t n) {
    const int64_t n_channels = p_.n_channels;
    if (n == 1 && p_.weight == TokenWeight::none && !p_.y_is_acc) {
      const S* x = x_row(sources[0]);
      S* y = static_cast<S*>(y0_) + y_at_ + p_.y_rows.at(row);
      // Bits move as they are, those of NaN too.
      __builtin_memcpy(y, x, static_cast<size_t>(n_channels) * sizeof(S));
      return;
    }
    clear(part_);
    bool is_long = n > kSumRun;
    if (is_long) clear(total_);
    for (int64_t i = 0; i < n; ++i) {
      const S* x = x_row(sources[i]);
      if (p_.weight == TokenWeight::source) {
        const Vec<A> w = set1(weight(sources[i]));
        for_lanes<A>(n_channels, [&](int64_t j, int m) {
          store(part_ + j, mul_add(load_part<A>(x + j, m), w, load(part_ + j)));
        });
      } else {
        for_lanes<A>(n_channels, [&](int64_t j, int m) {
          store(part_ + j, load(part_ + j) + load_part<A>(x + j, m));
        });
      }
      if (is_long && ((i + 1) % kSumRun == 0 || i + 1 == n)) {
        for_lanes<A>(n_channels, [&](int64_t j, int) {
          store(total_ + j, load(total_ + j) + load(part_ + j));
          store(part_ + j, zero<A>());
        });
      }
    }
    if (is_long) {
      A* whole = total_;
      total_ = part_;
      part_ = whole;
    }
    A factor = 1;
    if (p_.weight == TokenWeight::row) factor = weight(row);
    const A count = static_cast<A>(n);
    if (p_.mode == TokenMode::mean) return finish(row, &count);
    if (p_.weight == TokenWeight::row) {
      for_lanes<A>(n_channels,
                   [&](int64_t j, int) { store(part_ + j, load(part_ + j) * set1(factor)); });
    }
    finish(row, nullptr);
  }

  void clear(A* row) const {
    for_lanes<A>(p_.n_channels, [&](int64_t j, int) { store(row + j, zero<A>()); });
  }

  /// part_ = maximum of the sources; NaN if one is.
  void find_max(const int64_t* sources, int64_t n) const {
    const S* first = x_row(sources[0]);
    for_lanes<A>(p_.n_channels,
                 [&](int64_t j, int m) { store(part_ + j, load_part<A>(first + j, m)); });
    for (int64_t i = 1; i < n; ++i) {
      const S* x = x_row(sources[i]);
      for_lanes<A>(p_.n_channels, [&](int64_t j, int m) {
        store(part_ + j, max_nan(load(part_ + j), load_part<A>(x + j, m)));
      });
    }
  }

  /// total_ counts whether a maximum has been met.
  void give_to_max(int64_t row, const int64_t* sources, int64_t n) const {
    clear(total_);
    const S* g = g_row(row);
    for (int64_t i = 0; i < n; ++i) {
      const S* x = x_row(sources[i]);
      S* y = static_cast<S*>(y0_) + y_at_ + p_.y_rows.at(sources[i]);
      for_lanes<A>(p_.n_channels, [&](int64_t j, int m) {
        const Vec<A> v = load_part<A>(x + j, m), most = load(part_ + j), met = load(total_ + j);
        const auto is_most = ((v == most) | ((v != v) & (most != most))) & (met == zero<A>());
        store_part(y + j, select(is_most, load_part<A>(g + j, m), zero<A>()), m);
        store(total_ + j, select(is_most, set1<A>(1), met));
      });
    }
  }

  void multiply(int64_t row, const int64_t* sources) const {
    const S *x = x_row(row), *g = g_row(sources[0]);
    const A sum = sum_lanes<A>(p_.n_channels, [&](int64_t j, int m) {
      return load_part<A>(x + j, m) * load_part<A>(g + j, m);
    });
    static_cast<A*>(y0_)[y_at_ + p_.y_rows.at(row)] = sum;
  }

  /// y = part_ / count.
  void finish(int64_t row, const A* count) const {
    if (count != nullptr) {
      const Vec<A> n = set1(*count);
      for_lanes<A>(p_.n_channels, [&](int64_t j, int) { store(part_ + j, load(part_ + j) / n); });
    }
    const int64_t at = y_at_ + p_.y_rows.at(row);
    if (p_.y_is_acc) {
      narrow_row(part_, static_cast<A*>(y0_) + at, 1, p_.n_channels);
    } else {
      narrow_row(part_, static_cast<S*>(y0_) + at, 1, p_.n_channels);
    }
  }

  const TokensProblem& p_;
  const S *x0_ = nullptr, *g0_ = nullptr;
  const void* w_ = nullptr;
  void* y0_ = nullptr;
  const int64_t *offsets_ = nullptr, *sources_ = nullptr;
  const S *x_ = nullptr, *g_ = nullptr;
  int64_t y_at_ = 0, w_at_ = 0;
  A *part_ = nullptr, *total_ = nullptr;
  S *raw_x_ = nullptr, *raw_g_ = nullptr;
};

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<S>::scratch_bytes(as_tokens(problem)));
}
const char* no_reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_tokens(problem).n_tasks(); }

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  Worker<S> worker(as_tokens(problem), buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)    \
  extern const KernelFns tokens_##variant##_##dtype; \
  const KernelFns tokens_##variant##_##dtype = {     \
      no_reject, no_bytes, no_pack, scratch_bytes<dtype>, n_tasks, run<dtype>};
#include "ops/tokens/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
