// What a call of dynamic convolution must fulfil.
#include <algorithm>

#include "core/format.h"
#include "ops/dynamic_conv/call.h"

namespace swath {
namespace {

/// Positions first where the channels are last.
const char* axes_text(const DynamicConvParams& p) {
  const bool is_last = p.layout == Layout::channels_last;
  if (p.ndim == 1) return is_last ? "(B, T, H, K) or (H, K)" : "(B, H, K, T) or (H, K)";
  return is_last ? "(N, Ho, Wo, G, kh*kw)" : "(N, G, kh*kw, Ho, Wo)";
}

int first_position_axis(const DynamicCall& call) {
  const int first = call.map.n < 0 ? 0 : 1;
  return call.params.layout == Layout::channels_last ? first : first + 2;
}
int group_axis(const DynamicCall& call) {
  if (call.is_static) return 0;
  const int first = call.map.n < 0 ? 0 : 1;
  return call.params.layout == Layout::channels_last ? first + call.params.ndim : first;
}

void check_rank(const CallSite& site, DynamicCall& call) {
  const TensorDesc& w = call.weight;
  const int ndim = call.params.ndim, needed = call.x.rank + 1;
  call.is_static = ndim == 1 && w.rank == 2;
  if (call.is_static || w.rank == needed) return;
  site.fail(ErrorCode::shape, "weight",
            format("weight has {} axes {}, needed is {}{} (x.shape={})", w.rank, shape_text(w),
                   axes_text(call.params), call.map.n < 0 ? " without its first axis" : "",
                   shape_text(call.x)));
}

void check_groups(const CallSite& site, DynamicCall& call) {
  const int64_t n_channels = call.x.shape[call.map.c];
  call.n_groups = call.weight.shape[group_axis(call)];
  if (call.n_groups < 1 || n_channels % call.n_groups != 0) {
    site.fail(ErrorCode::shape, "weight",
              format("weight has {} {}, needed is a divisor of x's {} channels (x.shape={}, "
                     "weight.shape={})",
                     call.n_groups, call.params.ndim == 1 ? "heads" : "groups", n_channels,
                     shape_text(call.x), shape_text(call.weight)));
  }
  call.n_members = n_channels / call.n_groups;
}

Extents square_kernel(const CallSite& site, int64_t n_taps) {
  int64_t k = 0;
  while ((k + 1) * (k + 1) <= n_taps) ++k;
  if (k * k != n_taps || k == 0) {
    site.fail(ErrorCode::param, "kernel",
              format("kernel is None and weight has {} taps, needed is a kernel or a square number "
                     "of taps",
                     n_taps));
  }
  return {k, k, 1};
}

void check_taps(const CallSite& site, DynamicCall& call) {
  const DynamicConvParams& p = call.params;
  const int64_t n_taps = call.weight.shape[group_axis(call) + 1];
  Extents kernel = p.kernel;
  if (p.ndim == 1) kernel[0] = n_taps;
  if (p.ndim == 2 && !p.has_kernel) kernel = square_kernel(site, n_taps);
  check_window(site, p.ndim, kernel, p.ndim == 1 ? "weight" : "kernel", p.stride, p.dilation,
               p.padding);
  if (p.ndim == 2 && (kernel[0] > n_taps || kernel[0] * kernel[1] != n_taps)) {
    site.fail(ErrorCode::shape, "weight",
              format("weight has {} taps, needed are {} x {} (weight.shape={})", n_taps, kernel[0],
                     kernel[1], shape_text(call.weight)));
  }
  for (int i = 0; p.needs_odd_kernel && i < p.ndim; ++i) {
    if (kernel[i] % 2 == 1) continue;
    site.fail(ErrorCode::param, "padding",
              format("padding is None and the kernel has {} taps on axis {}, needed is an odd "
                     "number or a padding",
                     kernel[i], i));
  }
  for (int i = 0; i < p.ndim; ++i) {
    DynamicAxis& axis = call.axis[2 - p.ndim + i];
    axis.kernel = kernel[i];
    axis.stride = p.stride[i];
    axis.dilation = p.dilation[i];
  }
}

void check_positions(const CallSite& site, DynamicCall& call, int64_t n_history) {
  const int ndim = call.params.ndim;
  for (int i = 0; i < ndim; ++i) {
    DynamicAxis& axis = call.axis[2 - ndim + i];
    const Window window{axis.kernel, axis.stride, axis.dilation};
    axis.x = call.x.shape[call.map.spatial[i]];
    const auto pad = resolve_padding(call.params.padding, i, axis.x, window);
    axis.pad = pad[0];
    if (n_history == kNoStream) {
      axis.y = output_length(site, i, axis.x, pad, window);
    } else {
      axis.pad += n_history;
      axis.y = std::max<int64_t>(0, axis.x + axis.pad + pad[1] - axis.kernel + 1);
    }
    call.y_shape[call.map.spatial[i]] = axis.y;
    if (call.is_static) continue;
    const int at = first_position_axis(call) + i;
    if (call.weight.shape[at] == axis.y) continue;
    site.fail(
        ErrorCode::shape, "weight",
        format("weight has {} positions on axis {}, needed are {}, as many as the output has "
               "(weight.shape={}, x.shape={})",
               call.weight.shape[at], at, axis.y, shape_text(call.weight), shape_text(call.x)));
  }
}

}  // namespace

DynamicCall describe_dynamic(const TensorDesc& x, const TensorDesc& weight,
                             const DynamicConvParams& params, int64_t n_history) {
  const CallSite site{params.name};
  check_floating(site, x);
  DynamicCall call(params, x, weight);
  call.map = map_axes(site, x, params.ndim, params.layout, "x");
  check_same_kind(site, x, weight, "weight");
  call.y_shape = x.shape;
  check_rank(site, call);
  if (call.map.n >= 0) {
    call.n_batch = x.shape[0];
    if (!call.is_static && weight.shape[0] != call.n_batch) {
      site.fail(ErrorCode::shape, "weight",
                format("weight has {} samples, x has {} (weight.shape={}, x.shape={})",
                       weight.shape[0], call.n_batch, shape_text(weight), shape_text(x)));
    }
  }
  check_groups(site, call);
  check_taps(site, call);
  check_positions(site, call, n_history);
  return call;
}

DynamicArray DynamicCall::image(const TensorDesc& desc, const ArrayRef& ref) const {
  const int64_t c = desc.strides[map.c];
  DynamicArray a{.ref = ref};
  a.n = map.n < 0 ? 0 : desc.strides[map.n];
  a.g = params.is_interleaved ? c : c * n_members;
  a.m = params.is_interleaved ? c * n_groups : c;
  if (params.ndim == 2) a.h = desc.strides[map.spatial[0]];
  a.w = desc.strides[map.spatial[params.ndim - 1]];
  return a;
}

DynamicArray DynamicCall::taps(const TensorDesc& desc, const ArrayRef& ref) const {
  DynamicArray a{.ref = ref};
  const int g = group_axis(*this);
  a.g = desc.strides[g];
  a.m = desc.strides[g + 1];
  if (is_static) return a;
  a.n = map.n < 0 ? 0 : desc.strides[0];
  const int position = first_position_axis(*this);
  if (params.ndim == 2) a.h = desc.strides[position];
  a.w = desc.strides[position + params.ndim - 1];
  return a;
}

DynamicProblem base_problem(const DynamicCall& call, DynamicRole role) {
  DynamicProblem p;
  p.dtype = call.x.dtype;
  p.role = role;
  p.softmax = call.params.softmax;
  p.renormalize = p.softmax && call.params.renormalize_padding;
  p.n_batch = call.n_batch;
  p.n_groups = call.n_groups;
  p.n_members = call.n_members;
  p.axis[0] = call.axis[0];
  p.axis[1] = call.axis[1];
  const bool reads_taps = role == DynamicRole::forward || role == DynamicRole::input_grad;
  p.is_packed = call.is_static && !p.renormalize && reads_taps;
  return p;
}

}  // namespace swath
