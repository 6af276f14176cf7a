// What a call of long_conv means: describe's findings, and the steps that both directions use.
#pragma once

#include <memory>

#include <swath/ops/long_conv.h>

#include "core/operator.h"
#include "ops/common/geometry.h"
#include "ops/long_conv/problem.h"

namespace swath {

/// A legal call. c[t] = sum over taps of k[j] v[t - j + offset], reversed taps counted from the
/// end.
struct LongCall {
  CallSite site;
  const LongConvArrays& arrays;
  const LongConvParams& params;
  AxisMap map;
  int64_t n_batch = 1, n_channels = 0, length = 0;  // of u
  int64_t n_heads = 0, n_given_taps = 0;            // of k
  bool is_periodic = false, is_masked = false;
  /// The taps that can meet an element of u: [first_tap, first_tap + n_taps) in the order of the
  /// sum, and the output of that sum which is the first one of the call.
  bool is_reversed = false;
  int64_t first_tap = 0, n_taps = 0, first_output = 0;
  int64_t n_out = 0;

  LongCall(const LongConvArrays& a, const LongConvParams& p);

  /// Shape of the result, in u's layout.
  std::array<int64_t, kMaxRank> output_shape() const;
  RowArray rows(const TensorDesc* desc, int slot) const;
  RowArray per_channel(const TensorDesc* desc, int slot) const;
  RowSource input() const;  // v = u pre_gate

 private:
  void describe_taps();
  void check_mask() const;
  void check_extras() const;
};

/// Appends a step, with the tables that the chosen kernel needs.
void add_long_step(PlanImpl& plan, const std::string& op, const LongProblem& problem,
                   double cost_seconds);
/// Appends the spectra of a problem whose method is chosen, unless it takes the taps as they are.
void add_long_spectrum(PlanImpl& plan, const std::string& op, LongProblem& problem);
/// Appends the rows, and before them the spectra if they are not an input.
void add_long_rows(PlanImpl& plan, const std::string& op, LongProblem problem);

/// Adds steps, with the tables that the chosen kernel needs.
class LongSteps {
 public:
  LongSteps(PlanImpl& plan, const LongCall& call) : plan_(plan), call_(call) {}

  /// What all steps of the call share.
  LongProblem base() const;
  /// The taps of the sum; if the call is masked, appends the step that makes them.
  RowSource taps();
  /// Appends the spectra (unless the taps are used as they are) and the rows of a problem whose
  /// method is chosen.
  void add_rows(LongProblem problem);
  void add_spectrum(LongProblem& problem);
  /// dk of the problem's u, dc and taps.
  void add_tap_gradient(LongProblem problem);
  void add(const LongProblem& problem, double cost_seconds);

 private:
  bool is_masked_direct() const;

  PlanImpl& plan_;
  const LongCall& call_;
};

}  // namespace swath
