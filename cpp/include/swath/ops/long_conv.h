#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

enum class LongMode : uint8_t { causal, same, full, valid, circular, two_sided };
enum class LongMethod : uint8_t { automatic, fft, direct, overlap_save };

struct LongConvParams {
  LongMode mode = LongMode::causal;
  bool has_offset = false;
  int64_t offset = 0;      // of mode two_sided; else (K - 1) / 2
  bool correlate = false;  // modes same and two_sided
  bool is_interleaved = false;
  LongMethod method = LongMethod::automatic;
  Layout layout = Layout::channels_first;
  int64_t n_fft = 0;  // with `response`: the period
  std::string name = "long_conv";
};

/// The arrays of a call; null where absent. With `spectrum` (what plan_long_spectrum gives) the
/// taps are not transformed again.
struct LongConvArrays {
  const TensorDesc *u = nullptr, *k = nullptr, *skip = nullptr, *bias = nullptr;
  const TensorDesc *pre_gate = nullptr, *post_gate = nullptr;
  /// irfft of a frequency mask, n_fft accumulators (float64 for f64, else float32): the taps are
  /// k convolved with it modulo n_fft.
  const TensorDesc* response = nullptr;
  const TensorDesc* spectrum = nullptr;
  const TensorDesc* dy = nullptr;  // of the backward
};

/// Slots of the arrays, for the forward and the backward.
enum LongConvSlot : int {
  kLongU,
  kLongK,
  kLongSkip,
  kLongBias,
  kLongPreGate,
  kLongPostGate,
  kLongResponse,
  kLongSpectrum,
  kLongDy,
  kLongSums = kLongDy,        // of a stream
  kLongTime = kLongResponse,  // of a stream
};

/// y = post_gate * (conv(v, k) + skip v + bias), v = u pre_gate; u (B, D, L) or (D, L), k (H, K).
SWATH_API Plan plan_long_conv(const LongConvArrays& arrays, const LongConvParams& params,
                              const PlanOptions& options = {});

/// The spectra of the taps for rows as those of `u`, in the chosen kernel's own order: one output,
/// or none if the call does not use spectra.
SWATH_API Plan plan_long_spectrum(const LongConvArrays& arrays, const LongConvParams& params);

/// Which gradients a backward computes; its outputs are these, in this order.
struct LongConvNeeds {
  bool u = true, k = true, pre_gate = false, post_gate = false, skip = false, bias = false;
};

SWATH_API Plan plan_long_conv_backward(const LongConvArrays& arrays, const LongConvParams& params,
                                       const LongConvNeeds& needs, const PlanOptions& options = {});

/// A causal stream: rows (batch, channel) whose last `span` inputs and next `span` sums are kept as
/// accumulators, [batch][channel][span], at the place of their time modulo span.
struct LongStream {
  int64_t n_batch = 0, n_channels = 0;
  int64_t span = 0;
  LongConvParams params;
};

/// The largest tile of a stream of K taps: a power of two times kLongStreamBlock that reaches all.
inline constexpr int64_t kLongStreamBlock = 64;
SWATH_API int64_t long_stream_span(int64_t n_taps);

/// Keeps v = u pre_gate. Slots: kLongU, kLongPreGate; output: the inputs kept, from the place on
/// where the first one belongs.
SWATH_API Plan plan_long_stream_store(const LongStream& stream, const LongConvArrays& arrays);
/// Outputs of whole blocks of inputs, plus the sums kept for them; skip, bias and post_gate as in
/// plan_long_conv. Slots: kLongU the inputs kept, from the first one on; kLongSums the sums, from
/// the first output on; k and the rest as usual. `y` is the output's description; u is not looked
/// at.
SWATH_API Plan plan_long_stream_block(const LongStream& stream, const LongConvArrays& arrays,
                                      const TensorDesc& y);
/// The next positions of the current block, no further than its end. Slots: kLongU, kLongPreGate,
/// kLongPostGate, kLongSkip and kLongBias as in plan_long_conv; kLongTime one int64, the inputs so
/// far; kLongSpectrum the first taps, [head][kLongStreamBlock] accumulators: that of lag j at
/// kLongStreamBlock - 1 - j. Outputs: y, the inputs kept, the sums kept, and what belongs to the
/// current block, [batch][channel][2 kLongStreamBlock] accumulators; the plan describes y alone.
SWATH_API Plan plan_long_stream_tokens(const LongStream& stream, const LongConvArrays& arrays,
                                       const TensorDesc& y);
/// Adds what `size` inputs give to the next `size` outputs. Slots: kLongU the inputs kept,
/// kLongSums and the output: the sums kept; kLongK or, if `arrays.spectrum` is given,
/// kLongSpectrum.
SWATH_API Plan plan_long_stream_tile(const LongStream& stream, const LongConvArrays& arrays,
                                     int64_t size);
/// The spectra for tiles of a size: one output, or none.
SWATH_API Plan plan_long_stream_spectrum(const LongStream& stream, const LongConvArrays& arrays,
                                         int64_t size);

}  // namespace swath
