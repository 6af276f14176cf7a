#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

/// gate(b): an activation, or the asymmetric Gaussian of learned attention maps
///   b < mu: height exp(-left (b - mu)^2), else 1 + (height - 1) exp(-right (b - mu)^2).
struct Gate {
  Activation kind = Activation::sigmoid;  // none: b itself
  double value = 0;                       // of the activation
  bool is_asym_gauss = false;
  double height = 1.1, mu = 2, left = 1, right = 1;
};

struct GateMulParams {
  Activation activation = Activation::none;
  double activation_value = 0;
  Gate gate{};
  int64_t tile = 1;
  Layout layout = Layout::channels_first;  // where the channels are that tile repeats
  std::string name = "gate_mul";           // the public function's name, for error texts
};

/// y = activation(a) * gate(b) + add, b with C / tile channels. Slots: a, b, add.
SWATH_API Plan plan_gate_mul(const TensorDesc& a, const TensorDesc& b, const TensorDesc* add,
                             const GateMulParams& params, const PlanOptions& options = {});

/// Which gradients a backward computes; its outputs are these, in this order.
struct GateMulNeeds {
  bool a = true, b = true, add = false;
  bool gate = false;  // (height, mu, left, right) of the asymmetric Gaussian, one array of four
};

/// Slots: dy, a, b, add.
SWATH_API Plan plan_gate_mul_backward(const TensorDesc& dy, const TensorDesc& a,
                                      const TensorDesc& b, const TensorDesc* add,
                                      const GateMulParams& params, const GateMulNeeds& needs,
                                      const PlanOptions& options = {});

struct SpatialGateParams {
  int ndim = 2;  // spatial axes
  Layout layout = Layout::channels_first;
  bool is_softmax = false;  // softmax over the positions instead of the sigmoid
  bool residual = true;     // of the softmax gate: y = x * softmax + x
  std::string name = "spatial_gate";
};

/// y = x * gate(logits): logits (N, 1, *S) and the sigmoid, or (N, G, *S) and the softmax over all
/// positions, group g for the channels [g C/G, (g + 1) C/G). Slots: x, logits.
SWATH_API Plan plan_spatial_gate(const TensorDesc& x, const TensorDesc& logits,
                                 const SpatialGateParams& params, const PlanOptions& options = {});

/// Which gradients the two-input gates compute; the outputs are these, in this order.
struct PairNeeds {
  bool first = true, second = true;
};

/// Slots: dy, x, logits. Outputs: dx, dlogits.
SWATH_API Plan plan_spatial_gate_backward(const TensorDesc& dy, const TensorDesc& x,
                                          const TensorDesc& logits, const SpatialGateParams& params,
                                          const PairNeeds& needs, const PlanOptions& options = {});

struct BranchSelectParams {
  Layout layout = Layout::channels_first;
  std::string name = "branch_select";
};

/// y = sum over branches m of softmax_m(logits) branches[m]; branches (M, N, C, *S), logits
/// (N, M, C); N may be missing in both. Slots: branches, logits.
SWATH_API Plan plan_branch_select(const TensorDesc& branches, const TensorDesc& logits,
                                  const BranchSelectParams& params,
                                  const PlanOptions& options = {});

/// Slots: dy, branches, logits. Outputs: dbranches, dlogits.
SWATH_API Plan plan_branch_select_backward(const TensorDesc& dy, const TensorDesc& branches,
                                           const TensorDesc& logits,
                                           const BranchSelectParams& params, const PairNeeds& needs,
                                           const PlanOptions& options = {});

enum class ChannelGateKind : uint8_t { eca, se, cca, mean_std };

struct ChannelGateParams {
  ChannelGateKind kind = ChannelGateKind::eca;
  int ndim = 2;  // spatial axes
  Layout layout = Layout::channels_first;
  std::string name = "channel_gate";
};

inline constexpr int kMaxGateWeights = 4;

/// y = x * g[n, c], g made of the means (and deviations) of x's channels. The weights by kind, null
/// where left out: eca (w), se (w1, b1, w2, b2), cca (w, b), mean_std (w, scale, shift).
/// Slots: x, then the weights.
SWATH_API Plan plan_channel_gate(const TensorDesc& x, const TensorDesc* const* weights,
                                 int n_weights, const ChannelGateParams& params,
                                 const PlanOptions& options = {});

/// Slots: dy, x, then the weights. Outputs: dx if needed, then, if needed, a gradient for every
/// weight that was given.
SWATH_API Plan plan_channel_gate_backward(const TensorDesc& dy, const TensorDesc& x,
                                          const TensorDesc* const* weights, int n_weights,
                                          const ChannelGateParams& params, const PairNeeds& needs,
                                          const PlanOptions& options = {});

}  // namespace swath
