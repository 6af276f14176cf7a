// Several input channels per group, channels last (and 1x1): lanes along output channels, a product
// of positions and channels summed tap by tap, without a column buffer.
#include "core/isa_table.h"
#include "ops/common/pack_turned.h"
#include "ops/sliding_conv/channel_worker.h"

namespace swath::SWATH_ISA {
namespace {

struct Dense {
#if defined(__AVX512F__) || defined(__aarch64__)
  // Sums, weights and one value of x: 12 x 2 + 2 + 1, 8 x 3 + 3 + 1 of 32 registers.
  static constexpr int kMostVectors = 3;
  static int most_positions(const ConvProblem&, int vectors) { return vectors == 3 ? 8 : 12; }
  static constexpr int kTileVectors = 24;
#else
  // 6 x 2 + 2 + 1 of 16 registers.
  static constexpr int kMostVectors = 2;
  static int most_positions(const ConvProblem&, int) { return 6; }
  static constexpr int kTileVectors = 12;
#endif
  static constexpr bool kPartsShrinkBox = false;  // a box holds the group's channels

  static int64_t summed_channels(const ConvProblem& p) { return p.in_per_group; }
  static bool maps_channels(const ConvProblem&) { return false; }

  template <class T>
  static int64_t n_lane_tasks(const ConvProblem& p) {
    return p.n_groups * n_lane_blocks<T>(p.out_per_group, kMostVectors);
  }
  template <class T>
  static LaneBlock lanes_at(const ConvProblem& p, int64_t i) {
    const int64_t n = n_lane_blocks<T>(p.out_per_group, kMostVectors);
    LaneBlock lanes = lane_block<T>(p.out_per_group, kMostVectors, i % n);
    lanes.group = i / n;
    return lanes;
  }
  template <class T>
  static int64_t widest_pitch(const ConvProblem& p, int64_t) {
    return p.in_per_group;
  }
  template <class T>
  static int64_t box_pitch(const ChannelRange& channels) {
    return channels.n;
  }
  /// One box for the lanes of a group.
  template <class T>
  static ChannelRange box_channels(const ConvProblem& p, const LaneTasks& tasks, LaneTasks& share) {
    const int64_t n = n_lane_blocks<T>(p.out_per_group, kMostVectors);
    const int64_t group = share.begin / n;
    share.end = min_of(tasks.end, (group + 1) * n);
    return {group * p.in_per_group, p.in_per_group, 1};
  }
  static int64_t lane_offset(const LaneBlock&, const ChannelRange&) { return 0; }
  static int64_t first_channel(const ConvProblem& p, const LaneBlock& lanes) {
    return lanes.group * p.in_per_group;
  }
  template <class T>
  static int64_t over_read(const LaneBlock&) {
    return 0;  // x is read value by value
  }

  template <class T>
  static int64_t group_weights(const ConvProblem& p) {
    return round_up(p.out_per_group, kLanes<T>) * p.in_per_group * p.n_taps();
  }
  template <class T>
  static int64_t n_weights(const ConvProblem& p) {
    return p.n_groups * group_weights<T>(p);
  }
  template <class T>
  static int64_t weight_offset(const ConvProblem& p, const LaneBlock& lanes) {
    return lanes.group * group_weights<T>(p) + lanes.first * p.in_per_group * p.n_taps();
  }
  /// The weights of an output channel lie side by side, tap by tap.
  static bool has_whole_kernels(const ConvProblem& p) {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    return (w.w_stride == 1 || w.kernel == 1) && (h.w_stride == w.kernel || h.kernel == 1) &&
           (d.w_stride == h.kernel * w.kernel || d.kernel == 1) && p.w_in_stride == p.n_taps();
  }
  /// [group][lane block][plane][ky][kx][channel][lane], lanes beyond the last channel zero.
  template <class T, class S>
  static void pack_weights(const ConvProblem& p, const S* from, T* to) {
    const ConvAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    for (int64_t i = 0; i < n_lane_tasks<T>(p); ++i) {
      // One output channel after the other: its weights lie side by side, those of one tap are
      // pages apart.
      const LaneBlock lanes = lanes_at<T>(p, i);
      const int64_t width = lanes.n_vectors * kLanes<T>;
      if (has_whole_kernels(p)) {
        const S* at = from + lanes.group * p.w_group_stride + lanes.first * p.w_out_stride;
        for (int64_t l = 0; l < width; l += kLanes<T>, at += kLanes<T> * p.w_out_stride) {
          pack_turned(at, p.w_out_stride, lanes.n - l, p.in_per_group, p.n_taps(), to + l, width);
        }
        to += p.n_taps() * p.in_per_group * width;
        continue;
      }
      for (int64_t l = 0; l < width; ++l) {
        const S* at = from + lanes.group * p.w_group_stride + (lanes.first + l) * p.w_out_stride;
        for (int64_t c = 0; c < p.in_per_group; ++c, at += p.w_in_stride) {
          T* value = to + c * width + l;
          for (int64_t kd = 0; kd < d.kernel; ++kd) {
            for (int64_t kh = 0; kh < h.kernel; ++kh) {
              for (int64_t kw = 0; kw < w.kernel; ++kw, value += p.in_per_group * width) {
                *value = l < lanes.n
                             ? to_acc(at[kd * d.w_stride + kh * h.w_stride + kw * w.w_stride])
                             : T{0};
              }
            }
          }
        }
      }
      to += p.n_taps() * p.in_per_group * width;
    }
  }

  template <class T>
  static auto pick(const ConvProblem&, int positions, int vectors)
      -> void (*)(const ChannelTile<T>&) {
    switch (vectors * 16 + positions) {
#define SWATH_TILE(V, P) \
  case (V) * 16 + (P):   \
    return &dense_tile<T, P, V>;
#define SWATH_TILES(V) \
  SWATH_TILE(V, 1)     \
  SWATH_TILE(V, 2) SWATH_TILE(V, 3) SWATH_TILE(V, 4) SWATH_TILE(V, 5) SWATH_TILE(V, 6)
      SWATH_TILES(1)
      SWATH_TILES(2)
#if defined(__AVX512F__) || defined(__aarch64__)
#define SWATH_WIDE_TILES(V) SWATH_TILE(V, 7) SWATH_TILE(V, 8)
#define SWATH_WIDER_TILES(V) SWATH_TILE(V, 9) SWATH_TILE(V, 10) SWATH_TILE(V, 11) SWATH_TILE(V, 12)
      SWATH_TILES(3)
      SWATH_WIDE_TILES(1)
      SWATH_WIDE_TILES(2)
      SWATH_WIDE_TILES(3)
      SWATH_WIDER_TILES(1)
      SWATH_WIDER_TILES(2)
#undef SWATH_WIDE_TILES
#undef SWATH_WIDER_TILES
#endif
#undef SWATH_TILES
#undef SWATH_TILE
    }
    return nullptr;
  }
};

template <class T>
const char* reject(const void* problem) noexcept {
  const ConvProblem& p = as_conv(problem);
  if (p.in_per_group == 0) return "there are no input channels";
  if (p.in_per_group == 1 && p.n_groups > 1) return "one input channel per group: depthwise";
  if (prefers_rows<T>(p)) return "lanes along a row cost less than lanes along channels";
  return is_box_too_large(p, p.in_per_group, sizeof(T)) ? kBoxTooLarge : nullptr;
}

}  // namespace

#define SWATH_DENSE(name, T, S)                                                          \
  extern const KernelFns sliding_conv_dense_channels_##name;                             \
  const KernelFns sliding_conv_dense_channels_##name{reject<T>,                          \
                                                     channel_weight_bytes<T, Dense>,     \
                                                     pack_channels<T, S, Dense>,         \
                                                     channel_scratch_bytes<T, S, Dense>, \
                                                     n_channel_tasks<T, S, Dense>,       \
                                                     run_channels<T, S, Dense>};
SWATH_DENSE(f32, float, float)
SWATH_DENSE(f64, double, double)
SWATH_DENSE(f16, float, f16)
SWATH_DENSE(bf16, float, bf16)
#undef SWATH_DENSE

}  // namespace swath::SWATH_ISA
