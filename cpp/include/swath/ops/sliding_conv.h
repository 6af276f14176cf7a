#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

struct SlidingConvParams {
  int ndim = 2;  // spatial axes, 1 to 3
  Extents stride{1, 1, 1};
  Extents dilation{1, 1, 1};
  const int64_t* dilation_per_channel = nullptr;  // (C_out, ndim) C-order, or null; copied
  int64_t n_dilation_rows = 0;                    // C_out of that array
  Padding padding{};
  PaddingMode padding_mode = PaddingMode::zeros;
  int64_t groups = 1;
  Layout layout = Layout::channels_first;
  bool has_channels = false;  // convolve only input channels [channels[0], channels[1])
  std::array<int64_t, 2> channels{};
  bool pass_through =
      true;  // with `channels`: copy the others to y, else return only the convolved
  Activation activation = Activation::none;
  double activation_value = 0;
  bool residual_before_activation = false;
  std::string op = "conv";  // the public function's name, for error texts
};

/// Input slots of the plan's run().
enum SlidingConvInput { kConvX, kConvWeight, kConvBias, kConvScale, kConvShift, kConvResidual };

/// y = act((w * x + bias) * scale + shift) + residual, * the cross-correlation of
/// spec section "Sliding-window convolution". Absent optional arrays are null pointers.
///   x (N, C, *spatial) or channels last, N may be missing; weight (O, C/groups, *kernel);
///   bias, scale, shift (O,); residual has y's shape.
SWATH_API Plan plan_sliding_conv(const TensorDesc& x, const TensorDesc& weight,
                                 const TensorDesc* bias, const TensorDesc* scale,
                                 const TensorDesc* shift, const TensorDesc* residual,
                                 const SlidingConvParams& params, const PlanOptions& options = {});

struct ConvTransposeParams {
  int ndim = 2;
  Extents stride{1, 1, 1};
  Extents dilation{1, 1, 1};
  Padding padding{};  // given pairs only
  Extents output_padding{0, 0, 0};
  int64_t groups = 1;
  Layout layout = Layout::channels_first;
  std::string op = "conv_transpose";
};

/// The adjoint of the convolution with the same arguments; weight (C_in, O/groups, *kernel).
/// Slots kConvX, kConvWeight, kConvBias.
SWATH_API Plan plan_conv_transpose(const TensorDesc& x, const TensorDesc& weight,
                                   const TensorDesc* bias, const ConvTransposeParams& params,
                                   const PlanOptions& options = {});

}  // namespace swath
