// One input channel per group, channels last: lanes along channels, taps in any number.
#include "core/isa_table.h"
#include "ops/sliding_conv/channels.h"

namespace swath::SWATH_ISA {
namespace {

struct Depthwise {
#if defined(__AVX512F__) || defined(__aarch64__)
  static constexpr int kMostVectors = 2, kPositions = 8;  // 16 sums of 32 registers
#else
  static constexpr int kMostVectors = 2, kPositions = 4;  // 8 sums of 16 registers
#endif
  static constexpr int kTileVectors = kMostVectors * kPositions;
  static constexpr int64_t kStagedBytes = 96 * 1024;

  static int most_positions(int) { return kPositions; }
  static int64_t summed_channels(const ConvProblem&) { return 1; }
  static bool maps_channels(const ConvProblem& p) { return p.out_per_group != 1; }

  template <class T>
  static int64_t n_lane_tasks(const ConvProblem& p) {
    return n_lane_blocks<T>(p.n_out_channels(), kMostVectors);
  }
  template <class T>
  static LaneBlock lanes_at(const ConvProblem& p, int64_t i) {
    return lane_block<T>(p.n_out_channels(), kMostVectors, i);
  }
  template <class T>
  static int64_t widest_pitch(const ConvProblem&) {
    return kMostVectors * kLanes<T>;
  }
  template <class T>
  static int64_t staged_pitch(const ConvProblem&, const LaneBlock& lanes) {
    return lanes.n_vectors * kLanes<T>;
  }
  static ChannelRange staged_channels(const ConvProblem& p, const LaneBlock& lanes) {
    return {lanes.first, lanes.n, p.out_per_group};
  }
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
          const int64_t at = o / p.out_per_group * p.w_group_stride + o % p.out_per_group * p.w_out_stride;
          *to++ = l < lanes.n ? to_acc(from[at + tap]) : T{0};
        }
      }
    }
  }

  template <class T>
  static auto pick(int positions, int vectors) -> void (*)(const ChannelTile<T>&) {
#define SWATH_TILE(P)                                                                     \
  case P:                                                                                 \
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
#endif
    }
#undef SWATH_TILE
    return nullptr;
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  if (p.in_per_group != 1) return "a group has more than one input channel, or none";
  if (prefers_rows<T>(p)) return "lanes along a row cost less than lanes along channels";
  return nullptr;
}

}  // namespace

#define SWATH_DEPTHWISE(name, T, S)                                         \
  extern const KernelFns sliding_conv_depthwise_channels_##name;            \
  const KernelFns sliding_conv_depthwise_channels_##name{                   \
      reject<T>,                                                            \
      channel_weight_bytes<T, Depthwise>,                                   \
      pack_channels<T, S, Depthwise>,                                       \
      channel_scratch_bytes<T, S, Depthwise>,                               \
      n_channel_tasks<T, S, Depthwise>,                                     \
      run_channels<T, S, Depthwise>};
SWATH_DEPTHWISE(f32, float, float)
SWATH_DEPTHWISE(f64, double, double)
SWATH_DEPTHWISE(f16, float, f16)
SWATH_DEPTHWISE(bf16, float, bf16)
#undef SWATH_DEPTHWISE

}  // namespace swath::SWATH_ISA
