#include "core/format.h"
#include "ops/long_conv2d/call.h"
#include "ops/plane_fft/compose.h"

namespace swath {
namespace {

LongAxis describe_axis(LongConvMode2d mode, int64_t n, int64_t taps) {
  LongAxis a{.n = n, .taps = taps, .n_out = n};
  switch (mode) {
    case LongConvMode2d::same:
      a.offset = (taps - 1) / 2;
      break;
    case LongConvMode2d::full:
      a.n_out = n + taps - 1;
      break;
    case LongConvMode2d::circular:
      a.is_circular = true;
  }
  return a;
}

}  // namespace

std::array<int64_t, kMaxRank> LongConv2dCall::y_shape() const {
  std::array<int64_t, kMaxRank> shape = u.shape;
  for (int i = 0; i < 2; ++i) shape[map.spatial[i]] = axis[i].n_out;
  return shape;
}

LongConv2dCall describe_long_conv2d(const CallSite& site, const TensorDesc& u, const TensorDesc& k,
                                    const LongConv2dParams& params) {
  check_floating(site, u, "u");
  LongConv2dCall call{site, u, k, params, map_axes(site, u, 2, params.layout, "u"), {}};
  check_same_kind(site, u, k, "k", "u");
  if (k.rank != 3 || k.shape[0] != call.n_channels() || k.shape[1] < 1 || k.shape[2] < 1) {
    site.fail(ErrorCode::shape, "k",
              format("k has shape {}, needed is (D, Kh, Kw) with D = {} and taps along both axes "
                     "(u.shape={})",
                     shape_text(k), call.n_channels(), shape_text(u)));
  }
  for (int i = 0; i < 2; ++i) {
    const int64_t n = u.shape[call.map.spatial[i]], taps = k.shape[1 + i];
    if (n + taps > kMostFftPoints) {
      site.fail(ErrorCode::shape, "u",
                format("u has shape {} and k {}, needed are at most {} samples and taps along an "
                       "axis",
                       shape_text(u), shape_text(k), kMostFftPoints));
    }
    call.axis[i] = describe_axis(params.mode, n, taps);
    if (call.axis[i].is_circular && n > 0 && taps > n) {
      site.fail(ErrorCode::param, "k",
                format("k has {} taps along {}, needed are at most {} for mode='circular' "
                       "(k.shape={}, u.shape={})",
                       taps, i == 0 ? "H" : "W", n, shape_text(k), shape_text(u)));
    }
  }
  return call;
}

}  // namespace swath
