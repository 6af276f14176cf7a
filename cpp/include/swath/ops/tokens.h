#pragma once

#include <string>
#include <vector>

#include <swath/ops/common.h>

namespace swath {

/// What a row of the result is made of its sources.
///   sum, mean, max: of the sources; the sum of no source is 0.
///   max_grad: y has x's tokens; the first source that holds the maximum gets g's element.
///   dot: the sum over the channels of x's row times the source row of g.
enum class TokenMode : uint8_t { sum, mean, max, max_grad, dot };
/// Whose token a weight belongs to.
enum class TokenWeight : uint8_t { none, source, row };

/// Which axes of an array are tokens; the last axis is the channels, the others are leading ones,
/// the same for all arrays.
using TokenAxes = std::vector<int>;

struct CombineTokensParams {
  std::string name = "take_tokens";  // the public function's name, for error texts
  TokenMode mode = TokenMode::sum;
  TokenWeight weight = TokenWeight::none;
  TokenAxes x_axes, y_axes, g_axes;
  std::vector<int64_t> y_shape;         // without the channels for `dot`
  int n_weight_axes = 1;                // of the last axes of weights; the others broadcast
  bool weights_are_sums = false;        // weights are float64 for float64, else float32
  bool has_offsets = false;             // else every row has one source
  std::vector<int64_t> table_strides;   // by leading axis: how many tables further, 0 for one table
  std::vector<int64_t> weights_result;  // dot: the shape that the products are summed to
  std::vector<int64_t> places;          // dot: of its last axis, each token's; empty: its own
};

/// Rows of x that are combined into rows of y as tables of indices say.
///
/// Slots: x, offsets, sources, weights, g. `sources` (int64) lists token indices of x (of g for
/// dot), table after table; row r of table t has those from offsets[t (rows + 1) + r] to the next
/// one. Indices are counted in row-major order over the token axes.
SWATH_API Plan plan_combine_tokens(const TensorDesc& x, const TensorDesc* offsets,
                                   const TensorDesc& sources, const TensorDesc* weights,
                                   const TensorDesc* g, const CombineTokensParams& params,
                                   const PlanOptions& options = {});

}  // namespace swath
