#include "ops/dynamic_stream.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>

#include <swath/executor.h>

#include "bindings.h"
#include "core/format.h"
#include "executor.h"
#include "explain.h"
#include "registry.h"

namespace swath::python {
namespace {

constexpr const char* kStreamName = "DynamicConv1d";
constexpr const char* kInitName = "DynamicConv1d.init_state";
constexpr const char* kStepName = "DynamicConv1d.step";
constexpr const char* kFlushName = "DynamicConv1d.flush";

int channel_axis(Layout layout) { return layout == Layout::channels_first ? 1 : 2; }
int time_axis(Layout layout) { return 3 - channel_axis(layout); }

}  // namespace

std::unique_ptr<DynamicConvPlan> DynamicConvPlan::make(py::handle weight,
                                                       const DynamicOptions& options,
                                                       py::handle threads) {
  auto plan = std::make_unique<DynamicConvPlan>();
  ArrayArg array;
  read_array(weight, {kStreamName, "weight"}, Accept::floats, array);
  plan->weight_ = Buffer(array.view);
  plan->params_ = read_dynamic(1, kStreamName, options);
  plan->n_threads_ = read_threads(threads, {kStreamName, "threads"});
  const TensorDesc& w = plan->weight_->desc;
  if (w.rank != 2) {
    throw Error(ErrorCode::shape, kStreamName, "weight",
                format("weight has {} axes {}, needed is (H, K)", w.rank, shape_text(w)));
  }
  // Refuses at once what no x could fit.
  plan->plan_for(plan->params_.layout == Layout::channels_first
                     ? std::vector<int64_t>{0, w.shape[0], w.shape[1]}
                     : std::vector<int64_t>{0, w.shape[1], w.shape[0]});
  plan->set_made();
  return plan;
}

template <class MakePlan>
Plan DynamicConvPlan::cached(PlanCache& cache, const Call& call, const PlanCache::Key& key,
                             bool is_common, const MakePlan& make_plan) const {
  const bool is_cached = is_common && !is_kernel_forced() && !is_explaining();
  if (is_cached) {
    if (std::optional<Plan> known = cache.find(key)) return *std::move(known);
  }
  Plan plan = make_plan();
  if (!is_cached) return plan;
  if (key.extra == nullptr) plan = plan.prepack(call.pointers());
  cache.insert(key, plan);
  return plan;
}

py::object DynamicConvPlan::run(py::handle x, py::handle out, py::handle threads) const {
  Call call(kStreamName);
  const TensorDesc& x_desc = call.input(0, x, "x");
  call.constant(1, *weight_);
  const int n_threads = threads_of_call(kStreamName, threads);
  call.out(out);
  const PlanOptions options = call.options();
  return call.run(
      cached(calls_, call, {&x_desc, nullptr, options.out, false}, true,
             [&] { return plan_dynamic_conv(x_desc, weight_->desc, params_, options); }),
      n_threads);
}

py::tuple DynamicConvPlan::state_parts(py::handle batch, py::handle channels) const {
  constexpr ArgName kBatch{kInitName, "batch"}, kChannels{kInitName, "channels"};
  const TensorDesc& w = weight_->desc;
  const int64_t n_batch = read_int(batch, kBatch);
  if (n_batch < 0) refuse(kBatch, batch, "a number >= 0");
  int64_t n_channels = -1;
  if (!channels.is_none()) {
    n_channels = read_int(channels, kChannels);
    if (n_channels < 0 || n_channels % w.shape[0] != 0) {
      refuse(kChannels, channels, format("a multiple of the {} heads", w.shape[0]));
    }
  }
  const bool is_first = params_.layout == Layout::channels_first;
  return py::make_tuple(name_of(w.dtype), is_first ? "channels_first" : "channels_last",
                        n_taps() - 1, n_batch, n_channels, 0, py::bytes());
}

std::array<int64_t, 2> DynamicConvPlan::pads() const {
  switch (params_.padding.rule) {
    case PaddingRule::given:
      return params_.padding.pairs[0];
    case PaddingRule::valid:
      return {0, 0};
    case PaddingRule::causal:
      return {n_taps() - 1, 0};
    default:
      return {(n_taps() - 1) / 2, n_taps() - 1 - (n_taps() - 1) / 2};
  }
}

void DynamicConvPlan::check_state(const TensorDesc& x, const DynamicState& state) const {
  if (state.columns != n_taps() - 1 || state.layout != params_.layout ||
      state.dtype != weight_->desc.dtype) {
    throw Error(ErrorCode::param, kStepName, "state",
                "state is of another plan, needed is one of this plan's init_state");
  }
  if (x.rank != 3) {
    throw Error(ErrorCode::shape, kStepName, "x",
                format("x has {} axes {}, needed are 3", x.rank, shape_text(x)));
  }
  const int64_t n_channels = x.shape[channel_axis(params_.layout)];
  if (x.shape[0] == state.batch && (state.channels < 0 || n_channels == state.channels)) return;
  throw Error(ErrorCode::shape, kStepName, "x",
              format("x has {} samples of {} channels {}, needed are the state's {} of {}",
                     x.shape[0], n_channels, shape_text(x), state.batch,
                     state.channels < 0 ? n_channels : state.channels));
}

const TensorDesc& DynamicConvPlan::read_weight(Call& call, py::handle weight,
                                               const TensorDesc& x) const {
  if (weight.is_none()) {
    call.constant(1, *weight_);
    return weight_->desc;
  }
  const TensorDesc& w = call.input(1, weight, "weight");
  const int tap_axis = params_.layout == Layout::channels_first ? 2 : 3;
  if (w.rank != 4 || w.shape[tap_axis] != n_taps()) {
    throw Error(ErrorCode::shape, kStepName, "weight",
                format("weight has shape {}, needed is {} with {} taps (x.shape={})", shape_text(w),
                       params_.layout == Layout::channels_first ? "(B, H, K, t)" : "(B, t, H, K)",
                       n_taps(), shape_text(x)));
  }
  return w;
}

py::object DynamicConvPlan::step(py::handle x, DynamicState& state, py::handle weight,
                                 py::handle out, py::handle threads, bool is_end) const {
  const char* op = is_end ? kFlushName : kStepName;
  Call call(op);
  const TensorDesc& x_desc = call.input(0, x, "x");
  check_state(x_desc, state);
  const TensorDesc& w = read_weight(call, weight, x_desc);
  const int n_threads = threads_of_call(op, threads);
  call.out(out);
  const PlanOptions options = call.options();
  const auto [left, right] = pads();
  const int64_t reach = n_taps() - 1, ahead = reach - left;
  const int64_t n_history = std::min(state.n_seen, reach);
  // The first output that is left begins its window so many elements before this chunk.
  const int64_t n_done = state.n_seen > 0 ? std::max<int64_t>(0, state.n_seen - ahead) : 0;
  int64_t n_before = state.n_seen + left - n_done;
  // Outputs of padding alone come with the first element.
  const bool is_empty = x_desc.shape[time_axis(params_.layout)] == 0;
  if (is_empty && !is_end) n_before = std::min(n_before, reach);
  const int64_t n_channels = x_desc.shape[channel_axis(params_.layout)];
  const TensorDesc history = state.history_desc(n_channels);
  DynamicConvParams params = params_;
  params.name = op;
  params.padding = {PaddingRule::given, {{{n_before - n_history, is_end ? right : 0}}}};
  const TensorDesc* own = weight.is_none() ? nullptr : &w;
  const bool is_common = !is_end && n_history == reach && n_before == reach;
  const Plan plan = cached(steps_, call, {&x_desc, own, options.out, false}, is_common, [&] {
    return plan_dynamic_conv_step(x_desc, w, {&history, n_history}, params, options);
  });
  if (is_explaining()) return call.run(plan, n_threads);
  state.set_channels(n_channels);
  call.constant(2, *state.history);
  py::object y = call.run(plan, n_threads);
  if (!is_end) state.push(call.pointers()[0], x_desc);
  return y;
}

int DynamicConvPlan::threads_of_call(const char* op, py::handle threads) const {
  const int n_threads = read_threads(threads, {op, "threads"});
  return n_threads > 0 ? n_threads : n_threads_;
}

Plan DynamicConvPlan::plan_for(const std::vector<int64_t>& shape) const {
  check_extents({kStreamName, "shape"}, static_cast<int64_t>(shape.size()), shape.data());
  if (std::any_of(shape.begin(), shape.end(), [](int64_t n) { return n < 0; })) {
    throw Error(ErrorCode::shape, kStreamName, "shape", "shape has a negative extent");
  }
  const TensorDesc x =
      contiguous_desc(weight_->desc.dtype, shape.data(), static_cast<int>(shape.size()));
  return plan_dynamic_conv(x, weight_->desc, params_);
}

size_t DynamicConvPlan::workspace_bytes(const std::vector<int64_t>& shape) const {
  const int limit = combined_thread_limit(n_threads_);
  const int n_threads = limit > 0 ? std::min(limit, num_threads()) : num_threads();
  const Plan plan = plan_for(shape);
  return plan.workspace_bytes(n_threads) - plan.packed_bytes();
}

namespace {

std::unique_ptr<DynamicConvPlan> make_plan(py::handle weight, py::handle padding,
                                           py::handle softmax, py::handle renormalize_padding,
                                           py::handle head_map, py::handle layout,
                                           py::handle threads) {
  return DynamicConvPlan::make(
      weight, {{}, {}, {}, padding, softmax, renormalize_padding, head_map, layout}, threads);
}

}  // namespace

void bind_dynamic_stream(py::module_& m) {
  py::class_<DynamicState>(m, "DynamicState")
      .def(py::init(&DynamicState::make), py::arg("dtype"), py::arg("layout"), py::arg("columns"),
           py::arg("batch"), py::arg("channels"), py::arg("n_seen"), py::arg("data"),
           py::pos_only())
      .def("_parts", [](const DynamicState& self) { return Made::checked(self).parts(); })
      .def_property_readonly("batch",
                             [](const DynamicState& self) { return Made::checked(self).batch; })
      .def_property_readonly("channels",
                             [](const DynamicState& self) -> std::optional<int64_t> {
                               const int64_t n = Made::checked(self).channels;
                               return n < 0 ? std::nullopt : std::optional(n);
                             })
      .def_property_readonly("n_seen",
                             [](const DynamicState& self) { return Made::checked(self).n_seen; });

  using Shape = std::vector<int64_t>;
  py::class_<DynamicConvPlan>(m, "DynamicConvPlan")
      .def(py::init(&make_plan), py::arg("weight"), py::arg("padding"), py::arg("softmax"),
           py::arg("renormalize_padding"), py::arg("head_map"), py::arg("layout"),
           py::arg("threads"), py::pos_only())
      .def(
          "__call__",
          [](const DynamicConvPlan& self, py::handle x, py::handle out, py::handle threads) {
            return Made::checked(self).run(x, out, threads);
          },
          py::arg("x"), py::kw_only(), py::arg("out") = py::none(), py::arg("threads") = py::none(),
          "Convolves a whole sequence.")
      .def(
          "_state_parts",
          [](const DynamicConvPlan& self, py::handle batch, py::handle channels) {
            return Made::checked(self).state_parts(batch, channels);
          },
          py::arg("batch"), py::arg("channels"), py::pos_only())
      .def(
          "_step",
          [](const DynamicConvPlan& self, py::handle x, DynamicState& state, py::handle weight,
             py::handle out, py::handle threads, bool is_end) {
            return Made::checked(self).step(x, Made::checked(state), weight, out, threads, is_end);
          },
          py::arg("x"), py::arg("state"), py::arg("weight"), py::arg("out"), py::arg("threads"),
          py::arg("is_end"), py::pos_only())
      .def(
          "workspace_bytes",
          [](const DynamicConvPlan& self, const Shape& shape) {
            return Made::checked(self).workspace_bytes(shape);
          },
          py::arg("shape"), "Scratch memory of one call on an x of this shape.")
      .def(
          "flops",
          [](const DynamicConvPlan& self, const Shape& shape) {
            return Made::checked(self).plan_for(shape).flops();
          },
          py::arg("shape"), "Floating-point operations of one call on an x of this shape.")
      .def(
          "bytes",
          [](const DynamicConvPlan& self, const Shape& shape) {
            return Made::checked(self).plan_for(shape).bytes();
          },
          py::arg("shape"), "Bytes of all arrays of one call on an x of this shape.")
      .def("_weight",
           [](const DynamicConvPlan& self) { return py::cast(Made::checked(self).weight()); });
}

}  // namespace swath::python
