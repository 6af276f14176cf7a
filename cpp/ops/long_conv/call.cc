#include "ops/long_conv/call.h"

#include <algorithm>

#include "core/format.h"

namespace swath {

LongCall::LongCall(const LongConvArrays& a, const LongConvParams& p)
    : site{p.name}, arrays(a), params(p) {
  const TensorDesc &u = *a.u, &k = *a.k;
  check_floating(site, u, "u");
  map = map_axes(site, u, 1, p.layout, "u");
  check_same_kind(site, u, k, "k", "u");
  if (k.rank != 2) {
    site.fail(ErrorCode::shape, "k",
              format("k has {} axes {}, needed are 2: heads and taps", k.rank, shape_text(k)));
  }
  n_batch = map.n >= 0 ? u.shape[map.n] : 1;
  n_channels = u.shape[map.c];
  length = u.shape[map.spatial[0]];
  n_heads = k.shape[0];
  n_given_taps = k.shape[1];
  if (n_given_taps < 1) {
    site.fail(ErrorCode::shape, "k", format("k has no taps (k.shape={})", shape_text(k)));
  }
  if (n_heads == 0 ? n_channels != 0 : n_channels % n_heads != 0) {
    site.fail(ErrorCode::shape, "k",
              format("k has {} heads, needed is a divisor of u's {} channels (u.shape={})", n_heads,
                     n_channels, shape_text(u)));
  }
  is_masked = a.response != nullptr;
  describe_taps();
  if (is_masked) check_mask();
  check_extras();
}

void LongCall::describe_taps() {
  const bool has_sides = params.mode == LongMode::same || params.mode == LongMode::two_sided;
  if (params.has_offset && params.mode != LongMode::two_sided) {
    site.fail(ErrorCode::param, "offset", "offset is given, needed is mode='two_sided' for it");
  }
  if (params.correlate && !has_sides) {
    site.fail(ErrorCode::param, "correlate",
              "correlate=True is given, needed is mode='same' or 'two_sided' for it");
  }
  n_out = length;
  switch (params.mode) {
    case LongMode::causal:
      break;
    case LongMode::circular:
      is_periodic = !is_masked;
      if (length > 0 && n_given_taps > length) {
        site.fail(ErrorCode::shape, "k",
                  format("k has {} taps, at most u's length {} fit in mode='circular'",
                         n_given_taps, length));
      }
      break;
    case LongMode::full:
      n_out = length + n_given_taps - 1;
      break;
    case LongMode::valid:
      first_output = n_given_taps - 1;
      n_out = std::max<int64_t>(0, length - n_given_taps + 1);
      break;
    case LongMode::same:
    case LongMode::two_sided:
      first_output = params.has_offset ? params.offset : (n_given_taps - 1) / 2;
      is_reversed = params.correlate;
      if (is_reversed) first_output = n_given_taps - 1 - first_output;
      break;
  }
  n_taps = n_given_taps;
  if (is_periodic) return;
  const int64_t low = std::max<int64_t>(0, first_output - (length - 1));
  const int64_t high = std::min(n_given_taps - 1, first_output + n_out - 1);
  // If none can, one that adds nothing: no kernel has to know of zero taps.
  first_tap = std::min(low, n_given_taps - 1);
  n_taps = std::max<int64_t>(1, high - first_tap + 1);
  first_output -= first_tap;
}

void LongCall::check_mask() const {
  if (params.mode != LongMode::causal && params.mode != LongMode::circular) {
    site.fail(ErrorCode::param, "freq_mask",
              "freq_mask or n_fft is given, needed is mode='causal' or 'circular' for it");
  }
  const int64_t n = params.n_fft;
  if (params.mode == LongMode::circular && n != length) {
    site.fail(ErrorCode::param, "n_fft",
              format("n_fft is {}, needed is u's length {} in mode='circular'", n, length));
  }
  if (n < length || n < n_given_taps) {
    site.fail(ErrorCode::param, "n_fft",
              format("n_fft is {}, needed is at least u's length {} and k's {} taps", n, length,
                     n_given_taps));
  }
}

void LongCall::check_extras() const {
  const TensorDesc& u = *arrays.u;
  if (arrays.pre_gate != nullptr) check_same_array(site, u, *arrays.pre_gate, "pre_gate", "u");
  const auto check_output = [&](const TensorDesc* x, const char* arg) {
    if (x == nullptr) return;
    check_same_kind(site, u, *x, arg, "u");
    const auto shape = output_shape();
    bool fits = x->rank == u.rank;
    for (int i = 0; fits && i < u.rank; ++i) fits = x->shape[i] == shape[i];
    if (!fits) {
      site.fail(ErrorCode::shape, arg,
                format("{} has shape {}, needed is that of the result, {} (u.shape={})", arg,
                       shape_text(*x), shape_text(shape.data(), u.rank), shape_text(u)));
    }
  };
  check_output(arrays.post_gate, "post_gate");
  check_output(arrays.dy, "dy");
  const auto check_channels = [&](const TensorDesc* x, const char* arg) {
    if (x == nullptr) return;
    check_same_kind(site, u, *x, arg, "u");
    if (x->rank != 1 || x->shape[0] != n_channels) {
      site.fail(ErrorCode::shape, arg,
                format("{} has shape {}, needed is ({},), one for each channel of u (u.shape={})",
                       arg, shape_text(*x), n_channels, shape_text(u)));
    }
  };
  check_channels(arrays.skip, "skip");
  check_channels(arrays.bias, "bias");
  if (arrays.skip != nullptr && n_out != length) {
    site.fail(ErrorCode::param, "skip",
              format("skip is given for a result of length {}, needed is one of u's length {}",
                     n_out, length));
  }
}

std::array<int64_t, kMaxRank> LongCall::output_shape() const {
  std::array<int64_t, kMaxRank> shape = arrays.u->shape;
  shape[map.spatial[0]] = n_out;
  return shape;
}

RowArray LongCall::rows(const TensorDesc* desc, int slot) const {
  RowArray r;
  if (desc == nullptr) return r;
  r.ref = input_ref(slot);
  r.is_present = true;
  r.batch_stride = map.n >= 0 ? desc->strides[map.n] : 0;
  r.channel_stride = desc->strides[map.c];
  r.step = desc->strides[map.spatial[0]];
  return r;
}

RowArray LongCall::per_channel(const TensorDesc* desc, int slot) const {
  RowArray r;
  if (desc == nullptr) return r;
  r.ref = input_ref(slot);
  r.is_present = true;
  r.step = desc->strides[0];
  return r;
}

RowSource LongCall::input() const {
  return {rows(arrays.u, kLongU), rows(arrays.pre_gate, kLongPreGate), length, is_periodic};
}

}  // namespace swath
