#pragma once

#include <string>

#include <swath/ops/common.h>
#include <swath/ops/gates.h>

namespace swath {

struct DynamicConvParams {
  int ndim = 1;
  bool has_kernel = true;   // of two axes; else the weight's taps are a square
  Extents kernel{1, 1, 1};  // of two axes; one axis has the weight's taps
  Extents stride{1, 1, 1}, dilation{1, 1, 1};
  Padding padding{PaddingRule::causal, {}};
  bool needs_odd_kernel = false;  // the padding is the default, which has no middle tap otherwise
  bool softmax = false;           // over the taps
  bool renormalize_padding = false;  // the softmax runs over the taps inside x
  bool is_interleaved = false;       // channel c has taps c mod G instead of c div (C / G)
  Layout layout = Layout::channels_first;
  std::string name = "dynamic_conv1d";  // the public function's name, for error texts
};

/// y[n, c, p] = sum over taps k of weight[n, g(c), k, p] x[n, c, p s + k d - pad]. weight
/// (N, G, K, *S), or (N, *S, G, K) with the channels last; of one axis also (G, K), the same taps
/// for every sample and position. Slots: x, weight.
SWATH_API Plan plan_dynamic_conv(const TensorDesc& x, const TensorDesc& weight,
                                 const DynamicConvParams& params, const PlanOptions& options = {});

/// The end of what a stream has seen: the last n columns of `desc` (N, C, any) or (N, any, C) come
/// before x's first.
struct DynamicHistory {
  const TensorDesc* desc;
  int64_t n;
};

/// One chunk of a stream: `pad` zeros, then the history, then x; weight may be (G, K). As many
/// outputs as there are whole windows. Slots: x, weight, history.
SWATH_API Plan plan_dynamic_conv_step(const TensorDesc& x, const TensorDesc& weight,
                                      const DynamicHistory& history,
                                      const DynamicConvParams& params,
                                      const PlanOptions& options = {});

/// Slots: dy, x, weight. Outputs: dx, dweight.
SWATH_API Plan plan_dynamic_conv_backward(const TensorDesc& dy, const TensorDesc& x,
                                          const TensorDesc& weight, const DynamicConvParams& params,
                                          const PairNeeds& needs, const PlanOptions& options = {});

}  // namespace swath
