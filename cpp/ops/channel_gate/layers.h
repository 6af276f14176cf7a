// A gate over channels as one or two layers on the channels' means.
#pragma once

#include <vector>

#include <swath/ops/gates.h>

#include "core/operator.h"
#include "ops/channel_gate/problem.h"
#include "ops/common/geometry.h"

namespace swath {

/// Indices are those of the weights; -1: the layer has none.
struct GateLayer {
  int w, scale, shift;
  int64_t n_in, n_out, n_taps;
  bool is_taps;
  Activation activation;
};

struct GateWeights {
  const TensorDesc* const* descs;
  int count, first_slot;  // input slot of weight 0

  bool has(int i) const { return i >= 0 && i < count && descs[i] != nullptr; }
};

/// Checks the weights against x with n_channels channels.
std::vector<GateLayer> describe_layers(const CallSite& site, const TensorDesc& x,
                                       int64_t n_channels, ChannelGateKind kind,
                                       const GateWeights& weights);

/// A layer's problem without its activations: weights, scale and shift, copied where they have
/// gaps.
MixProblem layer_problem(PlanImpl& plan, const GateLayer& layer, const GateWeights& weights,
                         DType dtype, int64_t n_batch);

/// Appends a forward or backward step of a layer.
void add_mix_step(PlanImpl& plan, const std::string& op, const MixProblem& problem);

/// Appends du = dg act'(raw scale + shift) scale, and the gradients of scale and shift; `layer` is
/// the forward's problem with raw kept.
struct SlopeStep {
  MixProblem layer;
  ArrayRef dg, du;
  bool has_dscale = false, has_dshift = false;
  ArrayRef dscale{}, dshift{};
};
void add_slope_step(PlanImpl& plan, const SlopeStep& step);

}  // namespace swath
