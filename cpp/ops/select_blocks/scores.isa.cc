// Scores of key blocks and the choice among them.
#include "ops/common/carver.h"
#include "ops/common/rows.h"
#include "ops/linear_attention/product.h"
#include "ops/select_blocks/problem.h"
#include "simd/math.h"

namespace swath::SWATH_ISA {
namespace {

const SelectProblem& as_select(const void* p) { return *static_cast<const SelectProblem*>(p); }

/// Candidates scored at a time.
inline constexpr int64_t kColumns = 64;

template <class A>
class Worker {
 public:
  Worker(const SelectProblem& problem, Carver& carver)
      : p_(problem), width_((problem.max_candidates + kColumns - 1) / kColumns * kColumns) {
    scores_ = carver.take<A>(SelectProblem::kTaskRows * width_);
    columns_ = carver.take<A>(p_.n_d * kColumns);
    weights_ = carver.take<A>(width_);
    for (int32_t** list : {&candidates_, &order_, &level_, &kept_, &swap_}) {
      *list = carver.take<int32_t>(width_);
    }
    for (uint32_t** list : {&keys_, &swap_keys_}) *list = carver.take<uint32_t>(width_);
  }
  static int64_t scratch_bytes(const SelectProblem& p) {
    Carver carver{nullptr};
    Worker counted(p, carver);
    return carver.used;
  }

  void run(const Buffers& b, int64_t index) {
    SelectTask task(p_, index);
    if (task.n_rows <= 0) return;
    task.list_candidates(p_, b, candidates_);
    n_ = task.n_candidates;
    make_scores(b, task);
    for (int64_t r = 0; r < task.n_rows; ++r) {
      row_ = scores_ + r * width_;
      const int64_t n = choose();
      for (int64_t i = 0; i < n; ++i) kept_[i] = candidates_[order_[i]];
      task.write(p_, b, task.first_row + r, kept_, level_, n);
    }
  }

 private:
  void make_scores(const Buffers& b, const SelectTask& task) {
    const int64_t kv_head = task.head / (p_.n_heads / p_.n_kv_heads);
    const A* q = static_cast<const A*>(b.read(p_.q_means)) +
                 ((task.batch * p_.n_heads + task.head) * p_.n_q + task.first_row) * p_.n_d;
    const A* k = static_cast<const A*>(b.read(p_.k_means)) +
                 (task.batch * p_.n_kv_heads + kv_head) * p_.n_k * p_.n_d;
    for (int64_t j = 0; j < task.n_rows * width_; j += kLanes<A>) store(scores_ + j, zero<A>());
    for (int64_t j = 0; j < n_; j += kColumns) {
      const int64_t n = n_ - j < kColumns ? n_ - j : kColumns;
      for (int64_t i = 0; i < kColumns; ++i) {
        // Repeats the last one to the end of the columns: a NaN there would slow the product.
        const A* from = k + candidates_[j + (i < n ? i : n - 1)] * p_.n_d;
        for (int64_t c = 0; c < p_.n_d; ++c) columns_[c * kColumns + i] = from[c];
      }
      add_product<A>({q, p_.n_d, 1}, columns_, kColumns, scores_ + j, width_, task.n_rows, kColumns,
                     p_.n_d);
    }
    finish_scores(task.n_rows);
  }

  /// Scaled and rounded to float32; NaN becomes -inf.
  void finish_scores(int64_t n_rows) {
    const Vec<A> scale = set1(static_cast<A>(p_.scale));
    for (int64_t i = 0; i < n_rows * width_; i += kLanes<A>) {
      Vec<A> s = load(scores_ + i) * scale;
      s = select(s == s, s, set1<A>(-__builtin_inff())) + zero<A>();  // -0 and 0 are equal
      store(scores_ + i, s);
      if constexpr (sizeof(A) == 8) {
        for (int l = 0; l < kLanes<A>; ++l) {
          scores_[i + l] = static_cast<double>(static_cast<float>(scores_[i + l]));
        }
      }
    }
  }

  /// Whether candidate a comes before b: the higher score, then the lower index.
  bool is_before(int32_t a, int32_t b) const {
    return row_[a] > row_[b] || (row_[a] == row_[b] && a < b);
  }

  /// Restores the heap of order_[0, n), whose first is the last of all, from `at` down.
  void sift(int64_t at, int64_t n) const {
    const int32_t moved = order_[at];
    for (;;) {
      int64_t child = 2 * at + 1;
      if (child >= n) break;
      if (child + 1 < n && is_before(order_[child], order_[child + 1])) ++child;
      if (!is_before(moved, order_[child])) break;
      order_[at] = order_[child];
      at = child;
    }
    order_[at] = moved;
  }

  /// Fills order_ with the kept candidates, ascending, and level_ with their levels.
  int64_t choose() {
    if (p_.needs_softmax()) make_weights();
    if (p_.needs_order()) return choose_in_order();
    int64_t n = n_;
    if (p_.top_k >= 0 && p_.top_k < n_) {
      n = p_.top_k;
      find_best(n);
    } else {
      for (int64_t i = 0; i < n; ++i) order_[i] = static_cast<int32_t>(i);
    }
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (p_.threshold > 0 && !(weights_[order_[i]] >= p_.threshold)) continue;
      level_[n_kept] = 1;
      order_[n_kept++] = order_[i];
    }
    return n_kept;
  }

  /// order_[0, k) = the best k, ascending by index.
  void find_best(int64_t k) const {
    if (k == 0) return;
    for (int64_t i = 0; i < k; ++i) order_[i] = static_cast<int32_t>(i);
    for (int64_t i = k / 2 - 1; i >= 0; --i) sift(i, k);
    A least = row_[order_[0]];
    for (int64_t i = k; i < n_; ++i) {
      if (!(row_[i] > least)) continue;  // of equals the lower index is there already
      order_[0] = static_cast<int32_t>(i);
      sift(0, k);
      least = row_[order_[0]];
    }
    for (int64_t i = 0; i < k; ++i) keys_[i] = static_cast<uint32_t>(order_[i]);
    sort_by_key(k);
  }

  /// Sorts order_[0, n) by keys_, four times by eight bits; equals keep their order.
  void sort_by_key(int64_t n) const {
    if (n <= 32) return insert_by_key(n);
    uint32_t *keys = keys_, *to_keys = swap_keys_;
    int32_t *order = order_, *to_order = swap_;
    for (int shift = 0; shift < 32; shift += 8) {
      int32_t place[257] = {};
      for (int64_t i = 0; i < n; ++i) ++place[(keys[i] >> shift & 255) + 1];
      for (int d = 0; d < 256; ++d) place[d + 1] += place[d];
      for (int64_t i = 0; i < n; ++i) {
        const int32_t at = place[keys[i] >> shift & 255]++;
        to_keys[at] = keys[i];
        to_order[at] = order[i];
      }
      uint32_t* const spare_keys = keys;
      int32_t* const spare = order;
      keys = to_keys;
      order = to_order;
      to_keys = spare_keys;
      to_order = spare;
    }
  }
  void insert_by_key(int64_t n) const {
    for (int64_t i = 1; i < n; ++i) {
      const uint32_t key = keys_[i];
      const int32_t moved = order_[i];
      int64_t at = i;
      for (; at > 0 && keys_[at - 1] > key; --at) {
        keys_[at] = keys_[at - 1];
        order_[at] = order_[at - 1];
      }
      keys_[at] = key;
      order_[at] = moved;
    }
  }

  int64_t choose_in_order() const {
    for (int64_t i = 0; i < n_; ++i) {
      const auto bits = __builtin_bit_cast(uint32_t, static_cast<float>(row_[i]));
      // The larger the float, the smaller the key.
      keys_[i] = (bits >> 31) != 0 ? bits : ~bits & 0x7fffffffu;
      order_[i] = static_cast<int32_t>(i);
    }
    sort_by_key(n_);
    double before = 0;
    for (int64_t rank = 0; rank < n_; ++rank) {
      const int32_t i = order_[rank];
      const double own = p_.needs_softmax() ? static_cast<double>(weights_[i]) : 0;
      swap_[i] = p_.level_of(rank, n_, before, own);
      before += own;
    }
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n_; ++i) {
      if (swap_[i] == 0) continue;
      level_[n_kept] = swap_[i];
      order_[n_kept++] = static_cast<int32_t>(i);
    }
    return n_kept;
  }

  /// The softmax of the row. Scores equal to the best count as exp(0), also where that is -inf.
  void make_weights() const {
    A most = -__builtin_inff();
    for (int64_t i = 0; i < n_; ++i) most = row_[i] > most ? row_[i] : most;
    double sum = 0;
    const Vec<A> top = set1(most);
    for (int64_t i = 0; i < n_; i += kLanes<A>) {
      const Vec<A> s = load(row_ + i);
      store(weights_ + i, select(s == top, set1<A>(1), exp(s - top)));
      for (int64_t l = i; l < i + kLanes<A> && l < n_; ++l) sum += static_cast<double>(weights_[l]);
    }
    for (int64_t i = 0; i < n_; ++i) {
      weights_[i] = static_cast<A>(static_cast<double>(weights_[i]) / sum);
    }
  }

  const SelectProblem& p_;
  const int64_t width_;
  int64_t n_ = 0;
  A *scores_ = nullptr, *columns_ = nullptr, *weights_ = nullptr, *row_ = nullptr;
  int32_t *candidates_ = nullptr, *order_ = nullptr, *level_ = nullptr;
  int32_t *kept_ = nullptr, *swap_ = nullptr;
  uint32_t *keys_ = nullptr, *swap_keys_ = nullptr;
};

template <class A>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<A>::scratch_bytes(as_select(problem)));
}
const char* no_reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_select(problem).n_tasks(); }

template <class A>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  Carver carver{static_cast<char*>(scratch)};
  Worker<A> worker(as_select(problem), carver);
  for (int64_t i = begin; i < end; ++i) worker.run(buffers, i);
}

// Means are accumulators: 16-bit arrays have the kernels of float32.
using f32 = float;
using f64 = double;
using f16 = float;
using bf16 = float;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)           \
  extern const KernelFns select_blocks_##variant##_##dtype; \
  const KernelFns select_blocks_##variant##_##dtype = {     \
      no_reject, no_bytes, no_pack, scratch_bytes<dtype>, n_tasks, run<dtype>};
#include "ops/select_blocks/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
