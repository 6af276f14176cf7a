// Vectors along the columns: the kernel `rows`, forward and input gradient. A vector of taps serves
// eight members of its group. The input's window of those eight is copied into accumulators, zeros
// around it, unless it is contiguous and inside: a copy costs one load and one store for every
// kernel_w products.
#include "ops/dynamic_conv/stage.h"

namespace swath::SWATH_ISA {
namespace {

constexpr int64_t kMembers = 8;

template <class S>
class RowsWorker {
 public:
  using A = typename AccOf<S>::type;
  static constexpr bool kIsAcc = sizeof(S) == sizeof(A);

  RowsWorker(const DynamicProblem& problem, const Buffers& buffers, const void* packed,
             void* memory)
      : p_(problem), b_(&buffers), packed_(static_cast<const A*>(packed)) {
    carve(memory);
  }
  static int64_t scratch_bytes(const DynamicProblem& p) { return RowsWorker(p).carve(nullptr); }

  void run(const DynamicTask& task) {
    for_windows(p_, task, [&](const Window& w) { run_window(task, w); });
  }

 private:
  explicit RowsWorker(const DynamicProblem& p) : p_(p) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    tile_pitch_ = padded(p_.cols_block);
    const int64_t n_taps = p_.n_taps();
    tile_ = carver.take<A>(p_.is_packed ? 0 : p_.rows_block * n_taps * tile_pitch_ + kSlack);
    scale_ = carver.take<A>(p_.rows_block * tile_pitch_);
    y_ = carver.take<A>(kMembers * tile_pitch_);
    int64_t most = 0;  // over the phases, which differ by a row and a tap at most
    for (int64_t rh = 0; rh < n_phases(p_, 0); ++rh) {
      for (int64_t rw = 0; rw < n_phases(p_, 1); ++rw) {
        const AxisPhase h = axis_phase(p_, 0, rh), w = axis_phase(p_, 1, rw);
        const Window full{h, w, 0, smaller(p_.rows_block, h.n), 0, smaller(p_.cols_block, w.n)};
        if (full.n_rows <= 0 || full.n_cols <= 0) continue;
        most = larger(most, larger(full.n_in_rows(), h.n_taps) * lines_of(full) * pitch_of(full));
      }
    }
    x_ = carver.take<A>(kMembers * most + kSlack);
    t_at_ = carver.take<int64_t>(n_taps);
    x_at_ = carver.take<int64_t>(n_taps);
    return carver.used;
  }

  static int64_t lines_of(const Window& w) { return smaller(w.w.in_stride, w.w.span()); }
  static int64_t pitch_of(const Window& w) {
    return padded((w.n_in_cols() - 1) / w.w.in_stride + 1);
  }

  /// Short rows that lie far apart are nothing that the hardware foresees: 8 rows of 28 outputs and
  /// their 9 of taps took 3.1 ms out of the third cache, with these 1.8 (8 x 256 channels at
  /// 28x28).
  void prefetch_taps(const DynamicTask& task, const Window& w) const {
    if (p_.role != DynamicRole::forward) return;
    const int64_t item = p_.taps_are_acc ? sizeof(A) : sizeof(S);
    const auto* first = static_cast<const char*>(b_->read(p_.taps.ref)) +
                        item * p_.taps.at(task.n, task.g, 0, w.row, w.col);
    for (int64_t k = 0; k < p_.n_taps(); ++k) {
      for (int64_t i = 0; i < w.n_rows; ++i) {
        const char* row = first + item * (k * p_.taps.m + i * p_.taps.h);
        for (int64_t at = 0; at < item * w.n_cols; at += 64) __builtin_prefetch(row + at);
      }
    }
  }
  void prefetch_outputs(const DynamicTask& task, const Window& w, int64_t m, int64_t n) const {
    if (p_.out.w != 1 || w.w.out_stride != 1) return;
    const S* first = static_cast<const S*>(b_->read(p_.out.ref)) +
                     p_.out.at(task.n, task.g, m, w.h.out_first + w.row * w.h.out_stride, w.col);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < w.n_rows; ++i) {
        const S* row = first + j * p_.out.m + i * w.h.out_stride * p_.out.h;
        for (int64_t at = 0; at < w.n_cols; at += 64 / static_cast<int64_t>(sizeof(S))) {
          __builtin_prefetch(row + at, 1);
        }
      }
    }
  }

  struct Source {
    const A* x;
    int64_t member_step, row_step;
  };

  void run_window(const DynamicTask& task, const Window& w) {
    const bool direct_x = kIsAcc && p_.in.w == 1 && w.w.in_stride == 1 && w.is_inside(p_);
    make_offsets(w, direct_x);
    const bool direct_t = p_.is_packed || has_direct_taps(w);
    place_taps(w, direct_t);
    if (!p_.is_packed && p_.taps.w == 1) prefetch_taps(task, w);
    if (!direct_t) stage_tiles(task, w);
    for (int64_t m = 0; m < p_.n_members; m += kMembers) {
      const int64_t n = smaller(kMembers, p_.n_members - m);
      prefetch_outputs(task, w, m, n);
      const Source source = direct_x ? window_in_place(task, w, m) : copy_window(task, w, m, n);
      for (int64_t i = 0; i < w.n_rows; ++i) {
        const A* x = source.x + i * w.h.in_stride * source.row_step;
        run_row(task, w, i, x, source.member_step, m, n, direct_t);
      }
    }
  }

  void make_offsets(const Window& w, bool direct_x) {
    const int64_t lines = lines_of(w), pitch = pitch_of(w);
    int64_t r = 0;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      for (int64_t c = 0; c < w.w.n_taps; ++c, ++r) {
        const int64_t col = w.window_col(c);
        x_at_[r] = direct_x ? (w.h.shift(a) - w.h.lowest_shift()) * p_.in.h + col
                            : (w.window_row(a) * lines + col % w.w.in_stride) * pitch +
                                  col / w.w.in_stride;
      }
    }
  }

  Source window_in_place(const DynamicTask& task, const Window& w, int64_t m) const {
    const A* x = static_cast<const A*>(b_->read(p_.in.ref));
    if (w.n_terms() == 0) return {x, 0, 0};
    const int64_t row = w.row * w.h.in_stride + w.h.lowest_shift();
    return {x + p_.in.at(task.n, task.g, m, row, w.first_col()), p_.in.m, p_.in.h};
  }
  Source copy_window(const DynamicTask& task, const Window& w, int64_t m, int64_t n) const {
    const int64_t lines = lines_of(w), pitch = pitch_of(w), n_rows = w.n_in_rows();
    stage_window(p_, *b_, task.n, task.g, m, n, w, x_, lines, pitch);
    return {x_, n_rows * lines * pitch, lines * pitch};
  }

  bool has_direct_taps(const Window& w) const {
    // A copy lies closer together: read more than once, K rows far apart miss the first cache.
    if (p_.n_members > kMembers || p_.softmax || p_.taps.w != 1) return false;
    if (!kIsAcc && !p_.taps_are_acc) return false;
    return p_.role == DynamicRole::forward || w.is_inside(p_);  // dy and taps have one shape
  }
  void stage_tiles(const DynamicTask& task, const Window& w) const {
    const int64_t size = w.n_terms() * tile_pitch_;
    for (int64_t i = 0; i < w.n_rows; ++i) {
      A* tile = tile_ + i * size;
      stage_taps(p_, *b_, task.n, task.g, w, w.row + i, tile, tile_pitch_);
      if (!p_.softmax) continue;
      exponentiate(tile, w.n_terms(), tile_pitch_, w.n_cols, scale_ + i * tile_pitch_,
                   p_.renormalize);
    }
  }
  /// Where each tap is, from where its row's taps are.
  void place_taps(const Window& w, bool direct_t) {
    const bool moves = p_.role == DynamicRole::input_grad;
    int64_t r = 0;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      for (int64_t c = 0; c < w.w.n_taps; ++c, ++r) {
        const int64_t k = w.h.tap(a) * p_.cols().kernel + w.w.tap(c);
        if (p_.is_packed) {
          t_at_[r] = k;
        } else if (!direct_t) {
          t_at_[r] = r * tile_pitch_;
        } else {
          t_at_[r] = k * p_.taps.m + (moves ? w.h.shift(a) * p_.taps.h + w.w.shift(c) : 0);
        }
      }
    }
  }
  const A* taps_of(const DynamicTask& task, const Window& w, int64_t i, bool direct_t) const {
    if (p_.is_packed) return packed_ + task.g * p_.n_taps();
    if (!direct_t) return tile_ + i * w.n_terms() * tile_pitch_;
    return static_cast<const A*>(b_->read(p_.taps.ref)) +
           p_.taps.at(task.n, task.g, 0, w.row + i, w.col);
  }

  void run_row(const DynamicTask& task, const Window& w, int64_t i, const A* x, int64_t x_step,
               int64_t m, int64_t n, bool direct_t) {
    const int64_t stride = p_.out.w * w.w.out_stride;
    S* out = static_cast<S*>(b_->write(p_.out.ref)) +
             p_.out.at(task.n, task.g, m, w.h.out_first + (w.row + i) * w.h.out_stride,
                       w.w.out_first + w.col * w.w.out_stride);
    const bool direct_y = kIsAcc && stride == 1;
    A* y = direct_y ? reinterpret_cast<A*>(out) : y_;
    const int64_t y_step = direct_y ? p_.out.m : tile_pitch_;
    const A* taps = taps_of(task, w, i, direct_t);
    if (p_.is_packed) {
      multiply(SplatProducts<A>{taps, t_at_, 0, x, x_at_, x_step, y, y_step, nullptr, w.n_terms(),
                                n, w.n_cols});
    } else {
      int64_t x_at[kMembers], y_at[kMembers];
      for (int64_t j = 0; j < n; ++j) {
        x_at[j] = j * x_step;
        y_at[j] = j * y_step;
      }
      const A* scale = p_.softmax ? scale_ + i * tile_pitch_ : nullptr;
      multiply(LaneProducts<A>{taps, t_at_, x, x_at_, x_at, y, y_at, scale, w.n_terms(), n,
                               w.n_cols, false});
    }
    if (direct_y) return;
    for (int64_t j = 0; j < n; ++j) {
      narrow_row(y_ + j * tile_pitch_, out + j * p_.out.m, stride, w.n_cols);
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  const A* packed_ = nullptr;
  int64_t tile_pitch_ = 0;
  A *tile_ = nullptr, *scale_ = nullptr, *y_ = nullptr, *x_ = nullptr;
  int64_t *t_at_ = nullptr, *x_at_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::forward && p.role != DynamicRole::input_grad) {
    return "made for products with taps";
  }
  return p.along_channels ? "the channels are contiguous" : nullptr;
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(RowsWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept {
  return count_tasks(as_dynamic(problem), as_dynamic(problem).n_groups);
}
template <class S>
void run(const void* problem, const Buffers& buffers, const void* packed, void* scratch,
         int64_t begin, int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  RowsWorker<S> worker(p, buffers, packed, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(DynamicTask(p, i, p.n_groups));
}

}  // namespace

#define SWATH_ROWS(name, S)                                                           \
  extern const KernelFns dynamic_conv_rows_##name;                                    \
  const KernelFns dynamic_conv_rows_##name{reject,           packed_bytes, pack_taps, \
                                           scratch_bytes<S>, n_tasks,      run<S>};
SWATH_ROWS(f32, float)
SWATH_ROWS(f64, double)
SWATH_ROWS(f16, f16)
SWATH_ROWS(bf16, bf16)
#undef SWATH_ROWS

}  // namespace swath::SWATH_ISA
