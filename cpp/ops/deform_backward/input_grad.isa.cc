// dx and the gradients of offset and mask. One task owns a block of channels of one sample and
// walks over the positions in order: no atomics, and the same bits for any number of threads. The
// gradient of the samples is a product of dy and the weights, a block of positions at a time.
#include "ops/deform_conv/tiles.h"

namespace swath::SWATH_ISA {
namespace {

/// Lanes of all terms of a block of channels and a run of taps.
template <class A>
SWATH_ALWAYS_INLINE int64_t term_lanes(const DeformBlock& channels, int64_t n_taps) {
  return round_up(channels.n * n_taps, kLanes<A>);
}
template <class A>
SWATH_ALWAYS_INLINE int64_t block_weights(const DeformProblem& p, const DeformBlock& channels) {
  int64_t n = 0;
  for_tap_runs(p, [&](int64_t t0, int64_t t1) {
    n += term_lanes<A>(channels, t1 - t0) * (p.is_depthwise() ? 1 : p.out_per_group);
  });
  return n;
}

/// Per block of channels, run of taps and run of vectors [output channel][tap, channel].
template <class S, class A>
void pack_weights(const DeformProblem& p, const Buffers& b, A* to) {
  const S* w = static_cast<const S*>(b.read(p.weight.ref));
  for (int64_t i = 0; i < p.n_blocks; ++i) {
    const DeformBlock& block = p.blocks[i];
    const int64_t c0 = block.first - block.group * p.in_per_group;
    for_tap_runs(p, [&](int64_t t0, int64_t t1) {
      const int64_t terms = block.n * (t1 - t0), n_lanes = term_lanes<A>(block, t1 - t0);
      const auto value = [&](int64_t term, int64_t o) {
        if (term >= terms) return A{0};
        const int64_t c = term % block.n, t = t0 + term / block.n;
        return p.is_depthwise() ? weight_at(p, w, block.first + c, 0, t)
                                : weight_at(p, w, block.group * p.out_per_group + o, c0 + c, t);
      };
      for_vector_runs(n_lanes / kLanes<A>, [&](int64_t v0, int64_t n_vectors) {
        for (int64_t o = 0; o < (p.is_depthwise() ? 1 : p.out_per_group); ++o) {
          for (int64_t l = v0 * kLanes<A>; l < (v0 + n_vectors) * kLanes<A>; ++l) {
            *to++ = value(l, o);
          }
        }
      });
    });
  }
}

/// The corners of a point in x and dx; where there is no pixel (or no weight) rows of zeros and of
/// nothing that matters.
template <class A>
struct GradCorners {
  const A* x[4];
  A* dx[4];
  A weight[4];
};

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

  void run(int64_t task) {
    const int64_t n = task / p_.n_blocks, index = task % p_.n_blocks;
    const DeformBlock& channels = p_.blocks[index];
    const A* weights = packed_;
    for (int64_t i = 0; i < index; ++i) weights += block_weights<A>(p_, p_.blocks[i]);
    x_ = static_cast<const A*>(b_.read(p_.x.ref)) + p_.x.offset + n * p_.x.sample_stride +
         channels.first;
    if (p_.needs_x) {
      dx_ = static_cast<A*>(b_.write(p_.dx)) + p_.n_pixels() * (n * p_.n_in() + channels.first);
      __builtin_memset(dx_, 0, static_cast<size_t>(p_.n_pixels() * channels.n) * sizeof(A));
    }
    if (p_.needs_points) {
      points_ = static_cast<A*>(b_.write(p_.points)) +
                (n * p_.n_blocks + index) * p_.n_taps() * 3 * p_.n_positions();
    }
    const PositionGrid grid(p_);
    for (int64_t i = 0; i < grid.per_sample; ++i) {
      PositionBlock block = grid.at(i);
      block.sample = n;
      run_block(block, channels, weights);
    }
  }

 private:
  explicit Worker(const DeformProblem& problem) : p_(problem), b_(kNone) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    table_.lines = carver.take<A>(3 * CornerTable<A>::kLinePitch);
    table_.zeros = carver.take<A>(p_.n_in() + kLanes<A>);
    nowhere_ = carver.take<A>(p_.n_in() + kLanes<A>);
    samples_ = carver.take<A>(kBlock * largest_sample_pitch<A>(p_));
    return carver.used;
  }

  void run_block(const PositionBlock& block, const DeformBlock& channels, const A* weights) {
    const A* dy = static_cast<const A*>(b_.read(p_.dy)) +
                  (block.sample * p_.n_positions() + block.first) * p_.n_out();
    for_tap_runs(p_, [&](int64_t t0, int64_t t1) {
      const int64_t n_lanes = term_lanes<A>(channels, t1 - t0);
      pitch_ = n_lanes;
      if (p_.is_depthwise()) {
        scale_rows(dy + channels.first, channels, block.n, t1 - t0, weights);
        weights += n_lanes;
      } else {
        multiply(dy + channels.group * p_.out_per_group, block.n, n_lanes, weights);
        weights += n_lanes * p_.out_per_group;
      }
      for_points<S>(p_, b_, block, channels.deform, t0, t1, table_.lines,
                    CornerTable<A>::kLinePitch, [&](int64_t t, int64_t i, const Point<A>& point) {
                      give(point, channels.n, samples_ + i * pitch_ + t * channels.n,
                           (t0 + t) * 3 * p_.n_positions() + block.first + i);
                    });
    });
  }

  void multiply(const A* dy, int64_t n, int64_t n_lanes, const A* weights) const {
    for_vector_runs(n_lanes / kLanes<A>, [&](int64_t v0, int64_t n_vectors) {
      const int64_t first = v0 * kLanes<A>;
      for (int64_t o = 0; o < p_.out_per_group; o += kDeformTerms) {
        const int64_t terms = least(kDeformTerms, p_.out_per_group - o);
        multiply_rows<A>({dy + o, p_.n_out(), terms,
                          weights + first * p_.out_per_group + o * n_vectors * kLanes<A>,
                          samples_ + first, pitch_, o > 0},
                         n, n_vectors);
      }
    });
  }

  /// Depthwise: weights [tap, channel] times dy of the channel.
  void scale_rows(const A* dy, const DeformBlock& channels, int64_t n, int64_t n_taps,
                  const A* weights) const {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t t = 0; t < n_taps; ++t) {
        for_lanes<A>(channels.n, [&](int64_t j, int m) {
          const Vec<A> g = load_part<A>(dy + i * p_.n_out() + j, m);
          store_part(samples_ + i * pitch_ + t * channels.n + j,
                     g * load_part<A>(weights + t * channels.n + j, m), m);
        });
      }
    }
  }

  GradCorners<A> corners(const Point<A>& p, int64_t n_channels) const {
    GradCorners<A> c;
    for (int i = 0; i < 4; ++i) {
      const int64_t row = p.row[i / 2], col = p.col[i % 2];
      const bool is_there = row >= 0 && col >= 0;
      c.weight[i] = p.row_weight[i / 2] * p.col_weight[i % 2];
      c.x[i] = is_there ? x_ + row * p_.x.row_stride + col * p_.x.col_stride : table_.zeros;
      c.dx[i] = is_there && c.weight[i] != 0 && p_.needs_x
                    ? dx_ + (row * p_.axis[1].in + col) * n_channels
                    : nowhere_;
    }
    return c;
  }

  /// Spreads the gradient of one sample's channels over its corners; dots[i]: with x at corner i.
  static __attribute__((noinline)) void spread(const GradCorners<A>& c, A mask, const A* g,
                                               int64_t n, bool needs_x, A (&dots)[4]) {
    Vec<A> dot[4] = {zero<A>(), zero<A>(), zero<A>(), zero<A>()};
    const Vec<A> factor[4] = {set1(c.weight[0] * mask), set1(c.weight[1] * mask),
                              set1(c.weight[2] * mask), set1(c.weight[3] * mask)};
    for_lanes<A>(n, [&](int64_t j, int m) {
      const Vec<A> v = load_part<A>(g + j, m);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) dot[i] = mul_add(v, load_part<A>(c.x[i] + j, m), dot[i]);
      if (!needs_x) return;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        A* to = c.dx[i] + j;
        store_part(to, mul_add(v, factor[i], load_part<A>(to, m)), m);
      }
    });
    for (int i = 0; i < 4; ++i) dots[i] = reduce_add(dot[i]);
  }

  void give(const Point<A>& p, int64_t n_channels, const A* g, int64_t at) const {
    A dh = 0, dw = 0, dm = 0;
    if (p.counts) {
      const GradCorners<A> c = corners(p, n_channels);
      A dots[4];
      spread(c, p.mask, g, n_channels, p_.needs_x, dots);
      for (int i = 0; i < 4; ++i) dm += c.weight[i] == 0 ? A{0} : c.weight[i] * dots[i];
      const A *h = p.row_weight, *w = p.col_weight;
      dh = p.mask * (w[0] * (dots[2] - dots[0]) + w[1] * (dots[3] - dots[1]));
      dw = p.mask * (h[0] * (dots[1] - dots[0]) + h[1] * (dots[3] - dots[2]));
    }
    if (!p_.needs_points) return;
    points_[at] = dh;
    points_[at + p_.n_positions()] = dw;
    points_[at + 2 * p_.n_positions()] = dm;
  }

  static inline const Buffers kNone{};
  const DeformProblem& p_;
  const Buffers& b_;
  const A* packed_ = nullptr;
  CornerTable<A> table_{};
  int64_t pitch_ = 0;
  const A* x_ = nullptr;
  A *dx_ = nullptr, *points_ = nullptr, *nowhere_ = nullptr, *samples_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  return as_deform(problem).role == DeformRole::input_grad ? nullptr : "for dx, doffset and dmask";
}
template <class S>
size_t packed_bytes(const void* problem) noexcept {
  using A = typename AccOf<S>::type;
  const DeformProblem& p = as_deform(problem);
  int64_t n = kLanes<A>;
  for (int64_t i = 0; i < p.n_blocks; ++i) n += block_weights<A>(p, p.blocks[i]);
  return static_cast<size_t>(n) * sizeof(A);
}
template <class S>
void pack(const void* problem, const Buffers& b, void* to) noexcept {
  pack_weights<S>(as_deform(problem), b, static_cast<typename AccOf<S>::type*>(to));
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return Worker<S>::scratch_bytes(as_deform(problem));
}
int64_t n_tasks(const void* problem) noexcept {
  return as_deform(problem).n_batch * as_deform(problem).n_blocks;
}
template <class S>
void run(const void* problem, const Buffers& b, const void* packed, void* memory, int64_t begin,
         int64_t end) noexcept {
  Worker<S> worker(as_deform(problem), b, packed, memory);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

}  // namespace

#define SWATH_INPUT_GRAD(name, S)                                                               \
  extern const KernelFns deform_backward_input_grad_##name;                                     \
  const KernelFns deform_backward_input_grad_##name{reject,           packed_bytes<S>, pack<S>, \
                                                    scratch_bytes<S>, n_tasks,         run<S>};
SWATH_INPUT_GRAD(f32, float)
SWATH_INPUT_GRAD(f64, double)
SWATH_INPUT_GRAD(f16, f16)
SWATH_INPUT_GRAD(bf16, bf16)
#undef SWATH_INPUT_GRAD

}  // namespace swath::SWATH_ISA
