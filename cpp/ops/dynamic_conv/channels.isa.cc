// Vectors along the channels: the kernel `channels`, forward and input gradient. Where the members
// of a group lie side by side one tap serves all of them; where the groups do, a vector of taps
// serves every member.
#include "ops/dynamic_conv/stage.h"

namespace swath::SWATH_ISA {
namespace {

template <class S>
class ChannelsWorker {
 public:
  using A = typename AccOf<S>::type;
  static constexpr bool kIsAcc = sizeof(S) == sizeof(A);

  ChannelsWorker(const DynamicProblem& problem, const Buffers& buffers, const void* packed,
                 void* memory)
      : p_(problem), b_(&buffers), packed_(static_cast<const A*>(packed)) {
    carve(memory);
  }
  static int64_t scratch_bytes(const DynamicProblem& p) { return ChannelsWorker(p).carve(nullptr); }

  void run(const DynamicTask& task) {
    for_windows(p_, task, [&](const Window& w) { run_window(task, w); });
  }

 private:
  explicit ChannelsWorker(const DynamicProblem& p) : p_(p) {}

  /// Of one position: n_outer() runs of n_inner() elements.
  int64_t n_inner() const { return p_.lanes_are_groups ? p_.n_groups : p_.n_members; }
  int64_t n_outer() const { return p_.lanes_are_groups ? p_.n_members : 1; }
  int64_t inner_step(const DynamicArray& a) const { return p_.lanes_are_groups ? a.g : a.m; }
  int64_t outer_step(const DynamicArray& a) const { return p_.lanes_are_groups ? a.m : 0; }

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    inner_pitch_ = padded(n_inner());
    position_step_ = inner_pitch_ * n_outer();
    tile_pitch_ = p_.lanes_are_groups ? inner_pitch_ : padded(p_.cols_block);
    const int64_t n_taps = p_.n_taps();
    tile_ = carver.take<A>(p_.is_packed ? 0 : n_taps * tile_pitch_ + kSlack);
    scale_ = carver.take<A>(tile_pitch_);
    y_ = carver.take<A>((p_.lanes_are_groups ? 1 : p_.cols_block) * position_step_);
    int64_t most = 0;
    for (int64_t rh = 0; rh < n_phases(p_, 0); ++rh) {
      for (int64_t rw = 0; rw < n_phases(p_, 1); ++rw) {
        const AxisPhase h = axis_phase(p_, 0, rh), w = axis_phase(p_, 1, rw);
        const Window full{h, w, 0, smaller(p_.rows_block, h.n), 0, smaller(p_.cols_block, w.n)};
        if (full.n_rows <= 0 || full.n_cols <= 0) continue;
        most = larger(most, larger(full.n_in_rows(), h.n_taps) * full.n_in_cols());
      }
    }
    x_ = carver.take<A>(most * position_step_ + kSlack);
    t_at_ = carver.take<int64_t>(n_taps);
    x_at_ = carver.take<int64_t>(n_taps);
    members_x_ = carver.take<int64_t>(n_outer());
    members_y_ = carver.take<int64_t>(n_outer());
    return carver.used;
  }

  struct Source {
    const A* x;
    int64_t outer_step, col_step, row_step;
  };

  void run_window(const DynamicTask& task, const Window& w) {
    const bool direct_x = kIsAcc && inner_step(p_.in) == 1 && w.is_inside(p_);
    const Source x = direct_x ? window_in_place(task, w) : copy_window(task, w);
    int64_t r = 0;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      const int64_t row = direct_x ? w.h.shift(a) - w.h.lowest_shift() : w.window_row(a);
      for (int64_t c = 0; c < w.w.n_taps; ++c, ++r) {
        x_at_[r] = row * x.row_step + w.window_col(c) * x.col_step;
      }
    }
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

  Source window_in_place(const DynamicTask& task, const Window& w) const {
    const A* x = static_cast<const A*>(b_->read(p_.in.ref));
    if (w.n_terms() > 0) {
      const int64_t row = w.row * w.h.in_stride + w.h.lowest_shift();
      x += p_.in.at(task.n, task.g, 0, row, w.first_col());
    }
    return {x, outer_step(p_.in), p_.in.w, p_.in.h};
  }
  Source copy_window(const DynamicTask& task, const Window& w) const {
    const int64_t n_cols = w.n_in_cols(), n_rows = w.n_in_rows();
    A* to = x_;
    for (int64_t row = 0; row < n_rows; ++row) {
      const Line<S> line = input_line<S>(p_, *b_, task.n, task.g, 0, w.in_row(row));
      for (int64_t col = w.first_col(); col < w.first_col() + n_cols; ++col) {
        copy_position(line, col, to);
        to += position_step_;
      }
    }
    return {x_, inner_pitch_, position_step_, n_cols * position_step_};
  }
  void copy_position(const Line<S>& line, int64_t col, A* to) const {
    const bool is_past = col < 0;
    const DynamicArray& array = is_past ? p_.history : p_.in;
    const S* from = nullptr;
    if (is_past && col >= -line.n_history) {
      from = line.history + (col + line.n_history) * line.history_stride;
    } else if (!is_past && col < line.length) {
      from = line.x + col * line.stride;
    }
    if (from == nullptr) {
      for (int64_t i = 0; i < position_step_; ++i) to[i] = 0;
      return;
    }
    for (int64_t o = 0; o < n_outer(); ++o) {
      widen_row(from + o * outer_step(array), inner_step(array), to + o * inner_pitch_, n_inner());
    }
  }

  bool moves() const { return p_.role == DynamicRole::input_grad; }
  bool has_direct_taps(const Window& w) const {
    // Where a tap serves less than two vectors, its copy costs as much as its use.
    if (p_.n_members > 16 || p_.softmax) return false;
    if (!kIsAcc && !p_.taps_are_acc) return false;
    return !moves() || w.is_inside(p_);  // dy and taps have one shape
  }

  /// Members side by side: a row of positions at once.
  void run_positions(const DynamicTask& task, const Window& w, int64_t i, const Source& x,
                     const A* row, S* out, int64_t stride) {
    const bool direct_y = kIsAcc && p_.out.m == 1;
    SplatProducts<A> products{
        tile_, t_at_,        1,       row,         x_at_,    w.w.in_stride * x.col_step,
        y_,    inner_pitch_, nullptr, w.n_terms(), w.n_cols, n_inner()};
    if (direct_y) {
      products.y = reinterpret_cast<A*>(out);
      products.y_step = stride;
    }
    set_taps(task, w, w.row + i, products);
    multiply(products);
    if (direct_y) return;
    for (int64_t q = 0; q < w.n_cols; ++q) {
      narrow_row(y_ + q * inner_pitch_, out + q * stride, p_.out.m, n_inner());
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
    multiply(LaneProducts<A>{p_.is_packed ? packed_ : tile_, t_at_, at, x_at_, members_x_, y,
                             members_y_, scales ? scale_ : nullptr, w.n_terms(), p_.n_members,
                             n_inner(), false});
    if (direct_y) return;
    for (int64_t m = 0; m < p_.n_members; ++m) {
      narrow_row(y_ + m * inner_pitch_, out + m * p_.out.m, p_.out.g, n_inner());
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
      exponentiate(tile_, w.n_terms(), inner_pitch_, n_inner(), scale_, p_.renormalize);
    }
  }
  template <class T>
  void stage_groups(const T* taps, const DynamicTask& task, const Window& w, int64_t row) {
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
  int64_t inner_pitch_ = 0, position_step_ = 0, tile_pitch_ = 0;
  A *tile_ = nullptr, *scale_ = nullptr, *y_ = nullptr, *x_ = nullptr;
  int64_t *t_at_ = nullptr, *x_at_ = nullptr, *members_x_ = nullptr, *members_y_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::forward && p.role != DynamicRole::input_grad) {
    return "made for products with taps";
  }
  return p.along_channels ? nullptr : "the channels are not contiguous";
}
int64_t groups_of(const DynamicProblem& p) { return p.lanes_are_groups ? 1 : p.n_groups; }
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(ChannelsWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept {
  return count_tasks(as_dynamic(problem), groups_of(as_dynamic(problem)));
}
template <class S>
void run(const void* problem, const Buffers& buffers, const void* packed, void* scratch,
         int64_t begin, int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  ChannelsWorker<S> worker(p, buffers, packed, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(DynamicTask(p, i, groups_of(p)));
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
