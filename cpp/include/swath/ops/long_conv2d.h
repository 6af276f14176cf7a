#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

enum class LongConvMode2d : uint8_t { same, circular, full };
enum class LongConvMethod2d : uint8_t { automatic, fft, direct };

struct LongConv2dParams {
  LongConvMode2d mode = LongConvMode2d::same;
  LongConvMethod2d method = LongConvMethod2d::automatic;
  Layout layout = Layout::channels_first;
  std::string name = "long_conv2d";  // the public function's name, for error texts
};

/// y[b, d, p, q] = sum over i, j of k[d, i, j] u[b, d, p - i + o_h, q - j + o_w]; u (B, D, H, W) or
/// channels last, B may be missing; k (D, Kh, Kw). o is 0, or (K - 1) / 2 for `same`. Slots: u, k.
SWATH_API Plan plan_long_conv2d(const TensorDesc& u, const TensorDesc& k,
                                const LongConv2dParams& params, const PlanOptions& options = {});

struct LongConv2dNeeds {
  bool u = true, k = true;
};

/// Slots: dy, u, k. Outputs: du, dk, those that are needed.
SWATH_API Plan plan_long_conv2d_backward(const TensorDesc& dy, const TensorDesc& u,
                                         const TensorDesc& k, const LongConv2dParams& params,
                                         const LongConv2dNeeds& needs,
                                         const PlanOptions& options = {});

}  // namespace swath
