// Parameters that several operators share.
#pragma once

#include <array>
#include <cstdint>

#include <swath/plan.h>
#include <swath/tensor.h>

namespace swath {

enum class Layout : uint8_t { channels_first, channels_last };
enum class PaddingMode : uint8_t { zeros, reflect, replicate, circular, partial };
/// `given`: the pairs in Padding::pairs; the others are computed from the shapes.
enum class PaddingRule : uint8_t { given, valid, same, same_tf, causal };

enum class Activation : uint8_t {
#define SWATH_ACTIVATION(name, value) name,
#include <swath/activation.def>
#undef SWATH_ACTIVATION
};

using Extents = std::array<int64_t, 3>;  // the first `ndim` entries count

struct Padding {
  PaddingRule rule = PaddingRule::given;
  std::array<std::array<int64_t, 2>, 3> pairs{};  // (before, after) per spatial axis
};

struct PlanOptions {
  bool explain = false;             // keep the reasons why kernels were passed over
  bool in_place = false;            // the output is the input's own memory, with the same strides
  const TensorDesc* out = nullptr;  // strides of the given output; null: contiguous
};

}  // namespace swath
