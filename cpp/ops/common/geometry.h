// Shapes of sliding windows: what padding rules mean and how long outputs are. Used by describe
// only.
#pragma once

#include <array>
#include <string>

#include <swath/error.h>
#include <swath/ops/common.h>
#include <swath/tensor.h>

namespace swath {

struct Window {
  int64_t kernel = 1, stride = 1, dilation = 1;
};

/// What an error text needs to know about its call.
struct CallSite {
  const std::string& op;
  [[noreturn]] void fail(ErrorCode code, const char* arg, const std::string& text) const {
    throw Error(code, op, arg, text);
  }
};

/// Throws DTypeError unless x is of a floating dtype.
void check_floating(const CallSite& site, const TensorDesc& x, const char* arg = "x");

/// Throws ShapeError unless `x` has `like`'s shape, and as check_same_kind.
void check_same_array(const CallSite& site, const TensorDesc& like, const TensorDesc& x,
                      const char* arg, const char* like_arg);

/// Throws DTypeError or DeviceError unless `other` has x's dtype and is on its device.
void check_same_kind(const CallSite& site, const TensorDesc& x, const TensorDesc& other,
                     const char* arg, const char* x_arg = "x");

/// Throws unless dy has x's dtype and device, and the `shape` (of x's rank) of the forward's
/// result.
void check_gradient(const CallSite& site, const TensorDesc& dy, const TensorDesc& x,
                    const std::array<int64_t, kMaxRank>& shape);

/// (before, after) of one axis of length n by the given rule; axis 0 is the first spatial axis.
std::array<int64_t, 2> resolve_padding(const Padding& padding, int axis, int64_t n,
                                       const Window& w);

/// floor((n + before + after - dilation (kernel - 1) - 1) / stride) + 1; throws ShapeError if the
/// window does not fit, unless n is 0 (then the output is empty).
int64_t output_length(const CallSite& site, int axis, int64_t n, std::array<int64_t, 2> pad,
                      const Window& w);

/// Throws ParamError unless every stride, dilation and kernel is positive and bounded, and every
/// padding is not negative.
void check_window(const CallSite& site, int ndim, const Extents& kernel, const char* kernel_arg,
                  const Extents& stride, const Extents& dilation, const Padding& padding);

/// Where N, C and the spatial axes of an array are. n is -1 for an unbatched array.
struct AxisMap {
  int n = -1, c = 0;
  std::array<int, 3> spatial{};
};

/// Throws ShapeError unless x has ndim + 2 axes, or ndim + 1 (unbatched).
AxisMap map_axes(const CallSite& site, const TensorDesc& x, int ndim, Layout layout,
                 const char* arg);

/// The output's description: `out` after checking its shape, dtype and device, or a contiguous one.
TensorDesc output_desc(const CallSite& site, const TensorDesc& like, const int64_t* shape, int rank,
                       const TensorDesc* out);

}  // namespace swath
