// dweight: the samples of a block of positions, made again, meet dy. A task is a block of channels
// and one of the partial sums over batch and positions.
#include "ops/conv_weight_grad/tiles.h"
#include "ops/deform_conv/tiles.h"

namespace swath::SWATH_ISA {
namespace {

inline constexpr int kVectors = 2;
inline constexpr int kOutputs = kGradRegisters / kVectors;

template <class A>
SWATH_ALWAYS_INLINE int64_t sum_lanes_of(const DeformBlock& channels, int64_t n_taps) {
  return round_up(channels.n * n_taps, kVectors * kLanes<A>);
}

template <class A, int J>
SWATH_ALWAYS_INLINE auto pick_grads(int64_t n) -> void (*)(const GradTile<A>&) {
  if constexpr (J > 1) {
    if (n < J) return pick_grads<A, J - 1>(n);
  }
  return &shared_grads<A, kVectors, J>;
}

template <class S>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const DeformProblem& problem, const Buffers& b, void* memory) : p_(problem), b_(b) {
    carve(memory);
    table_.clear_zeros(p_);
    for (int64_t i = 0; i < kOutputs; ++i) output_[i] = i;
  }
  static size_t scratch_bytes(const DeformProblem& p) {
    return static_cast<size_t>(Worker(p).carve(nullptr));
  }

  void run(int64_t task) {
    const int64_t partial = task / p_.n_blocks;
    const DeformBlock& channels = p_.blocks[task % p_.n_blocks];
    __builtin_memset(sums_, 0, static_cast<size_t>(n_sums(channels)) * sizeof(A));
    const PositionGrid grid(p_);
    const int64_t all = p_.n_batch * grid.per_sample;
    for (int64_t i = all * partial / p_.n_partials; i < all * (partial + 1) / p_.n_partials; ++i) {
      add_block(grid.at(i), channels);
    }
    write(channels, partial);
  }

 private:
  explicit Worker(const DeformProblem& problem) : p_(problem), b_(kNone) {}

  int64_t n_rows() const { return p_.is_depthwise() ? 1 : p_.out_per_group; }
  int64_t n_sums(const DeformBlock& channels) const {
    int64_t n = 0;
    for_tap_runs(
        p_, [&](int64_t t0, int64_t t1) { n += sum_lanes_of<A>(channels, t1 - t0) * n_rows(); });
    return n;
  }

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    table_.carve(carver, p_);
    samples_ = carver.take<A>(kBlock * largest_sample_pitch<A>(p_));
    int64_t most = 0;
    for (int64_t i = 0; i < p_.n_blocks; ++i) {
      const int64_t n = n_sums(p_.blocks[i]);
      if (n > most) most = n;
    }
    sums_ = carver.take<A>(most);
    return carver.used;
  }

  /// Sums of one run of taps: [pair of vectors][output][lanes]; depthwise [tap][channel].
  void add_block(const PositionBlock& block, const DeformBlock& channels) {
    const A* dy = static_cast<const A*>(b_.read(p_.dy)) +
                  (block.sample * p_.n_positions() + block.first) * p_.n_out();
    A* sums = sums_;
    table_.deform = -1;
    for_tap_runs(p_, [&](int64_t t0, int64_t t1) {
      const int64_t n_taps = t1 - t0, pitch = sample_pitch<A>(channels.n, n_taps);
      const int64_t n_lanes = sum_lanes_of<A>(channels, n_taps);
      table_.template open<S>(p_, b_, block, channels.deform, t0, t1);
      sample_block(table_, channels, n_taps, block.n, pitch, samples_);
      if (p_.is_depthwise()) {
        add_depthwise(dy + channels.first, channels.n, n_taps, block.n, pitch, sums);
      } else {
        const A* rows = dy + channels.group * p_.out_per_group;
        for (int64_t lane = 0; lane < n_lanes; lane += kVectors * kLanes<A>) {
          add_lanes(rows, samples_ + lane, pitch, block.n, sums + lane * p_.out_per_group);
        }
      }
      sums += n_lanes * n_rows();
    });
  }

  void add_lanes(const A* dy, const A* samples, int64_t pitch, int64_t n, A* sums) const {
    GradTile<A> t{};
    t.dy = samples;
    t.n_rows = 1;
    t.n_steps = n;
    t.dy_step = pitch;
    t.x_step = p_.n_out();
    t.offset = output_;
    in_equal_runs(p_.out_per_group, kOutputs, [&](int64_t first, int64_t count) {
      t.x = dy + first;
      t.sums = sums + first * kVectors * kLanes<A>;
      pick_grads<A, kOutputs>(count)(t);
    });
  }

  void add_depthwise(const A* dy, int64_t n_channels, int64_t n_taps, int64_t n, int64_t pitch,
                     A* sums) const {
    for (int64_t t = 0; t < n_taps; ++t) {
      for_lanes<A>(n_channels, [&](int64_t j, int m) {
        Vec<A> sum = zero<A>();
        for (int64_t i = 0; i < n; ++i) {
          sum = mul_add(load_part<A>(dy + i * p_.n_out() + j, m),
                        load_part<A>(samples_ + i * pitch + t * n_channels + j, m), sum);
        }
        A* to = sums + t * n_channels + j;
        store_part(to, load_part<A>(to, m) + sum, m);
      });
    }
  }

  void write(const DeformBlock& channels, int64_t partial) const {
    const int64_t n_taps = p_.n_taps(), n_weights = p_.n_out() * p_.in_per_group * n_taps;
    A* to = static_cast<A*>(b_.write(p_.partials)) + partial * n_weights;
    const A* sums = sums_;
    constexpr int64_t kPair = kVectors * kLanes<A>;
    for_tap_runs(p_, [&](int64_t t0, int64_t t1) {
      for (int64_t o = 0; o < n_rows(); ++o) {
        for (int64_t i = 0; i < channels.n * (t1 - t0); ++i) {
          const int64_t c = channels.first + i % channels.n, t = t0 + i / channels.n;
          const int64_t out = p_.is_depthwise() ? c : channels.group * p_.out_per_group + o;
          const int64_t in = p_.is_depthwise() ? 0 : c - channels.group * p_.in_per_group;
          const A sum = p_.is_depthwise()
                            ? sums[i]
                            : sums[i / kPair * kPair * p_.out_per_group + o * kPair + i % kPair];
          to[(out * p_.in_per_group + in) * n_taps + t] = sum;
        }
      }
      sums += sum_lanes_of<A>(channels, t1 - t0) * n_rows();
    });
  }

  static inline const Buffers kNone{};
  const DeformProblem& p_;
  const Buffers& b_;
  CornerTable<A> table_{};
  int64_t output_[kOutputs] = {};
  A *samples_ = nullptr, *sums_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  return as_deform(problem).role == DeformRole::weight_grad ? nullptr : "for dweight";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return Worker<S>::scratch_bytes(as_deform(problem));
}
int64_t n_tasks(const void* problem) noexcept {
  return as_deform(problem).n_partials * as_deform(problem).n_blocks;
}
template <class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  Worker<S> worker(as_deform(problem), b, memory);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

}  // namespace

#define SWATH_WEIGHT_GRAD(name, S)                                                        \
  extern const KernelFns deform_backward_weight_grad_##name;                              \
  const KernelFns deform_backward_weight_grad_##name{reject,           no_bytes, no_pack, \
                                                     scratch_bytes<S>, n_tasks,  run<S>};
SWATH_WEIGHT_GRAD(f32, float)
SWATH_WEIGHT_GRAD(f64, double)
SWATH_WEIGHT_GRAD(f16, f16)
SWATH_WEIGHT_GRAD(bf16, bf16)
#undef SWATH_WEIGHT_GRAD

}  // namespace swath::SWATH_ISA
