// The convolution and its gradients as products of spectra.
#include <algorithm>

#include "ops/common/partial_sums.h"
#include "ops/long_conv2d/call.h"
#include "ops/plane_fft/compose.h"

namespace swath {
namespace {

constexpr int64_t kMostParts = 16;  // partial sums over the batch

/// Where the arrays lie in the transform of one axis. The length is such that sums that wrap
/// around only reach points that nobody reads.
struct AxisPlan {
  int64_t length;
  PlaneSpan u, k, y;  // y is also where dy lies for dk
  PlaneSpan dy, du;   // for du
};

AxisPlan plan_circular(const LongAxis& a) {
  const PlaneSpan whole{a.n, 0, a.n, 0}, taps{a.taps, 0, a.taps, 0};
  const int64_t linear = good_fft_length(a.n + a.taps - 1);
  if (fft_flops(a.n) <= fft_flops(linear)) return {a.n, whole, taps, whole, whole, whole};
  // The signal once around and K - 1 samples more, before it for y and after it for du.
  const int64_t extra = a.taps - 1, all = a.n + extra;
  return {linear, {a.n, (a.n - extra) % a.n, all, 0}, taps, {a.n, 0, a.n, extra}, {a.n, 0, all, 0},
          whole};
}

AxisPlan plan_axis(const LongAxis& a) {
  if (a.is_circular) return plan_circular(a);
  // Taps that meet the signal for some output.
  const int64_t first = std::max<int64_t>(0, a.offset - a.n + 1);
  const int64_t last = std::min(a.taps, a.n_out + a.offset);
  const int64_t taps = last - first, offset = a.offset - first;
  const int64_t length = good_fft_length(std::max(a.n + taps - 1 - offset, offset + a.n_out));
  const PlaneSpan u{a.n, 0, a.n, 0}, y{a.n_out, 0, a.n_out, offset};
  return {length, u, {a.taps, first, taps, 0}, y, y, u};
}

/// Steps of one call.
class FftSteps {
 public:
  FftSteps(PlanImpl& plan, const LongConv2dCall& call)
      : plan_(plan), call_(call), axis_{plan_axis(call.axis[0]), plan_axis(call.axis[1])} {}

  ArrayRef add_spectrum(const Operand& k) const {
    auto step = make(PlaneJob::spectrum, 1);
    step->a = {plane_array(k, 1, 2), {axis_[0].k, axis_[1].k}};
    const ArrayRef spectra = step->spectra = reserve_spectra(plan_, *step);
    add_plane_step(plan_, call_.site.op, std::move(step), 1);
    return spectra;
  }

  void add_product(const Operand& u, const ArrayRef& spectra, const Operand& y) const {
    auto step = make(PlaneJob::product, call_.n_batch());
    step->a = {planes(u), {axis_[0].u, axis_[1].u}};
    step->out = {planes(y), {axis_[0].y, axis_[1].y}};
    step->spectra = spectra;
    add_plane_step(plan_, call_.site.op, std::move(step), 2);
  }

  void add_input_grad(const Operand& dy, const ArrayRef& spectra, const Operand& du) const {
    auto step = make(PlaneJob::product, call_.n_batch());
    step->a = {planes(dy), {axis_[0].dy, axis_[1].dy}};
    step->out = {planes(du), {axis_[0].du, axis_[1].du}};
    step->spectra = spectra;
    step->is_conjugate = true;
    add_plane_step(plan_, call_.site.op, std::move(step), 2);
  }

  void add_kernel_grad(const Operand& dy, const Operand& u, const Operand& dk) const {
    const auto is_whole = [](const PlaneSpan& taps) { return taps.count == taps.n; };
    if (!is_whole(axis_[0].k) || !is_whole(axis_[1].k)) add_zeros(plan_, dk);
    auto cross = make(PlaneJob::cross, call_.n_batch());
    cross->n_parts = std::min(kMostParts, call_.n_batch());
    // Whole parts: an empty one would be read before it is written.
    cross->n_parts = (call_.n_batch() + cross->part_size() - 1) / cross->part_size();
    cross->a = {planes(dy), {axis_[0].y, axis_[1].y}};
    cross->b = {planes(u), {axis_[0].u, axis_[1].u}};
    const ArrayRef spectra = cross->spectra = reserve_spectra(plan_, *cross);
    const int64_t n_parts = cross->n_parts;
    add_plane_step(plan_, call_.site.op, std::move(cross), 2);
    auto sum = make(PlaneJob::sum, 1);
    sum->n_parts = n_parts;
    sum->spectra = spectra;
    sum->out = {plane_array(dk, 1, 2), {axis_[0].k, axis_[1].k}};
    add_plane_step(plan_, call_.site.op, std::move(sum), 1);
  }

 private:
  std::shared_ptr<PlaneStep> make(PlaneJob job, int64_t n_batch) const {
    return make_plane_step(job, call_.u.dtype, axis_[0].length, axis_[1].length, n_batch,
                           call_.n_channels());
  }
  PlaneArray planes(const Operand& x) const {
    return plane_array(x, call_.map.spatial[0], call_.map.spatial[1]);
  }

  PlanImpl& plan_;
  const LongConv2dCall& call_;
  AxisPlan axis_[2];
};

}  // namespace

void add_fft(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
             const Operand& y) {
  const FftSteps steps(plan, call);
  steps.add_product(arrays.u, steps.add_spectrum(arrays.k), y);
}

void add_fft_backward(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
                      const Operand& dy, const Operand& du, const Operand& dk) {
  const FftSteps steps(plan, call);
  if (du.desc != nullptr) steps.add_input_grad(dy, steps.add_spectrum(arrays.k), du);
  if (dk.desc != nullptr) steps.add_kernel_grad(dy, arrays.u, dk);
}

}  // namespace swath
