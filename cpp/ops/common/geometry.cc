#include "ops/common/geometry.h"

#include <algorithm>

#include "core/format.h"

namespace swath {
namespace {

// Windows beyond this would overflow 64-bit offsets; no array of this size exists.
constexpr int64_t kMaxExtent = int64_t{1} << 40;
// Beyond it byte counts and costs would overflow.
constexpr int64_t kMaxElements = int64_t{1} << 48;

void check_positive(const CallSite& site, const char* arg, int axis, int64_t value) {
  if (value < 1 || value > kMaxExtent) {
    site.fail(ErrorCode::param, arg,
              format("{} is {} on axis {}, needed is a positive number", arg, value, axis));
  }
}

}  // namespace

void check_floating(const CallSite& site, const TensorDesc& x, const char* arg) {
  if (is_floating(x.dtype)) return;
  site.fail(ErrorCode::dtype, arg,
            format("{} is {}, needed is f32, f64, f16 or bf16{}", arg, name_of(x.dtype),
                   x.dtype == DType::u8 ? ": convert with x.astype(np.float32) / 255" : ""));
}

void check_same_array(const CallSite& site, const TensorDesc& like, const TensorDesc& x,
                      const char* arg, const char* like_arg) {
  check_same_kind(site, like, x, arg, like_arg);
  if (x.rank == like.rank &&
      std::equal(x.shape.begin(), x.shape.begin() + x.rank, like.shape.begin())) {
    return;
  }
  site.fail(ErrorCode::shape, arg,
            format("{} has shape {}, needed is that of {}, {}", arg, shape_text(x), like_arg,
                   shape_text(like)));
}

void check_same_kind(const CallSite& site, const TensorDesc& x, const TensorDesc& other,
                     const char* arg, const char* x_arg) {
  if (other.dtype != x.dtype) {
    site.fail(ErrorCode::dtype, arg,
              format("{} is {}, {} is {}: needed is one dtype", arg, name_of(other.dtype), x_arg,
                     name_of(x.dtype)));
  }
  if (!(other.device == x.device)) {
    site.fail(ErrorCode::device, arg, format("{} and {} are on different devices", arg, x_arg));
  }
}

void check_gradient(const CallSite& site, const TensorDesc& dy, const TensorDesc& x,
                    const std::array<int64_t, kMaxRank>& shape) {
  check_same_kind(site, x, dy, "dy");
  if (dy.rank == x.rank && std::equal(shape.begin(), shape.begin() + x.rank, dy.shape.begin())) {
    return;
  }
  site.fail(ErrorCode::shape, "dy",
            format("dy has shape {}, needed is {}, the shape of the forward's result (x.shape={})",
                   shape_text(dy), shape_text(shape.data(), x.rank), shape_text(x)));
}

std::array<int64_t, 2> resolve_padding(const Padding& padding, int axis, int64_t n,
                                       const Window& w) {
  const int64_t reach = w.dilation * (w.kernel - 1);
  switch (padding.rule) {
    case PaddingRule::given:
      return padding.pairs[axis];
    case PaddingRule::valid:
      return {0, 0};
    case PaddingRule::causal:
      if (axis == 0) return {reach, 0};
      [[fallthrough]];
    case PaddingRule::same:
      return {reach / 2, reach - reach / 2};
    case PaddingRule::same_tf: {
      const int64_t out = (n + w.stride - 1) / w.stride;
      const int64_t total = std::max<int64_t>((out - 1) * w.stride + reach + 1 - n, 0);
      return n == 0 ? std::array<int64_t, 2>{0, 0}
                    : std::array<int64_t, 2>{total / 2, total - total / 2};
    }
  }
  return {0, 0};
}

int64_t output_length(const CallSite& site, int axis, int64_t n, std::array<int64_t, 2> pad,
                      const Window& w) {
  const int64_t extent = w.dilation * (w.kernel - 1) + 1;
  const int64_t padded = n + pad[0] + pad[1];
  if (padded >= extent) return (padded - extent) / w.stride + 1;
  if (n == 0) return 0;
  site.fail(ErrorCode::shape, "x",
            format("x has {} elements on spatial axis {} and {} of padding, the window needs {}", n,
                   axis, pad[0] + pad[1], extent));
}

void check_window(const CallSite& site, int ndim, const Extents& kernel, const char* kernel_arg,
                  const Extents& stride, const Extents& dilation, const Padding& padding) {
  for (int i = 0; i < ndim; ++i) {
    if (kernel[i] < 1 || kernel[i] > kMaxExtent) {
      site.fail(kernel_arg == std::string("weight") ? ErrorCode::shape : ErrorCode::param,
                kernel_arg,
                format("{} has {} taps on spatial axis {}, needed is a positive number", kernel_arg,
                       kernel[i], i));
    }
    check_positive(site, "stride", i, stride[i]);
    check_positive(site, "dilation", i, dilation[i]);
    if (kernel[i] > 1 && dilation[i] > kMaxExtent / kernel[i]) {
      site.fail(ErrorCode::param, "dilation",
                format("dilation {} on axis {} is out of range", dilation[i], i));
    }
    for (int64_t p : padding.pairs[i]) {
      if (padding.rule == PaddingRule::given && (p < 0 || p > kMaxExtent)) {
        site.fail(ErrorCode::param, "padding",
                  format("padding is {} on axis {}, needed is a number >= 0", p, i));
      }
    }
  }
}

AxisMap map_axes(const CallSite& site, const TensorDesc& x, int ndim, Layout layout,
                 const char* arg) {
  if (x.rank != ndim + 2 && x.rank != ndim + 1) {
    site.fail(ErrorCode::shape, arg,
              format("{} has {} axes {}, needed are {} (or {} unbatched)", arg, x.rank,
                     shape_text(x), ndim + 2, ndim + 1));
  }
  AxisMap map;
  const int first = x.rank - ndim - 1;
  map.n = first - 1;
  const bool is_first = layout == Layout::channels_first;
  map.c = is_first ? first : x.rank - 1;
  for (int i = 0; i < ndim; ++i) map.spatial[i] = first + i + (is_first ? 1 : 0);
  return map;
}

TensorDesc output_desc(const CallSite& site, const TensorDesc& like, const int64_t* shape, int rank,
                       const TensorDesc* out) {
  double n_elements = 1;
  for (int i = 0; i < rank; ++i) n_elements *= static_cast<double>(shape[i]);
  if (n_elements > static_cast<double>(kMaxElements)) {
    site.fail(ErrorCode::out_of_memory, "x",
              format("x gives an output of shape {}, more than any memory holds",
                     shape_text(shape, rank)));
  }
  TensorDesc desc = contiguous_desc(like.dtype, shape, rank);
  desc.device = like.device;
  if (out == nullptr) return desc;
  if (out->rank != rank || !std::equal(shape, shape + rank, out->shape.begin())) {
    site.fail(ErrorCode::shape, "out",
              format("out has shape {}, needed is {}", shape_text(*out), shape_text(desc)));
  }
  if (out->dtype != like.dtype) {
    site.fail(ErrorCode::dtype, "out",
              format("out is {}, needed is {} as x", name_of(out->dtype), name_of(like.dtype)));
  }
  if (!(out->device == like.device)) {
    site.fail(ErrorCode::device, "out", "out is on another device than x");
  }
  return *out;
}

}  // namespace swath
