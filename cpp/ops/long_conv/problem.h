// What the kernels of long convolution see.
//
// A row v of real numbers and K taps k give  full[f] = sum_j k[j] v[f - j]; a call keeps the
// outputs  c[t] = full[t + first_output], 0 <= t < n_out.  The transform is that of the ring
// C[X] / (X^n - i): 2n reals are packed as x[0, n) + i x[n, 2n), and the product of two packed rows
// is their product modulo X^2n + 1, so that n outputs beyond the first n need no padding.
#pragma once

#include <cstdint>

#include "core/kernel.h"

namespace swath {

inline constexpr int kMaxRingPasses = 24;

/// One radix pass of the transform: blocks of radix * quarter elements.
struct RingPass {
  int64_t quarter = 0;  // distance of the elements that a butterfly joins
  /// Distance of the blocks behind the first pass, which may lie apart: where their distance is a
  /// power of two, they would push each other out of the cache.
  int64_t pitch = 0;
  int32_t radix = 4;
  int32_t n_factors = 3;  // per column: radix in the first pass, else radix - 1
  /// [column / lanes][factor][re lanes | im lanes]; with `base`, of the columns of one block only
  const void* factors = nullptr;
  /// Null, or [column / kFactorBlock][factor][re, im], to be multiplied with `factors`.
  const void* base = nullptr;
};
/// Tables larger than the first cache are made of two factors: this many columns share one.
inline constexpr int64_t kFactorBlock = 64;

/// Bytes of a plane whose elements are run through all their passes before the next ones: a quarter
/// of the first cache.
inline constexpr int64_t kRingCacheBlock = 8192;
/// Elements between the blocks that the first pass leaves, where they are more than that.
__attribute__((always_inline)) inline int64_t ring_padding(int64_t n, int64_t item_bytes) {
  return n * item_bytes > kRingCacheBlock ? 256 / item_bytes : 0;
}
/// Elements of a plane. Two planes at one place of the cache would push each other out.
__attribute__((always_inline)) inline int64_t plane_pitch(int64_t n, int64_t item_bytes) {
  return n + 7 * ring_padding(n, item_bytes) + 16;
}

/// Constants of the transform of n elements for vectors of some number of lanes.
struct RingTables {
  int64_t n = 0;
  int32_t lanes = 0, n_passes = 0;
  RingPass passes[kMaxRingPasses];
  const void* corner = nullptr;  // exp(i pi j / (2 radix)) of the first pass, [j][re, im]
};

/// Rows of a (batch, channel, position) array, or of (head, tap).
struct RowArray {
  ArrayRef ref{};
  bool is_present = false;
  bool is_acc = false;  // of accumulators, whatever the problem's dtype is
  int64_t first = 0;    // offset of element (0, 0, 0)
  int64_t batch_stride = 0, channel_stride = 0, step = 1;

  __attribute__((always_inline)) int64_t at(int64_t batch, int64_t channel) const {
    return first + batch * batch_stride + channel * channel_stride;
  }
};

/// v[i] = x[i] gate[i] for 0 <= i < n, zero outside or, if periodic, v[i mod n].
struct RowSource {
  RowArray x{}, gate{};
  int64_t n = 0;
  bool is_periodic = false;
};

/// Channels of one task where positions are not side by side.
inline constexpr int64_t kSlabChannels = 16;

enum class LongKind : uint8_t {
  spectrum,  // of the taps of each head, scaled by 1/n, in the kernel's own order
  rows,      // a transform, a product and an inverse for each row and segment
  // the same of few long rows, cut into three steps so that several threads share them:
  first_pass,
  blocks,
  last_pass,
  tap_parts,  // sums over rows of spectra of dc conj(v), in parts
  taps,       // the sum of the parts -> gradient of the taps
  stage,      // y = v, of accumulators
  token,      // some positions inside a block of a stream
  row_sums,   // sums over batch and positions: dskip of dc v, dbias of dc
};

/// Positions of a block of a stream (kLongStreamBlock).
inline constexpr int64_t kStreamBlock = 64;

/// One step. Outputs of `rows`: y = gate (c + skip v + bias), for y and y2 each with its own gate.
struct LongProblem {
  DType dtype = DType::f32;
  LongKind kind = LongKind::rows;
  bool is_direct = false;
  bool is_segmented = false;    // by overlap-save: segments of a row instead of the row
  bool is_interleaved = false;  // head of channel d: d % n_heads, else d / (n_channels / n_heads)
  int64_t n_batch = 1, n_channels = 1, n_heads = 1;

  RowSource u{}, taps{};  // taps: rows are heads; n of them are used
  int64_t first_output = 0, n_out = 0;
  RowArray y{}, post{}, y2{}, post2{};
  RowArray skip{}, bias{};  // per channel
  RowArray add{};           // accumulators that c starts from, shaped as y; may be y itself

  // Segments: each covers `segment` outputs, the first at position `place` of the ring.
  int64_t n_segments = 1, segment = 0, place = 0;
  int64_t ring = 0;  // n
  const RingTables* tables = nullptr;
  ArrayRef spectrum{};  // [head][2n] accumulators
  /// Rows of kSlabChannels neighbouring channels in one task: positions are not side by side in
  /// memory, channels are.
  bool is_slab = false;
  // first_pass, blocks, last_pass: the rows of these steps, and [row][2 plane_pitch] accumulators
  int64_t first_row = 0, n_shared = 0;
  ArrayRef planes{};

  // tap_parts and taps: dc[t] in the place of c[t]
  RowSource dc{};
  int64_t n_parts = 1;
  ArrayRef parts{};           // [head][part][2n], direct: [head][part][n taps]
  RowArray dk{};              // [head][tap]
  RowArray dskip{}, dbias{};  // per channel

  // token: a stream's inputs [row][span], its sums (`add`), and the current block's inputs and sums
  // [row][2 kStreamBlock], all accumulators; the taps [head][kStreamBlock - 1 - lag] in the place
  // of `spectrum`; one int64, the inputs so far.
  RowArray kept{}, block{};
  ArrayRef time{};
  int64_t span = 0;

  __attribute__((always_inline)) int64_t head_of(int64_t channel) const {
    return is_interleaved ? channel % n_heads : channel / (n_channels / n_heads);
  }
  __attribute__((always_inline)) int64_t n_rows() const { return n_batch * n_channels; }
  __attribute__((always_inline)) int64_t rows_per_head() const {
    return n_batch * (n_channels / n_heads);
  }
  __attribute__((always_inline)) int64_t n_slabs() const {
    return (n_channels + kSlabChannels - 1) / kSlabChannels * n_batch;
  }
  /// Channel `i` of a head.
  __attribute__((always_inline)) int64_t channel_of(int64_t head, int64_t i) const {
    return is_interleaved ? i * n_heads + head : head * (n_channels / n_heads) + i;
  }
};

/// What one segment reads and writes: sources [low, high), of which element `base` is at position
/// 0 of the ring, and outputs [out_first, out_first + n_out).
struct Segment {
  int64_t low, high, base, out_first, n_out;

  __attribute__((always_inline)) Segment(const LongProblem& p, int64_t index) {
    out_first = index * p.segment;
    n_out = p.n_out - out_first < p.segment ? p.n_out - out_first : p.segment;
    const int64_t first = p.first_output + out_first;
    base = first - p.place;
    low = first - (p.taps.n - 1);
    high = first + n_out;
    if (p.u.is_periodic) return;
    low = low < 0 ? 0 : low;
    high = high > p.u.n ? p.u.n : high;
  }
};

}  // namespace swath
