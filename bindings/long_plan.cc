#include "long_plan.h"

#include <pybind11/stl.h>

#include <algorithm>

#include <swath/executor.h>

#include "bindings.h"
#include "executor.h"
#include "explain.h"
#include "registry.h"

namespace swath::python {
namespace {

constexpr const char* kOp = "LongConv";
/// Lengths whose spectra are kept: training, evaluation and a remainder or two.
constexpr size_t kKept = 4;

std::optional<Buffer> copy_constant(py::handle object, const char* arg) {
  if (object.is_none()) return std::nullopt;
  ArrayArg array;
  read_array(object, {kOp, arg}, Accept::floats, array);
  return Buffer(array.view);
}

}  // namespace

LongConvPlan::LongConvPlan(LongConvParams params, const Constants& constants, int64_t length,
                           int n_threads)
    : params_(std::move(params)), n_threads_(n_threads) {
  k_ = copy_constant(constants.k, "k");
  if (!k_) refuse({kOp, "k"}, constants.k, "an array");
  skip_ = copy_constant(constants.skip, "skip");
  bias_ = copy_constant(constants.bias, "bias");
  response_ = read_response(constants.response, k_->desc.dtype, kOp);
  // A probe without rows, of a length that fits any mode unless one is given: refuses at once what
  // no u could fit.
  const TensorDesc& k = k_->desc;
  int64_t n_channels = k.rank > 0 ? k.shape[0] : 0;
  for (const Constant* c : {&skip_, &bias_}) {
    if (*c && (*c)->desc.rank == 1) n_channels = (*c)->desc.shape[0];
  }
  int64_t n = length > 0 ? length : k.rank > 1 ? k.shape[1] : 0;
  if (length == 0 && response_ && params_.mode == LongMode::circular) n = params_.n_fft;
  const bool is_first = params_.layout == Layout::channels_first;
  const TensorDesc u = is_first ? contiguous_desc(k.dtype, {0, n_channels, n})
                                : contiguous_desc(k.dtype, {0, n, n_channels});
  plan_long_conv(describe(u), params_);
  if (length > 0) spectra_for(describe(u));
  keep_block_taps();
}

LongConvArrays LongConvPlan::describe(const TensorDesc& u) const {
  const auto desc_of = [](const Constant& b) { return b ? &b->desc : nullptr; };
  LongConvArrays a;
  a.u = &u;
  a.k = &k_->desc;
  a.skip = desc_of(skip_);
  a.bias = desc_of(bias_);
  a.response = desc_of(response_);
  return a;
}

int64_t LongConvPlan::length_of(const TensorDesc& u) const {
  if (u.rank < 2) return 0;  // refused by the plan
  return u.shape[params_.layout == Layout::channels_first ? u.rank - 1 : u.rank - 2];
}

void LongConvPlan::set_constants(Call& call) const {
  const std::pair<int, const Constant*> slots[] = {
      {kLongK, &k_}, {kLongSkip, &skip_}, {kLongBias, &bias_}, {kLongResponse, &response_}};
  for (const auto& [slot, constant] : slots) {
    if (*constant) call.constant(slot, **constant);
  }
}

LongConvPlan::Spectra LongConvPlan::make_spectra(const TensorDesc& u) const {
  const Plan plan = plan_long_spectrum(describe(u), params_);
  Spectra made{length_of(u), nullptr};
  if (plan.outputs().empty()) return made;
  auto buffer = std::make_shared<Buffer>(plan.outputs()[0]);
  const void* inputs[kLongDy + 1] = {};
  inputs[kLongK] = k_->memory.get();
  if (response_) inputs[kLongResponse] = response_->memory.get();
  void* const outputs[] = {buffer->memory.get()};
  plan.run(inputs, outputs, {.max_threads = combined_thread_limit(n_threads_)});
  made.buffer = std::move(buffer);
  return made;
}

std::optional<LongConvPlan::Spectra> LongConvPlan::known_spectra(int64_t length) const {
  // Their order is that of the kernel that reads them.
  if (is_kernel_forced()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  for (const Spectra& s : kept_) {
    if (s.length == length) return s;
  }
  return std::nullopt;
}

LongConvPlan::Spectra LongConvPlan::spectra_for(const LongConvArrays& a) const {
  if (std::optional<Spectra> known = known_spectra(length_of(*a.u))) return *std::move(known);
  plan_long_conv(a, params_);  // refuses before spectra are made
  Spectra made = make_spectra(*a.u);
  if (is_kernel_forced()) return made;
  const std::lock_guard lock(mutex_);
  if (kept_.size() == kKept) kept_.erase(kept_.begin());
  kept_.push_back(made);
  return made;
}

py::object LongConvPlan::run(py::handle u, py::handle pre_gate, py::handle post_gate,
                             py::handle out, py::handle threads) const {
  Call call(kOp);
  const TensorDesc& u_desc = call.input(kLongU, u, "u");
  LongConvArrays a = describe(u_desc);
  a.pre_gate = call.optional_input(kLongPreGate, pre_gate, "pre_gate");
  a.post_gate = call.optional_input(kLongPostGate, post_gate, "post_gate");
  set_constants(call);
  const int asked = read_threads(threads, {kOp, "threads"});
  call.out(out);
  const Spectra spectra = spectra_for(a);
  if (spectra.buffer != nullptr) {
    a.spectrum = &spectra.buffer->desc;
    call.constant(kLongSpectrum, *spectra.buffer);
  }
  return call.run(plan_long_conv(a, params_, call.options()), asked > 0 ? asked : n_threads_);
}

Plan LongConvPlan::plan_for(const std::vector<int64_t>& shape) const {
  check_extents({kOp, "shape"}, static_cast<int64_t>(shape.size()), shape.data());
  if (std::any_of(shape.begin(), shape.end(), [](int64_t n) { return n < 0; })) {
    refuse(ErrorCode::shape, {kOp, "shape"}, "shape has a negative extent");
  }
  const TensorDesc u =
      contiguous_desc(k_->desc.dtype, shape.data(), static_cast<int>(shape.size()));
  LongConvArrays a = describe(u);
  const Spectra spectra = spectra_for(a);
  if (spectra.buffer != nullptr) a.spectrum = &spectra.buffer->desc;
  return plan_long_conv(a, params_);
}

size_t LongConvPlan::workspace_bytes(const std::vector<int64_t>& shape) const {
  const int limit = combined_thread_limit(n_threads_);
  return plan_for(shape).workspace_bytes(limit > 0 ? std::min(limit, num_threads())
                                                   : num_threads());
}

py::dict LongConvPlan::arrays() const {
  const std::pair<const char*, const Constant*> all[] = {
      {"k", &k_}, {"skip", &skip_}, {"bias", &bias_}};
  py::dict result;
  for (const auto& [name, constant] : all) {
    result[name] = *constant ? py::cast(**constant) : py::object(py::none());
  }
  return result;
}

void bind_long_plan(py::module_& m) {
  using Shape = const std::vector<int64_t>&;
  py::class_<LongConvPlan>(m, "LongConvPlan")
      .def(py::init([](py::handle k, py::handle skip, py::handle bias, py::handle response,
                       py::handle mode, py::handle offset, py::handle n_fft, py::handle correlate,
                       py::handle head_map, py::handle method, py::handle layout, py::handle length,
                       py::handle threads) {
             const LongConvParams params =
                 read_long_params(kOp, {mode, offset, n_fft, correlate, head_map, method, layout});
             const int64_t n = length.is_none() ? 0 : read_int(length, {kOp, "length"});
             if (n < (length.is_none() ? 0 : 1)) {
               refuse({kOp, "length"}, length, "None or a positive integer");
             }
             return std::make_unique<LongConvPlan>(params,
                                                   LongConvPlan::Constants{k, skip, bias, response},
                                                   n, read_threads(threads, {kOp, "threads"}));
           }),
           py::arg("k"), py::arg("skip"), py::arg("bias"), py::arg("response"), py::arg("mode"),
           py::arg("offset"), py::arg("n_fft"), py::arg("correlate"), py::arg("head_map"),
           py::arg("method"), py::arg("layout"), py::arg("length"), py::arg("threads"),
           py::pos_only())
      .def(
          "__call__",
          [](const LongConvPlan& self, py::handle u, py::handle pre_gate, py::handle post_gate,
             py::handle out,
             py::handle threads) { return self.run(u, pre_gate, post_gate, out, threads); },
          py::arg("u"), py::kw_only(), py::arg("pre_gate") = py::none(),
          py::arg("post_gate") = py::none(), py::arg("out") = py::none(),
          py::arg("threads") = py::none(), "Convolves u (B, D, L) with the plan's taps.")
      .def(
          "workspace_bytes",
          [](const LongConvPlan& self, Shape shape) { return self.workspace_bytes(shape); },
          py::arg("shape"), "Scratch memory of one call on a u of this shape.")
      .def(
          "flops",
          [](const LongConvPlan& self, Shape shape) { return self.plan_for(shape).flops(); },
          py::arg("shape"), "Floating-point operations of one call on a u of this shape.")
      .def(
          "bytes",
          [](const LongConvPlan& self, Shape shape) { return self.plan_for(shape).bytes(); },
          py::arg("shape"), "Bytes of all arrays of one call on a u of this shape.")
      .def("_arrays", &LongConvPlan::arrays)
      .def("init_state", &LongConvPlan::init_state, py::arg("batch"), py::arg("channels"),
           py::pos_only())
      .def("step", &LongConvPlan::step, py::arg("u"), py::arg("state"), py::arg("pre_gate"),
           py::arg("post_gate"), py::arg("threads"), py::pos_only())
      .def("flush", &LongConvPlan::flush, py::arg("state"), py::arg("post_gate"),
           py::arg("threads"), py::pos_only());
  py::class_<LongConvState>(m, "LongConvState", "What a stream of a LongConv remembers.")
      .def(py::init<const Buffer&, const Buffer&, const Buffer&, int64_t, bool>(),
           py::arg("inputs"), py::arg("sums"), py::arg("block"), py::arg("time"),
           py::arg("channels_are_open") = false, py::pos_only())
      .def_readonly("time", &LongConvState::time, "Inputs so far.")
      .def("__copy__", &LongConvState::copy)
      .def(
          "__deepcopy__", [](const LongConvState& self, py::handle) { return self.copy(); },
          py::arg("memo"))
      .def("__reduce__", [](const py::object& self) {
        const LongConvState copy = self.cast<const LongConvState&>().copy();
        return py::make_tuple(
            py::type::of(self),
            py::make_tuple(copy.inputs, copy.sums, copy.block, copy.time, copy.channels_are_open));
      });
}

}  // namespace swath::python
