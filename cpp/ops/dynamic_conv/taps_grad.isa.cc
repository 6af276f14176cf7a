// The gradient of the taps: the products of dy and x, added up over the members of a group, and the
// slope of the softmax, in one pass. Taps that all positions share are added up over tiles first,
// lane by lane.
#include "ops/dynamic_conv/stage.h"

namespace swath::SWATH_ISA {
namespace {

template <class S>
class TapsGradWorker {
 public:
  using A = typename AccOf<S>::type;
  static constexpr bool kIsAcc = sizeof(S) == sizeof(A);

  TapsGradWorker(const DynamicProblem& problem, const Buffers& buffers, void* memory)
      : p_(problem), b_(&buffers) {
    carve(memory);
  }
  static int64_t scratch_bytes(const DynamicProblem& p) { return TapsGradWorker(p).carve(nullptr); }

  /// Every position has taps of its own.
  void run(const DynamicTask& task) {
    for_windows(p_, task, [&](const Window& w) {
      add_products(task, w);
      for (int64_t i = 0; i < w.n_rows; ++i) {
        A* dp = row_of(i);
        if (p_.softmax) take_slope(task, w, w.row + i, dp);
        write(task, w, w.row + i, dp);
      }
    });
  }

  /// All have the same: one of the partial sums of a group.
  void run_shared(int64_t part, int64_t g) {
    const int64_t n_tiles = count_tasks(p_, 1), size = p_.n_taps() * pitch_;
    for (int64_t i = 0; i < size; ++i) total_[i] = part_[i] = 0;
    int64_t n_added = 0;
    for (int64_t item = part; item < n_tiles; item += p_.n_partials) {
      DynamicTask task(p_, item, 1);
      task.g = g;
      for_windows(p_, task, [&](const Window& w) {
        add_products(task, w);
        for (int64_t i = 0; i < w.n_rows; ++i) {
          if (p_.softmax) take_slope(task, w, w.row + i, row_of(i));
          for (int64_t k = 0; k < p_.n_taps(); ++k) {
            const A* from = row_of(i) + k * pitch_;
            A* to = part_ + k * pitch_;
            for_lanes<A>(w.n_cols, [&](int64_t j, int m) {
              store_part(to + j, load_part<A>(to + j, m) + load_part<A>(from + j, m), m);
            });
          }
          if (++n_added % kSumRun == 0) flush(size);
        }
      });
    }
    flush(size);
    A* sums = static_cast<A*>(b_->write(p_.out.ref)) + (part * p_.n_groups + g) * p_.n_taps();
    for (int64_t k = 0; k < p_.n_taps(); ++k) {
      sums[k] = sum_lanes<A>(
          pitch_, [&](int64_t j, int m) { return load_part<A>(total_ + k * pitch_ + j, m); });
    }
  }

 private:
  explicit TapsGradWorker(const DynamicProblem& p) : p_(p) {}

  A* row_of(int64_t i) const { return dp_ + i * p_.n_taps() * pitch_; }
  void flush(int64_t size) const {
    for (int64_t i = 0; i < size; i += kLanes<A>) {
      store(total_ + i, load(total_ + i) + load(part_ + i));
      store(part_ + i, zero<A>());
    }
  }

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    pitch_ = padded(p_.cols_block);
    const int64_t n_taps = p_.n_taps();
    dp_ = carver.take<A>(p_.rows_block * n_taps * pitch_);
    tile_ = carver.take<A>(p_.softmax ? n_taps * pitch_ + kSlack : 0);
    scale_ = carver.take<A>(pitch_);
    const bool is_shared = p_.n_partials > 0;
    total_ = carver.take<A>(is_shared ? n_taps * pitch_ : 0);
    part_ = carver.take<A>(is_shared ? n_taps * pitch_ : 0);
    const AxisPhase h = axis_phase(p_, 0, 0), w = axis_phase(p_, 1, 0);
    const Window full{h, w, 0, smaller(p_.rows_block, h.n), 0, smaller(p_.cols_block, w.n)};
    const int64_t lines = larger(full.n_in_rows(), h.n_taps) * smaller(w.in_stride, w.span());
    x_ = carver.take<A>(p_.members_block * lines * x_pitch(full) + kSlack);
    dy_ = carver.take<A>(p_.members_block * p_.rows_block * pitch_ + kSlack);
    for (int64_t** at : {&x_at_, &dy_at_}) *at = carver.take<int64_t>(p_.members_block);
    for (int64_t** at : {&tap_at_, &y_at_}) *at = carver.take<int64_t>(n_taps);
    return carver.used;
  }

  static int64_t x_pitch(const Window& w) {
    return padded((w.n_in_cols() - 1) / w.w.in_stride + 1);
  }

  struct Source {
    const A* x;
    int64_t member_step, row_step;
  };

  /// dp[row][tap] of the window's rows.
  void add_products(const DynamicTask& task, const Window& w) {
    const bool direct_x = kIsAcc && p_.in.w == 1 && w.w.in_stride == 1 && w.is_inside(p_);
    const bool direct_dy = kIsAcc && p_.dy.w == 1;
    make_offsets(w, direct_x);
    for (int64_t m = 0; m < p_.n_members; m += p_.members_block) {
      const int64_t n = smaller(p_.members_block, p_.n_members - m);
      const Source x = direct_x ? x_in_place(task, w, m) : copy_x(task, w, m, n);
      const Source dy = direct_dy ? dy_in_place(task, w, m) : copy_dy(task, w, m, n);
      for (int64_t j = 0; j < n; ++j) {
        x_at_[j] = j * x.member_step;
        dy_at_[j] = j * dy.member_step;
      }
      for (int64_t i = 0; i < w.n_rows; ++i) {
        multiply(LaneProducts<A>{dy.x + i * dy.row_step, dy_at_,
                                 x.x + i * w.h.in_stride * x.row_step, x_at_, tap_at_, row_of(i),
                                 y_at_, nullptr, n, w.n_terms(), w.n_cols, m > 0});
      }
    }
  }

  void make_offsets(const Window& w, bool direct_x) {
    const int64_t lines = smaller(w.w.in_stride, w.w.span()), pitch = x_pitch(w);
    int64_t r = 0;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      for (int64_t c = 0; c < w.w.n_taps; ++c, ++r) {
        const int64_t col = w.window_col(c);
        y_at_[r] = r * pitch_;
        tap_at_[r] = direct_x ? (w.h.shift(a) - w.h.lowest_shift()) * p_.in.h + col
                              : (w.window_row(a) * lines + col % w.w.in_stride) * pitch +
                                    col / w.w.in_stride;
      }
    }
  }

  Source x_in_place(const DynamicTask& task, const Window& w, int64_t m) const {
    const int64_t row = w.row * w.h.in_stride + w.h.lowest_shift();
    return {static_cast<const A*>(b_->read(p_.in.ref)) +
                p_.in.at(task.n, task.g, m, row, w.first_col()),
            p_.in.m, p_.in.h};
  }
  Source copy_x(const DynamicTask& task, const Window& w, int64_t m, int64_t n) const {
    const int64_t lines = smaller(w.w.in_stride, w.w.span()), pitch = x_pitch(w);
    const int64_t n_rows = w.n_in_rows();
    stage_window(p_, *b_, task.n, task.g, m, n, w, x_, lines, pitch);
    return {x_, n_rows * lines * pitch, lines * pitch};
  }
  Source dy_in_place(const DynamicTask& task, const Window& w, int64_t m) const {
    return {static_cast<const A*>(b_->read(p_.dy.ref)) + p_.dy.at(task.n, task.g, m, w.row, w.col),
            p_.dy.m, p_.dy.h};
  }
  Source copy_dy(const DynamicTask& task, const Window& w, int64_t m, int64_t n) const {
    const S* first =
        static_cast<const S*>(b_->read(p_.dy.ref)) + p_.dy.at(task.n, task.g, m, w.row, w.col);
    if (p_.dy.m == 1 && p_.dy.w != 1) {
      for (int64_t i = 0; i < w.n_rows; ++i) {
        const Line<S> line{first + i * p_.dy.h, p_.dy.w, w.n_cols};
        stage_lines(line, n, 0, 1, w.n_cols, dy_ + i * pitch_, w.n_rows * pitch_, pitch_);
      }
      return {dy_, w.n_rows * pitch_, pitch_};
    }
    A* to = dy_;
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < w.n_rows; ++i, to += pitch_) {
        widen_row(first + j * p_.dy.m + i * p_.dy.h, p_.dy.w, to, w.n_cols);
      }
    }
    return {dy_, w.n_rows * pitch_, pitch_};
  }

  void take_slope(const DynamicTask& task, const Window& w, int64_t row, A* dp) const {
    stage_taps(p_, *b_, task.n, task.g, w, row, tile_, pitch_);
    exponentiate(tile_, w.n_terms(), pitch_, w.n_cols, scale_, p_.renormalize);
    softmax_slope(tile_, scale_, dp, w.n_terms(), pitch_, w.n_cols);
  }
  void write(const DynamicTask& task, const Window& w, int64_t row, const A* dp) const {
    S* out = static_cast<S*>(b_->write(p_.out.ref)) + p_.out.at(task.n, task.g, 0, row, w.col);
    if (p_.out.m == 1 && p_.out.w != 1) {
      return write_lines(dp, pitch_, w.n_terms(), w.n_cols, out, p_.out.w);
    }
    for (int64_t k = 0; k < w.n_terms(); ++k) {
      narrow_row(dp + k * pitch_, out + k * p_.out.m, p_.out.w, w.n_cols);
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  int64_t pitch_ = 0;
  A *dp_ = nullptr, *tile_ = nullptr, *scale_ = nullptr, *total_ = nullptr, *part_ = nullptr;
  A *x_ = nullptr, *dy_ = nullptr;
  int64_t *x_at_ = nullptr, *dy_at_ = nullptr, *tap_at_ = nullptr, *y_at_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  return as_dynamic(problem).role == DynamicRole::taps_grad ? nullptr
                                                            : "made for the gradient of taps";
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(TapsGradWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  return p.n_partials > 0 ? p.n_partials * p.n_groups : count_tasks(p, p.n_groups);
}
template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  TapsGradWorker<S> worker(p, buffers, scratch);
  for (int64_t i = begin; i < end; ++i) {
    if (p.n_partials > 0) {
      worker.run_shared(i / p.n_groups, i % p.n_groups);
    } else {
      worker.run(DynamicTask(p, i, p.n_groups));
    }
  }
}

}  // namespace

#define SWATH_TAPS_GRAD(name, S)                                                     \
  extern const KernelFns dynamic_conv_taps_grad_##name;                              \
  const KernelFns dynamic_conv_taps_grad_##name{reject,           no_bytes, no_pack, \
                                                scratch_bytes<S>, n_tasks,  run<S>};
SWATH_TAPS_GRAD(f32, float)
SWATH_TAPS_GRAD(f64, double)
SWATH_TAPS_GRAD(f16, f16)
SWATH_TAPS_GRAD(bf16, bf16)
#undef SWATH_TAPS_GRAD

}  // namespace swath::SWATH_ISA
