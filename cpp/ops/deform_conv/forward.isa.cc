// y: samples of a block of positions, 512 terms at a time, meet the weights of all output channels
// (`dense`); the full matrix of samples never exists. Depthwise channels meet their one weight a
// tap on the way. Lanes lie along channels.
#include "ops/common/pack_turned.h"
#include "ops/deform_conv/tiles.h"

namespace swath::SWATH_ISA {
namespace {

template <class A>
SWATH_ALWAYS_INLINE int64_t group_width(const DeformProblem& p) {
  return round_up(p.is_depthwise() ? p.n_out() : p.out_per_group, kLanes<A>);
}
template <class A>
SWATH_ALWAYS_INLINE int64_t n_weights(const DeformProblem& p) {
  return (p.is_depthwise() ? 1 : p.n_in()) * p.n_taps() * group_width<A>(p);
}

/// The weights of an output channel lie side by side, tap by tap, and their corners are kept at
/// once.
bool has_whole_kernels(const DeformProblem& p) {
  return (p.weight.col_stride == 1 || p.axis[1].kernel == 1) &&
         (p.weight.row_stride == p.axis[1].kernel || p.axis[0].kernel == 1) &&
         p.weight.in_stride == p.n_taps() && p.n_taps() <= kTapRun;
}

/// Dense: per block of channels, run of taps and run of vectors [tap][channel][lanes]; depthwise
/// [tap][channel]. Behind them the bias.
template <class S, class A>
void pack_weights(const DeformProblem& p, const Buffers& b, A* to) {
  const S* w = static_cast<const S*>(b.read(p.weight.ref));
  A* bias = to + n_weights<A>(p);
  if (p.has_bias) {
    const S* from = static_cast<const S*>(b.read(p.bias));
    for (int64_t o = 0; o < p.n_out(); ++o) bias[o] = to_acc(from[o * p.bias_stride]);
  } else {
    __builtin_memset(bias, 0, static_cast<size_t>(p.n_out()) * sizeof(A));
  }
  if (p.is_depthwise()) {
    for (int64_t t = 0; t < p.n_taps(); ++t) {
      for (int64_t c = 0; c < p.n_out(); ++c) {
        to[t * group_width<A>(p) + c] = weight_at(p, w, c, 0, t);
      }
    }
    return;
  }
  for (int64_t i = 0; i < p.n_blocks; ++i) {
    const DeformBlock& block = p.blocks[i];
    const int64_t c0 = block.first - block.group * p.in_per_group;
    for_tap_runs(p, [&](int64_t t0, int64_t t1) {
      int64_t taps[kTapRun];  // where they are
      for (int64_t t = t0; t < t1; ++t) {
        const int64_t row = t / p.axis[1].kernel, col = t % p.axis[1].kernel;
        taps[t - t0] = row * p.weight.row_stride + col * p.weight.col_stride;
      }
      for_vector_runs(group_width<A>(p) / kLanes<A>, [&](int64_t v0, int64_t n_vectors) {
        const int64_t width = n_vectors * kLanes<A>, first = v0 * kLanes<A>;
        if (has_whole_kernels(p)) {
          const int64_t o = block.group * p.out_per_group + first;
          const S* at = w + o * p.weight.out_stride + c0 * p.weight.in_stride;
          for (int64_t l = 0; l < width; l += kLanes<A>, at += kLanes<A> * p.weight.out_stride) {
            pack_turned(at, p.weight.out_stride, p.out_per_group - first - l, block.n, p.n_taps(),
                        to + l, width);
          }
          to += p.n_taps() * block.n * width;
          return;
        }
        // One output channel after the other, whose weights lie side by side.
        for (int64_t l = 0; l < width; ++l) {
          const S* at = w + (block.group * p.out_per_group + first + l) * p.weight.out_stride +
                        c0 * p.weight.in_stride;
          for (int64_t c = 0; c < block.n; ++c, at += p.weight.in_stride) {
            for (int64_t t = 0; t < t1 - t0; ++t) {
              to[(t * block.n + c) * width + l] =
                  first + l < p.out_per_group ? to_acc(at[taps[t]]) : A{0};
            }
          }
        }
        to += (t1 - t0) * block.n * width;
      });
    });
  }
}

template <class S>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const DeformProblem& problem, const Buffers& b, const void* packed, void* memory)
      : p_(problem), b_(b), packed_(static_cast<const A*>(packed)) {
    carve(memory);
    table_.clear_zeros(p_);
  }
  static size_t scratch_bytes(const DeformProblem& p) {
    return static_cast<size_t>(Worker(p).carve(nullptr));
  }

  void run(const PositionBlock& block) {
    table_.deform = -1;
    for (int64_t i = 0; i < p_.n_blocks; ++i) {
      const DeformBlock& channels = p_.blocks[i];
      for_tap_runs(p_, [&](int64_t t0, int64_t t1) {
        table_.template open<S>(p_, b_, block, channels.deform, t0, t1);
        if (p_.is_depthwise()) {
          add_depthwise(channels, block.n, t0, t1);
        } else {
          add_dense(channels, block.n, t0, t1);
        }
      });
    }
    if (p_.is_depthwise()) return write(block, sums_, 0, p_.n_out());
    for (int64_t g = 0; g < p_.n_groups; ++g) {
      write(block, sums_ + g * width_, g * p_.out_per_group, p_.out_per_group);
    }
  }

 private:
  explicit Worker(const DeformProblem& problem) : p_(problem), b_(kNone) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    width_ = group_width<A>(p_);
    table_.carve(carver, p_);
    pitch_ = (p_.is_depthwise() ? 1 : p_.n_groups) * width_;
    sums_ = carver.take<A>(pitch_ * kBlock);
    line_ = carver.take<A>(kBlock + kLanes<A>);
    if (!p_.is_depthwise()) samples_ = carver.take<A>(kBlock * largest_sample_pitch<A>(p_));
    return carver.used;
  }

  void add_dense(const DeformBlock& channels, int64_t n, int64_t t0, int64_t t1) {
    const int64_t n_taps = t1 - t0, pitch = sample_pitch<A>(channels.n, n_taps);
    sample_block(table_, channels, n_taps, n, pitch, samples_);
    const bool is_first = channels.first == channels.group * p_.in_per_group && t0 == 0;
    const int64_t terms = n_taps * channels.n;
    const A* w = packed_ + (channels.first * p_.n_taps() + t0 * channels.n) * width_;
    for_vector_runs(width_ / kLanes<A>, [&](int64_t v0, int64_t n_vectors) {
      const int64_t first = v0 * kLanes<A>;
      multiply_rows<A>({samples_, pitch, terms, w + terms * first,
                        sums_ + channels.group * width_ + first, pitch_, !is_first},
                       n, n_vectors);
    });
  }

  void add_depthwise(const DeformBlock& channels, int64_t n, int64_t t0, int64_t t1) {
    for (int64_t i = 0; i < n; ++i) {
      A* sum = sums_ + i * width_ + channels.first;
      for (int64_t t = t0; t < t1; ++t) {
        const A* w = packed_ + t * width_ + channels.first;
        add_products(table_.corners[(t - t0) * kBlock + i], channels.first, channels.n, w, t > 0,
                     sum);
      }
    }
  }

  static __attribute__((noinline)) void add_products(const Corners<A>& s, int64_t first, int64_t n,
                                                     const A* w, bool adds, A* sum) {
    for_lanes<A>(n, [&](int64_t j, int m) {
      const Vec<A> before = adds ? load_part<A>(sum + j, m) : zero<A>();
      store_part(sum + j, mul_add(sample_lanes(s, first + j, m), load_part<A>(w + j, m), before),
                 m);
    });
  }

  /// Output channels [o, o + n) from rows of sums, and their bias.
  void write(const PositionBlock& block, const A* sums, int64_t o, int64_t n) const {
    const ImageView& v = p_.y;
    S* y = static_cast<S*>(b_.write(v.ref)) + v.offset + block.sample * v.sample_stride +
           o * v.channel_stride;
    const A* bias = packed_ + n_weights<A>(p_) + o;
    for_row_pieces(p_, block, [&](int64_t row, int64_t col, int64_t i, int64_t count) {
      S* to = y + row * v.row_stride + col * v.col_stride;
      if (v.channel_stride == 1) {
        for (int64_t k = 0; k < count; ++k) {
          for_lanes<A>(n, [&](int64_t j, int m) {
            store_part(to + k * v.col_stride + j,
                       load(sums + (i + k) * pitch_ + j) + load_part<A>(bias + j, m), m);
          });
        }
        return;
      }
      for (int64_t c = 0; c < n; ++c) {
        for (int64_t k = 0; k < count; ++k) line_[k] = sums[(i + k) * pitch_ + c] + bias[c];
        narrow_row(line_, to + c * v.channel_stride, v.col_stride, count);
      }
    });
  }

  static inline const Buffers kNone{};
  const DeformProblem& p_;
  const Buffers& b_;
  const A* packed_ = nullptr;
  CornerTable<A> table_{};
  int64_t width_ = 0, pitch_ = 0;
  A *sums_ = nullptr, *line_ = nullptr, *samples_ = nullptr;
};

const char* reject_depthwise(const void* problem) noexcept {
  const DeformProblem& p = as_deform(problem);
  return p.is_depthwise() && p.n_groups > 1 ? nullptr : "not one channel in and out a group";
}
const char* reject_dense(const void* problem) noexcept {
  const DeformProblem& p = as_deform(problem);
  if (p.n_in() == 0) return "there are no input channels";
  return p.is_depthwise() && p.n_groups > 1 ? "depthwise" : nullptr;
}

template <class S>
size_t packed_bytes(const void* problem) noexcept {
  using A = typename AccOf<S>::type;
  const DeformProblem& p = as_deform(problem);
  return static_cast<size_t>(n_weights<A>(p) + p.n_out() + kLanes<A>) * sizeof(A);
}
template <class S>
void pack(const void* problem, const Buffers& b, void* to) noexcept {
  using A = typename AccOf<S>::type;
  pack_weights<S>(as_deform(problem), b, static_cast<A*>(to));
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return Worker<S>::scratch_bytes(as_deform(problem));
}
int64_t n_tasks(const void* problem) noexcept {
  const DeformProblem& p = as_deform(problem);
  return p.n_batch * PositionGrid(p).per_sample;
}
template <class S>
void run(const void* problem, const Buffers& b, const void* packed, void* memory, int64_t begin,
         int64_t end) noexcept {
  const DeformProblem& p = as_deform(problem);
  Worker<S> worker(p, b, packed, memory);
  const PositionGrid grid(p);
  for (int64_t i = begin; i < end; ++i) worker.run(grid.at(i));
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)                                         \
  extern const KernelFns deform_conv_##variant##_##dtype;                                 \
  const KernelFns deform_conv_##variant##_##dtype{reject_##variant, packed_bytes<dtype>,  \
                                                  pack<dtype>,      scratch_bytes<dtype>, \
                                                  n_tasks,          run<dtype>};
#include "ops/deform_conv/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
