#include "ops/long_conv.h"

#include "bindings.h"
#include "ops/gates.h"

namespace swath::python {
namespace {

/// Reads the arrays that the forward and the backward have in common. u is in slot `kLongU`.
LongConvArrays read_arrays(Call& call, py::handle u, py::handle k, py::handle skip, py::handle bias,
                           py::handle pre_gate, py::handle post_gate) {
  LongConvArrays a;
  a.u = &call.input(kLongU, u, "u");
  a.k = &call.input(kLongK, k, "k");
  a.skip = call.optional_input(kLongSkip, skip, "skip");
  a.bias = call.optional_input(kLongBias, bias, "bias");
  a.pre_gate = call.optional_input(kLongPreGate, pre_gate, "pre_gate");
  a.post_gate = call.optional_input(kLongPostGate, post_gate, "post_gate");
  return a;
}

py::object long_conv(py::handle u, py::handle k, py::handle mode, py::handle offset,
                     py::handle skip, py::handle bias, py::handle pre_gate, py::handle post_gate,
                     py::handle response, py::handle n_fft, py::handle correlate,
                     py::handle head_map, py::handle method, py::handle layout, py::handle out,
                     py::handle threads) {
  constexpr const char* op = "long_conv";
  Call call(op);
  LongConvArrays a = read_arrays(call, u, k, skip, bias, pre_gate, post_gate);
  const std::optional<Buffer> filter = read_response(response, a.u->dtype, op);
  if (filter) {
    a.response = &filter->desc;
    call.constant(kLongResponse, *filter);
  }
  const LongConvParams p =
      read_long_params(op, {mode, offset, n_fft, correlate, head_map, method, layout});
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_long_conv(a, p, call.options()), n_threads);
}

py::object long_conv_backward(py::handle dy, py::handle u, py::handle k, py::handle mode,
                              py::handle offset, py::handle skip, py::handle bias,
                              py::handle pre_gate, py::handle post_gate, py::handle response,
                              py::handle n_fft, py::handle correlate, py::handle head_map,
                              py::handle method, py::handle layout, py::handle needs,
                              py::handle threads) {
  constexpr const char* op = "grad.long_conv";
  static constexpr std::string_view kInputs[] = {"u", "k", "pre_gate", "post_gate", "skip", "bias"};
  Call call(op);
  LongConvArrays a = read_arrays(call, u, k, skip, bias, pre_gate, post_gate);
  a.dy = &call.input(kLongDy, dy, "dy");
  const std::optional<Buffer> filter = read_response(response, a.u->dtype, op);
  if (filter) {
    a.response = &filter->desc;
    call.constant(kLongResponse, *filter);
  }
  const LongConvParams p =
      read_long_params(op, {mode, offset, n_fft, correlate, head_map, method, layout});
  std::vector<bool> needed = read_needs(needs, kInputs, op);
  needed[2] = needed[2] && a.pre_gate != nullptr;
  needed[3] = needed[3] && a.post_gate != nullptr;
  needed[4] = needed[4] && a.skip != nullptr;
  needed[5] = needed[5] && a.bias != nullptr;
  const int n_threads = read_threads(threads, {op, "threads"});
  const LongConvNeeds wanted{needed[0], needed[1], needed[2], needed[3], needed[4], needed[5]};
  const Plan plan = plan_long_conv_backward(a, p, wanted, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

LongConvParams read_long_params(const char* op, const LongOptions& options) {
  static constexpr std::string_view kModes[] = {"causal", "same",     "full",
                                                "valid",  "circular", "two_sided"};
  static constexpr std::string_view kMethods[] = {"auto", "fft", "direct", "overlap_save"};
  static constexpr std::string_view kMaps[] = {"blocked", "interleaved"};
  LongConvParams p;
  p.name = op;
  p.mode = static_cast<LongMode>(read_choice(options.mode, kModes, {op, "mode"}));
  p.has_offset = !options.offset.is_none();
  if (p.has_offset) p.offset = read_int(options.offset, {op, "offset"});
  if (!options.n_fft.is_none()) p.n_fft = read_int(options.n_fft, {op, "n_fft"});
  p.correlate = read_bool(options.correlate, {op, "correlate"});
  p.is_interleaved = read_choice(options.head_map, kMaps, {op, "head_map"}) == 1;
  p.method = static_cast<LongMethod>(read_choice(options.method, kMethods, {op, "method"}));
  p.layout = read_layout(options.layout, op);
  return p;
}

std::optional<Buffer> read_response(py::handle response, DType dtype, const char* op) {
  if (response.is_none()) return std::nullopt;
  ArrayArg given;
  read_array(response, {op, "freq_mask"}, Accept::floats, given);
  Buffer copy(given.view);
  if (dtype == DType::f64) return copy;
  Buffer narrow(contiguous_desc(DType::f32, copy.desc.shape.data(), 1));
  const auto* from = reinterpret_cast<const double*>(copy.memory.get());
  auto* to = reinterpret_cast<float*>(narrow.memory.get());
  for (int64_t i = 0; i < copy.desc.shape[0]; ++i) to[i] = static_cast<float>(from[i]);
  return narrow;
}

void bind_long_conv(py::module_& m) {
  m.def("long_conv", &long_conv, py::arg("u"), py::arg("k"), py::arg("mode"), py::arg("offset"),
        py::arg("skip"), py::arg("bias"), py::arg("pre_gate"), py::arg("post_gate"),
        py::arg("response"), py::arg("n_fft"), py::arg("correlate"), py::arg("head_map"),
        py::arg("method"), py::arg("layout"), py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("long_conv_backward", &long_conv_backward, py::arg("dy"), py::arg("u"), py::arg("k"),
        py::arg("mode"), py::arg("offset"), py::arg("skip"), py::arg("bias"), py::arg("pre_gate"),
        py::arg("post_gate"), py::arg("response"), py::arg("n_fft"), py::arg("correlate"),
        py::arg("head_map"), py::arg("method"), py::arg("layout"), py::arg("needs"),
        py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
