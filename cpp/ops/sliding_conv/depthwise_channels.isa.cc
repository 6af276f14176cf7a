// One input channel per group, channels last: lanes along channels, taps in any number.
#include "core/isa_table.h"
#include "ops/sliding_conv/channel_worker.h"

namespace swath::SWATH_ISA {
namespace {

struct Depthwise {
  // Registers allow 16 or 8 sums. Neighbours that share pixels also keep weights in registers and
  // want many positions; others want two vectors, so that few positions still hide the latency.
#if defined(__AVX512F__) || defined(__aarch64__)
  static constexpr int kPositions = 8, kSlidingVectors = 2;
#else
  static constexpr int kPositions = 4, kSlidingVectors = 1;
#endif
  static constexpr int kSlidingPositions = 8;
  static constexpr int kTileVectors = 2 * kPositions;
  static constexpr bool kPartsShrinkBox = true;  // a box holds the channels of its lanes

  static bool slides(const ConvProblem& p) {
    return p.axis[2].stride == 1 && p.axis[2].dilation == 1;
  }
  static int most_vectors(const ConvProblem& p) { return slides(p) ? kSlidingVectors : 2; }
  static int most_positions(const ConvProblem& p, int) {
    return slides(p) ? kSlidingPositions : kPositions;
  }
  static int64_t summed_channels(const ConvProblem&) { return 1; }
  static bool maps_channels(const ConvProblem& p) { return p.out_per_group != 1; }

  template <class T>
  static int64_t n_lane_tasks(const ConvProblem& p) {
    return n_lane_blocks<T>(p.n_out_channels(), most_vectors(p));
  }
  template <class T>
  static LaneBlock lanes_at(const ConvProblem& p, int64_t i) {
    return lane_block<T>(p.n_out_channels(), most_vectors(p), i);
  }
  template <class T>
  static int64_t widest_pitch(const ConvProblem& p, int64_t n_blocks) {
    return n_blocks * most_vectors(p) * kLanes<T>;
  }
  template <class T>
  static int64_t box_pitch(const ChannelRange& channels) {
    return round_up(channels.n, kLanes<T>);
  }
  /// One box for all lanes of the task.
  template <class T>
  static ChannelRange box_channels(const ConvProblem& p, const LaneTasks& tasks, LaneTasks& share) {
    const LaneBlock first = lanes_at<T>(p, tasks.begin), last = lanes_at<T>(p, tasks.end - 1);
    share.end = tasks.end;
    return {first.first, last.first + last.n - first.first, p.out_per_group};
  }
  static int64_t lane_offset(const LaneBlock& lanes, const ChannelRange& box) {
    return lanes.first - box.first;
  }
  static int64_t first_channel(const ConvProblem&, const LaneBlock& lanes) { return lanes.first; }
  template <class T>
  static int64_t over_read(const LaneBlock& lanes) {
    return lanes.n_vectors * kLanes<T> - lanes.n;
  }

  template <class T>
  static int64_t n_weights(const ConvProblem& p) {
    return round_up(p.n_out_channels(), kLanes<T>) * p.n_taps();
  }
  template <class T>
  static int64_t weight_offset(const ConvProblem& p, const LaneBlock& lanes) {
    return lanes.first * p.n_taps();
  }
  /// [lane block][plane][ky][kx][lane], lanes beyond the last channel zero.
  template <class T, class S>
  static void pack_weights(const ConvProblem& p, const S* from, T* to) {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    for (int64_t i = 0; i < n_lane_tasks<T>(p); ++i) {
      const LaneBlock lanes = lanes_at<T>(p, i);
      for (int64_t t = 0; t < p.n_taps(); ++t) {
        const int64_t tap = t / (h.kernel * w.kernel) * d.w_stride +
                            t / w.kernel % h.kernel * h.w_stride + t % w.kernel * w.w_stride;
        for (int64_t l = 0; l < lanes.n_vectors * kLanes<T>; ++l) {
          const int64_t o = lanes.first + l;
          const int64_t at =
              o / p.out_per_group * p.w_group_stride + o % p.out_per_group * p.w_out_stride;
          *to++ = l < lanes.n ? to_acc(from[at + tap]) : T{0};
        }
      }
    }
  }

  template <class T>
  static auto pick(const ConvProblem& p, int positions, int vectors)
      -> void (*)(const ChannelTile<T>&) {
    const bool is_sliding = slides(p);
#define SWATH_SLIDING(P) \
  case P:                \
    if (is_sliding)      \
      return vectors == 1 ? &sliding_tile<T, P, 1> : &sliding_tile<T, P, kSlidingVectors>;
#define SWATH_TILE(P) \
  SWATH_SLIDING(P)    \
  return vectors == 1 ? &depthwise_tile<T, P, 1> : &depthwise_tile<T, P, 2>;
    switch (positions) {
      SWATH_TILE(1)
      SWATH_TILE(2)
      SWATH_TILE(3)
      SWATH_TILE(4)
#if defined(__AVX512F__) || defined(__aarch64__)
      SWATH_TILE(5)
      SWATH_TILE(6)
      SWATH_TILE(7)
      SWATH_TILE(8)
#else
      SWATH_SLIDING(5)
      break;
      SWATH_SLIDING(6)
      break;
      SWATH_SLIDING(7)
      break;
      SWATH_SLIDING(8)
      break;
#endif
    }
#undef SWATH_TILE
#undef SWATH_SLIDING
    return nullptr;
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  if (p.in_per_group != 1) return "a group has more than one input channel, or none";
  if (prefers_rows<T>(p)) return "lanes along a row cost less than lanes along channels";
  return is_box_too_large(p, 2.0 * kLanes<T>, sizeof(T)) ? kBoxTooLarge : nullptr;
}

}  // namespace

#define SWATH_DEPTHWISE(name, T, S)                                                              \
  extern const KernelFns sliding_conv_depthwise_channels_##name;                                 \
  const KernelFns sliding_conv_depthwise_channels_##name{reject<T>,                              \
                                                         channel_weight_bytes<T, Depthwise>,     \
                                                         pack_channels<T, S, Depthwise>,         \
                                                         channel_scratch_bytes<T, S, Depthwise>, \
                                                         n_channel_tasks<T, S, Depthwise>,       \
                                                         run_channels<T, S, Depthwise>};
SWATH_DEPTHWISE(f32, float, float)
SWATH_DEPTHWISE(f64, double, double)
SWATH_DEPTHWISE(f16, float, f16)
SWATH_DEPTHWISE(bf16, float, bf16)
#undef SWATH_DEPTHWISE

}  // namespace swath::SWATH_ISA
