#include "plan.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include <swath/executor.h>

#include "bindings.h"
#include "core/format.h"
#include "executor.h"
#include "explain.h"
#include "registry.h"

namespace swath::python {

ConvPlan::ConvPlan(const char* op, ConvSettings settings, const ConvConstants& constants)
    : op_(op), settings_(std::move(settings)) {
  weight_ = copy_constant(constants.weight, "weight");
  bias_ = copy_constant(constants.bias, "bias");
  scale_ = copy_constant(constants.scale, "scale");
  shift_ = copy_constant(constants.shift, "shift");
}

void ConvPlan::check_constants() const {
  const SlidingConvParams& p = settings_.params;
  const TensorDesc& w = weight_->desc;
  const bool has_kernel = w.rank == p.ndim + 2;
  constexpr int64_t kMaxProbe = 1 << 15;  // beyond, the shape arithmetic is left to the call
  // an empty batch of images that are large enough for any window and padding
  TensorDesc x;
  x.dtype = w.dtype;
  x.rank = p.ndim + 2;
  const int first = p.layout == Layout::channels_first ? 2 : 1;
  for (int i = 0; i < p.ndim; ++i) {
    int64_t dilation = p.dilation[i];
    for (int64_t row = 0; row < p.n_dilation_rows; ++row) {
      dilation = std::max(dilation, p.dilation_per_channel[row * p.ndim + i]);
    }
    const int64_t kernel = has_kernel ? w.shape[2 + i] : 1;
    const int64_t padding = p.padding.pairs[i][0] + p.padding.pairs[i][1];
    if (kernel > kMaxProbe || dilation > kMaxProbe || std::abs(padding) > kMaxProbe) return;
    x.shape[first + i] = kernel * std::max<int64_t>(dilation, 1) + std::abs(padding) + 1;
    if (x.shape[first + i] > kMaxProbe) return;
  }
  int64_t& n_channels = x.shape[p.layout == Layout::channels_first ? 1 : x.rank - 1];
  if (p.has_channels) {
    n_channels = std::max<int64_t>({p.channels[0], p.channels[1], 0});
  } else {
    const int64_t per_group = has_kernel ? w.shape[1] : 0;
    if (std::abs(p.groups) > kMaxProbe || per_group > kMaxProbe) return;
    n_channels = per_group * std::max<int64_t>(p.groups, 0);
  }
  try {
    make_plan(x, nullptr, {});
  } catch (const Error& e) {
    // Dilations per channel may give equal lengths for some x and not for this one.
    const bool depends_on_x = has_kernel && p.n_dilation_rows > 0 &&
                              p.n_dilation_rows == w.shape[0] && e.arg() == "dilation";
    if (!depends_on_x) throw;
  }
}

ConvPlan::Constant ConvPlan::copy_constant(py::handle object, const char* arg) const {
  const bool is_absent = !object || object.is_none();
  if (is_absent && std::string_view(arg) != "weight") return std::nullopt;
  ArrayArg array;
  read_array(object, {op_, arg}, Accept::floats, array);
  return Buffer(array.view);
}

Plan ConvPlan::make_plan(const TensorDesc& x, const TensorDesc* extra,
                         const PlanOptions& options) const {
  return plan_sliding_conv(x, weight_->desc, desc_of(bias_), desc_of(scale_), desc_of(shift_),
                           extra, settings_.params, options);
}

Plan GatedConvPlan::make_plan(const TensorDesc& x, const TensorDesc* extra,
                              const PlanOptions& options) const {
  return plan_gated_conv(x, weight_->desc, desc_of(bias_), desc_of(scale_), desc_of(shift_), extra,
                         {settings_.params, gate_}, options);
}

Plan PartialConvPlan::make_plan(const TensorDesc& x, const TensorDesc* extra,
                                const PlanOptions& options) const {
  return plan_partial_conv(x, weight_->desc, desc_of(bias_), extra, options_.with(settings_.params),
                           options);
}

void ConvPlan::set_constants(Call& call) const {
  const std::pair<int, const Constant*> slots[] = {
      {kConvWeight, &weight_}, {kConvBias, &bias_}, {kConvScale, &scale_}, {kConvShift, &shift_}};
  for (const auto& [slot, constant] : slots) {
    if (*constant) call.constant(slot, **constant);
  }
}

Plan ConvPlan::packed_plan(Call& call, const TensorDesc& x, const TensorDesc* extra) const {
  const PlanOptions options = call.options();
  const bool is_cached = !is_kernel_forced() && !is_explaining();
  const PlanCache::Key key{&x, extra, options.out, options.in_place};
  if (is_cached) {
    if (std::optional<Plan> known = cache_.find(key)) return *std::move(known);
  }
  const Plan plan = make_plan(x, extra, options).prepack(call.pointers());
  if (is_cached) cache_.insert(key, plan);
  return plan;
}

py::object ConvPlan::run(py::handle x, py::handle residual, py::handle out,
                         py::handle threads) const {
  Call call(op_);
  const TensorDesc& x_desc = call.input(kConvX, x, "x");
  const TensorDesc* residual_desc = call.optional_input(kConvResidual, residual, "residual");
  set_constants(call);
  const int n_threads = threads_of_call(threads);
  call.out(out, settings_.params.has_channels ? OutMayBeX::yes : OutMayBeX::no);
  return call.run(packed_plan(call, x_desc, residual_desc), n_threads);
}

py::object PartialConvPlan::run(py::handle x, py::handle mask, py::handle out,
                                py::handle threads) const {
  Call call(op_);
  const TensorDesc& x_desc = call.input(kPartialX, x, "x");
  const TensorDesc* mask_desc =
      mask.is_none() ? nullptr : &call.input(kPartialMask, mask, "mask", Accept::masks);
  set_constants(call);
  const int n_threads = threads_of_call(threads);
  call.out(out);
  return run_partial(call, packed_plan(call, x_desc, mask_desc), n_threads);
}

int ConvPlan::threads_of_call(py::handle threads) const {
  const int n_threads = read_threads(threads, {op_, "threads"});
  return n_threads > 0 ? n_threads : settings_.n_threads;
}

size_t ConvPlan::workspace_bytes(const std::vector<int64_t>& shape) const {
  const int limit = combined_thread_limit(settings_.n_threads);
  const int n_threads = limit > 0 ? std::min(limit, num_threads()) : num_threads();
  const Plan plan = plan_for(shape);
  return plan.workspace_bytes(n_threads) - plan.packed_bytes();
}

Plan ConvPlan::plan_for(const std::vector<int64_t>& shape) const {
  check_extents({op_, "shape"}, static_cast<int64_t>(shape.size()), shape.data());
  if (std::any_of(shape.begin(), shape.end(), [](int64_t n) { return n < 0; })) {
    throw Error(ErrorCode::shape, op_, "shape", "shape has a negative extent");
  }
  const TensorDesc x =
      contiguous_desc(weight_->desc.dtype, shape.data(), static_cast<int>(shape.size()));
  return make_plan(x, nullptr, {});
}

py::dict ConvPlan::arrays() const {
  const std::pair<const char*, const Constant*> all[] = {
      {"weight", &weight_}, {"bias", &bias_}, {"scale", &scale_}, {"shift", &shift_}};
  py::dict result;
  for (const auto& [name, constant] : all) {
    result[name] = *constant ? py::cast(**constant) : py::object(py::none());
  }
  return result;
}

}  // namespace swath::python
