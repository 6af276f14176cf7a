// What the kernels share: how the sum and the weights are cut into tasks, views of x and dy that
// the staging of the convolution reads, and the way finished sums go out.
#pragma once

#include "ops/common/carver.h"
#include "ops/conv_weight_grad/problem.h"
#include "ops/sliding_conv/channels.h"
#include "ops/sliding_conv/rows.h"

namespace swath::SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE const WeightGradProblem& as_grad(const void* p) {
  return *static_cast<const WeightGradProblem*>(p);
}

/// Terms that one accumulator sums before they are added to an earlier sum.
inline constexpr int64_t kBlockTerms = 512;
/// x of one block of positions, all channels of a task: half of a usual second-level cache.
inline constexpr int64_t kMostBoxBytes = 256 * 1024;

/// Channels [c0, c0 + n) of group g of x as a problem of one group, for the staging functions.
SWATH_ALWAYS_INLINE ConvProblem x_part(const ConvProblem& p, int64_t g, int64_t c0, int64_t n) {
  ConvProblem q = p;
  q.n_groups = 1;
  q.in_per_group = n;
  q.x_offset += (g * p.in_per_group + c0) * p.x_channel_stride;
  q.mask.offset += (g * p.in_per_group + c0) * p.mask.channel_stride;
  return q;
}

/// Channels [o0, o0 + n) of dy as the input of a 1x1 convolution.
SWATH_ALWAYS_INLINE ConvProblem dy_part(const WeightGradProblem& w, int64_t o0, int64_t n) {
  const ConvProblem& p = w.conv;
  ConvProblem q = p;
  q.padding_mode = PaddingMode::zeros;
  q.mask = ConvMask{};
  q.n_groups = 1;
  q.in_per_group = n;
  q.x = p.y;
  q.x_offset = p.y_offset + o0 * p.y_channel_stride;
  q.x_batch_stride = p.y_batch_stride;
  q.x_channel_stride = p.y_channel_stride;
  q.x_low = w.dy_low;
  q.x_high = w.dy_high;
  for (int i = 0; i < 3; ++i) {
    q.axis[i] = ConvAxis{};
    q.axis[i].in = q.axis[i].out = p.axis[i].out;
    q.axis[i].x_stride = p.axis[i].y_stride;
  }
  return q;
}

/// Blocks [begin, end) of the grid (all samples) that one partial sum covers.
struct BlockRange {
  int64_t begin, end;
};
SWATH_ALWAYS_INLINE BlockRange partial_range(const WeightGradProblem& w, const BlockGrid& grid,
                                             int64_t partial) {
  const ConvProblem& p = w.conv;
  const int64_t n = p.n_batch * p.axis[0].out * grid.n_y * grid.n_x;
  return {n * partial / w.n_partials, n * (partial + 1) / w.n_partials};
}

/// Elements of x that the outputs of a block of rows x cols see, per channel.
SWATH_ALWAYS_INLINE double box_elements(const ConvProblem& p, int64_t rows, int64_t cols) {
  return static_cast<double>(p.axis[0].kernel) * inputs_seen(p.axis[1], rows) *
         inputs_seen(p.axis[2], cols);
}

/// Blocks of at most `most` positions whose box of one channel fits into kMostBoxBytes if that is
/// possible at all.
template <class T>
SWATH_ALWAYS_INLINE BlockGrid make_position_grid(const ConvProblem& p, int64_t most_rows,
                                                 int64_t most_cols) {
  const int64_t n_x = ceil_div(p.axis[2].out, most_cols);
  int64_t cols = ceil_div(p.axis[2].out, n_x), rows = min_of(most_rows, p.axis[1].out);
  const auto is_large = [&] {
    return box_elements(p, rows, cols) * int64_t{sizeof(T)} > kMostBoxBytes;
  };
  while (rows > 1 && is_large()) rows = (rows + 1) / 2;
  while (cols > kLanes<T> && is_large()) cols = (cols + 1) / 2;
  return make_grid(p, rows, cols);
}

/// Weights [index, index + n) of one partial sum, every `stride`-th element of `from`.
template <class T, class S>
SWATH_ALWAYS_INLINE void write_weights(const WeightGradProblem& w, const Buffers& b,
                                       int64_t partial, int64_t index, const T* from,
                                       int64_t stride, int64_t n) {
  if (w.n_partials > 1) {
    T* to = static_cast<T*>(b.write(w.partials)) + partial * w.n_weights() + index;
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
    return;
  }
  S* to = static_cast<S*>(b.write(w.conv.w)) + w.conv.w_offset + index;
  for (int64_t i = 0; i < n; ++i) to[i] = from_acc<S>(from[i * stride]);
}

/// Weights of `n_lanes` outputs whose sums lie side by side: lane l of run j is at sums[j pitch +
/// l] and goes to element j of output l. In squares that stay in the first-level cache.
template <class T, class S>
SWATH_ALWAYS_INLINE void write_lanes(const WeightGradProblem& w, const Buffers& b, int64_t partial,
                                     int64_t index, int64_t output_stride, const T* sums,
                                     int64_t pitch, int64_t n_lanes, int64_t n) {
  constexpr int64_t kSquare = 64;
  for (int64_t j = 0; j < n; j += kSquare) {
    for (int64_t l = 0; l < n_lanes; ++l) {
      write_weights<T, S>(w, b, partial, index + l * output_stride + j, sums + j * pitch + l, pitch,
                          min_of(kSquare, n - j));
    }
  }
}

/// Values of a mask that staging may have to convert at once.
SWATH_ALWAYS_INLINE int64_t mask_line_elements(const ConvProblem& p, int64_t channels,
                                               int64_t cols) {
  return p.mask.has_values ? max_of(channels, inputs_seen(p.axis[2], cols)) : 0;
}

}  // namespace
}  // namespace swath::SWATH_ISA
