// The gradient of the taps with vectors along the channels: the kernel `taps_grad_channels`. Where
// members lie side by side each product is a sum along vectors; where the groups do, every lane has
// taps of its own.
#include "ops/dynamic_conv/channel_window.h"

namespace swath::SWATH_ISA {
namespace {

template <class S>
class ChannelsGradWorker {
 public:
  using A = typename AccOf<S>::type;
  static constexpr bool kIsAcc = sizeof(S) == sizeof(A);

  ChannelsGradWorker(const DynamicProblem& problem, const Buffers& buffers, void* memory)
      : p_(problem), b_(&buffers), window_(problem, &buffers) {
    carve(memory);
    for (int64_t m = 0; m < window_.n_outer(); ++m) dy_at_[m] = m * dy_outer_step();
    for (int64_t k = 0; k < p_.n_taps(); ++k) dp_at_[k] = k * window_.pitch();
  }
  static int64_t scratch_bytes(const DynamicProblem& p) {
    return ChannelsGradWorker(p).carve(nullptr);
  }

  void run(const DynamicTask& task) {
    for_windows(p_, task, [&](const Window& w) {
      const Source x = window_.open(task, w);
      for (int64_t m = 0; m < window_.n_outer(); ++m) x_at_[m] = m * x.outer_step;
      for (int64_t i = 0; i < w.n_rows; ++i) {
        const A* row = x.x + i * w.h.in_stride * x.row_step;
        const int64_t x_step = w.w.in_stride * x.col_step;
        if (p_.lanes_are_groups) {
          add_groups(task, w, w.row + i, row, x_step, x.taps);
        } else {
          add_members(task, w, w.row + i, row, x_step, x.taps);
        }
      }
    });
  }

 private:
  using Source = typename ChannelWindow<S>::Source;

  explicit ChannelsGradWorker(const DynamicProblem& p) : p_(p), window_(p, nullptr) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    const int64_t n_taps = p_.n_taps();
    window_.carve(carver);
    dp_pitch_ = padded(n_taps);
    const int64_t of_groups = n_taps * window_.pitch(), of_members = p_.cols_block * dp_pitch_;
    dp_ = carver.take<A>((p_.lanes_are_groups ? of_groups : kIsAcc ? 0 : of_members) + kSlack);
    dy_ = carver.take<A>(
        kIsAcc ? 0 : (p_.lanes_are_groups ? 1 : p_.cols_block) * window_.position_step());
    for (int64_t** at : {&x_at_, &dy_at_}) *at = carver.take<int64_t>(window_.n_outer());
    dp_at_ = carver.take<int64_t>(n_taps);
    return carver.used;
  }
  int64_t dy_outer_step() const { return kIsAcc ? window_.outer_step(p_.dy) : window_.pitch(); }

  const S* dy_from(const DynamicTask& task, int64_t row, int64_t col) const {
    return static_cast<const S*>(b_->read(p_.dy.ref)) + p_.dy.at(task.n, task.g, 0, row, col);
  }
  /// A position of dy as accumulators.
  const A* read_dy(const S* from, A* to) const {
    if constexpr (kIsAcc) {
      return from;
    } else {
      for (int64_t o = 0; o < window_.n_outer(); ++o) {
        widen_row(from + o * window_.outer_step(p_.dy), 1, to + o * window_.pitch(),
                  window_.n_inner());
      }
      return to;
    }
  }

  void add_members(const DynamicTask& task, const Window& w, int64_t row, const A* x,
                   int64_t x_step, const int64_t* taps) const {
    S* out = static_cast<S*>(b_->write(p_.out.ref)) + p_.out.at(task.n, task.g, 0, row, w.col);
    ChannelSums<A> sums{nullptr, p_.dy.w,  x,           x_step,   taps,
                        nullptr, p_.out.w, w.n_terms(), w.n_cols, p_.n_members};
    if constexpr (kIsAcc) {
      sums.dy = dy_from(task, row, w.col);
      sums.out = out;
      multiply(sums);
    } else {
      for (int64_t q = 0; q < w.n_cols; ++q) {
        read_dy(dy_from(task, row, w.col + q), dy_ + q * window_.pitch());
      }
      sums.dy = dy_;
      sums.dy_step = window_.pitch();
      sums.out = dp_;
      sums.out_step = dp_pitch_;
      multiply(sums);
      for (int64_t q = 0; q < w.n_cols; ++q) {
        narrow_row(dp_ + q * dp_pitch_, out + q * p_.out.w, 1, w.n_terms());
      }
    }
  }

  void add_groups(const DynamicTask& task, const Window& w, int64_t row, const A* x, int64_t x_step,
                  const int64_t* taps) const {
    S* out = static_cast<S*>(b_->write(p_.out.ref)) + p_.out.at(task.n, 0, 0, row, w.col);
    for (int64_t q = 0; q < w.n_cols; ++q) {
      const A* dy = read_dy(dy_from(task, row, w.col + q), dy_);
      multiply(LaneProducts<A>{dy, dy_at_, x + q * x_step, x_at_, taps, dp_, dp_at_, nullptr,
                               p_.n_members, w.n_terms(), p_.n_groups, false});
      write_lines(dp_, window_.pitch(), w.n_terms(), p_.n_groups, out + q * p_.out.w, p_.out.g);
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  ChannelWindow<S> window_;
  int64_t dp_pitch_ = 0;
  A *dp_ = nullptr, *dy_ = nullptr;
  int64_t *x_at_ = nullptr, *dy_at_ = nullptr, *dp_at_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::taps_grad) return "made for the gradient of taps";
  if (p.softmax || p.n_partials > 0) return "made for taps as they are";
  if (!p.along_channels) return "the channels are not contiguous";
  const int64_t inner = p.lanes_are_groups ? p.dy.g : p.dy.m;
  if (inner != 1 || p.out.m != 1) return "the channels or taps are not contiguous";
  const int64_t n_terms = p.lanes_are_groups ? p.n_members : p.n_members / kLanes<float>;
  return n_terms > kSumRun ? "many members" : nullptr;
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(ChannelsGradWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  return count_tasks(p, channel_groups(p));
}
template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  ChannelsGradWorker<S> worker(p, buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(DynamicTask(p, i, channel_groups(p)));
}

}  // namespace

#define SWATH_CHANNELS_GRAD(name, S)                                                          \
  extern const KernelFns dynamic_conv_taps_grad_channels_##name;                              \
  const KernelFns dynamic_conv_taps_grad_channels_##name{reject,           no_bytes, no_pack, \
                                                         scratch_bytes<S>, n_tasks,  run<S>};
SWATH_CHANNELS_GRAD(f32, float)
SWATH_CHANNELS_GRAD(f64, double)
SWATH_CHANNELS_GRAD(f16, f16)
SWATH_CHANNELS_GRAD(bf16, bf16)
#undef SWATH_CHANNELS_GRAD

}  // namespace swath::SWATH_ISA
