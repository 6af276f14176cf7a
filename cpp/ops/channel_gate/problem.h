// What the kernels see that mix the channels' means into gates.
#pragma once

#include <cstdint>

#include <swath/ops/common.h>

#include "core/kernel.h"

namespace swath {

/// One layer of a gate, on accumulators m[n, i] and weights of the storage type without gaps:
///   dense: raw[n, o] = sum over i of w[o, i] m[n, i]
///   taps:  raw[n, o] = sum over t of w[t] m[n, o + t - n_taps / 2], zero outside
/// Forward:  g = act(raw scale[o] + shift[o]); raw itself is kept where keeps_raw.
/// Backward: of du = d raw, dm and dw.
struct MixProblem {
  DType dtype = DType::f32;
  bool is_taps = false, is_backward = false;
  int64_t n_batch = 1, n_in = 1, n_out = 1, n_taps = 1;
  ArrayRef m{}, w{};
  bool has_scale = false, has_shift = false, keeps_raw = false;
  ArrayRef scale{}, shift{}, raw{}, g{};
  int64_t scale_stride = 0, shift_stride = 0;
  Activation activation = Activation::none;
  bool has_dm = false, has_dw = false;
  ArrayRef du{}, dm{}, dw{};
};

}  // namespace swath
