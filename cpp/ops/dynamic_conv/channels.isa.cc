// Vectors along the channels: the kernel `channels`, forward and input gradient. Where the members
// of a group lie side by side one tap serves all of them; where the groups do, a vector of taps
// serves every member.
#include "ops/dynamic_conv/channel_window.h"

namespace swath::SWATH_ISA {
namespace {

template <class S>
class ChannelsWorker {
 public:
  using A = typename AccOf<S>::type;
  static constexpr bool kIsAcc = sizeof(S) == sizeof(A);

  ChannelsWorker(const DynamicProblem& problem, const Buffers& buffers, const void* packed,
                 void* memory)
      : p_(problem),
        b_(&buffers),
        packed_(static_cast<const A*>(packed)),
        window_(problem, &buffers) {
    carve(memory);
  }
  static int64_t scratch_bytes(const DynamicProblem& p) { return ChannelsWorker(p).carve(nullptr); }

  void run(const DynamicTask& task) {
    for_windows(p_, task, [&](const Window& w) { run_window(task, w); });
  }

 private:
  explicit ChannelsWorker(const DynamicProblem& p) : p_(p), window_(p, nullptr) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    inner_pitch_ = window_.pitch();
    tile_pitch_ = p_.lanes_are_groups ? inner_pitch_ : padded(p_.cols_block);
    const int64_t n_taps = p_.n_taps();
    tile_ = carver.take<A>(p_.is_packed ? 0 : n_taps * tile_pitch_ + kSlack);
    scale_ = carver.take<A>(tile_pitch_);
    y_ = carver.take<A>((p_.lanes_are_groups ? 1 : p_.cols_block) * window_.position_step());
    window_.carve(carver);
    t_at_ = carver.take<int64_t>(n_taps);
    members_x_ = carver.take<int64_t>(window_.n_outer());
    members_y_ = carver.take<int64_t>(window_.n_outer());
    return carver.used;
  }

  using Source = typename ChannelWindow<S>::Source;

  void run_window(const DynamicTask& task, const Window& w) {
    const Source x = window_.open(task, w);
    for (int64_t i = 0; i < w.n_rows; ++i) {
      const A* row = x.x + i * w.h.in_stride * x.row_step;
      const int64_t stride = p_.out.w * w.w.out_stride;
      S* out = static_cast<S*>(b_->write(p_.out.ref)) +
               p_.out.at(task.n, task.g, 0, w.h.out_first + (w.row + i) * w.h.out_stride,
                         w.w.out_first + w.col * w.w.out_stride);
      if (p_.lanes_are_groups) {
        for (int64_t q = 0; q < w.n_cols; ++q) {
          Window one = w;
          one.col = w.col + q;
          one.n_cols = 1;
          run_position(task, one, w.row + i, x, row + q * w.w.in_stride * x.col_step,
                       out + q * stride);
        }
      } else {
        run_positions(task, w, i, x, row, out, stride);
      }
    }
  }

  bool moves() const { return p_.role == DynamicRole::input_grad; }
  bool has_direct_taps(const Window& w) const {
    // Where a tap serves less than two vectors, its copy costs as much as its use; so does one by
    // one the copy of taps that move.
    if ((p_.n_members > 16 && !moves()) || p_.softmax) return false;
    if (!kIsAcc && !p_.taps_are_acc) return false;
    return !moves() || w.is_inside(p_);  // dy and taps have one shape
  }

  /// Members side by side: a row of positions at once.
  void run_positions(const DynamicTask& task, const Window& w, int64_t i, const Source& x,
                     const A* row, S* out, int64_t stride) {
    const bool direct_y = kIsAcc && p_.out.m == 1;
    SplatProducts<A> products{
        tile_, t_at_,        1,       row,         x.taps,   w.w.in_stride * x.col_step,
        y_,    inner_pitch_, nullptr, w.n_terms(), w.n_cols, window_.n_inner()};
    if (direct_y) {
      products.y = reinterpret_cast<A*>(out);
      products.y_step = stride;
    }
    set_taps(task, w, w.row + i, products);
    multiply(products);
    if (direct_y) return;
    for (int64_t q = 0; q < w.n_cols; ++q) {
      narrow_row(y_ + q * inner_pitch_, out + q * stride, p_.out.m, window_.n_inner());
    }
  }
  void set_taps(const DynamicTask& task, const Window& w, int64_t row, SplatProducts<A>& products) {
    const bool direct = has_direct_taps(w);
    int64_t r = 0;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      for (int64_t c = 0; c < w.w.n_taps; ++c, ++r) {
        const int64_t k = w.h.tap(a) * p_.cols().kernel + w.w.tap(c);
        const int64_t moved = moves() ? w.h.shift(a) * p_.taps.h + w.w.shift(c) * p_.taps.w : 0;
        t_at_[r] = p_.is_packed ? k : direct ? k * p_.taps.m + moved : r * tile_pitch_;
      }
    }
    if (p_.is_packed) {
      products.t = packed_ + task.g * p_.n_taps();
      products.t_step = 0;
    } else if (direct) {
      products.t =
          static_cast<const A*>(b_->read(p_.taps.ref)) + p_.taps.at(task.n, task.g, 0, row, w.col);
      products.t_step = p_.taps.w;
    } else {
      stage_taps(p_, *b_, task.n, task.g, w, row, tile_, tile_pitch_);
      if (!p_.softmax) return;
      exponentiate(tile_, w.n_terms(), tile_pitch_, w.n_cols, scale_, p_.renormalize);
      products.scale = scale_;
    }
  }

  /// Groups side by side: one position.
  void run_position(const DynamicTask& task, const Window& w, int64_t row, const Source& x,
                    const A* at, S* out) {
    const bool direct_y = kIsAcc && p_.out.g == 1;
    for (int64_t m = 0; m < p_.n_members; ++m) {
      members_x_[m] = m * x.outer_step;
      members_y_[m] = m * (direct_y ? p_.out.m : inner_pitch_);
    }
    if (!p_.is_packed) stage_groups(task, w, row);
    int64_t r = 0;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      for (int64_t c = 0; c < w.w.n_taps; ++c, ++r) {
        const int64_t k = w.h.tap(a) * p_.cols().kernel + w.w.tap(c);
        t_at_[r] = (p_.is_packed ? k : r) * inner_pitch_;
      }
    }
    const bool scales = p_.softmax && !p_.is_packed;
    A* y = direct_y ? reinterpret_cast<A*>(out) : y_;
    multiply(LaneProducts<A>{p_.is_packed ? packed_ : tile_, t_at_, at, x.taps, members_x_, y,
                             members_y_, scales ? scale_ : nullptr, w.n_terms(), p_.n_members,
                             window_.n_inner(), false});
    if (direct_y) return;
    for (int64_t m = 0; m < p_.n_members; ++m) {
      narrow_row(y_ + m * inner_pitch_, out + m * p_.out.m, p_.out.g, window_.n_inner());
    }
  }
  /// tile[r][g]: the taps of one position.
  void stage_groups(const DynamicTask& task, const Window& w, int64_t row) {
    if (sizeof(S) != sizeof(A) && p_.taps_are_acc) {
      stage_groups(static_cast<const A*>(b_->read(p_.taps.ref)), task, w, row);
    } else {
      stage_groups(static_cast<const S*>(b_->read(p_.taps.ref)), task, w, row);
    }
    if (p_.softmax) {
      exponentiate(tile_, w.n_terms(), inner_pitch_, window_.n_inner(), scale_, p_.renormalize);
    }
  }
  template <class T>
  void stage_groups(const T* taps, const DynamicTask& task, const Window& w, int64_t row) {
    if (!moves() && !p_.renormalize && p_.taps.m == 1) {
      const Line<T> line{taps + p_.taps.at(task.n, 0, 0, row, w.col), p_.taps.g, p_.n_groups};
      return stage_lines(line, w.n_terms(), 0, 1, p_.n_groups, tile_, inner_pitch_, inner_pitch_);
    }
    A* to = tile_;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      const int64_t tap_row = row + (moves() ? w.h.shift(a) : 0);
      for (int64_t c = 0; c < w.w.n_taps; ++c, to += inner_pitch_) {
        const int64_t tap_col = w.col + (moves() ? w.w.shift(c) : 0);
        const int64_t k = w.h.tap(a) * p_.cols().kernel + w.w.tap(c);
        const bool exists =
            tap_row >= 0 && tap_row < p_.rows().y && tap_col >= 0 && tap_col < p_.cols().y;
        if (exists) {
          widen_row(taps + p_.taps.at(task.n, 0, k, tap_row, tap_col), p_.taps.g, to, p_.n_groups);
        }
        for (int64_t g = exists ? p_.n_groups : 0; g < inner_pitch_; ++g) to[g] = 0;
        if (!p_.renormalize) continue;
        const Inside inside(p_, w.w, c, w.col, 1);
        if (inside.first < inside.end) continue;
        for (int64_t g = 0; g < p_.n_groups; ++g) to[g] = -__builtin_inf();
      }
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  const A* packed_ = nullptr;
  ChannelWindow<S> window_;
  int64_t inner_pitch_ = 0, tile_pitch_ = 0;
  A *tile_ = nullptr, *scale_ = nullptr, *y_ = nullptr;
  int64_t *t_at_ = nullptr, *members_x_ = nullptr, *members_y_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::forward && p.role != DynamicRole::input_grad) {
    return "made for products with taps";
  }
  return p.along_channels ? nullptr : "the channels are not contiguous";
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(ChannelsWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept {
  return count_tasks(as_dynamic(problem), channel_groups(as_dynamic(problem)));
}
template <class S>
void run(const void* problem, const Buffers& buffers, const void* packed, void* scratch,
         int64_t begin, int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  ChannelsWorker<S> worker(p, buffers, packed, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(DynamicTask(p, i, channel_groups(p)));
}

}  // namespace

#define SWATH_CHANNELS(name, S)                                                           \
  extern const KernelFns dynamic_conv_channels_##name;                                    \
  const KernelFns dynamic_conv_channels_##name{reject,           packed_bytes, pack_taps, \
                                               scratch_bytes<S>, n_tasks,      run<S>};
SWATH_CHANNELS(f32, float)
SWATH_CHANNELS(f64, double)
SWATH_CHANNELS(f16, f16)
SWATH_CHANNELS(bf16, bf16)
#undef SWATH_CHANNELS

}  // namespace swath::SWATH_ISA
