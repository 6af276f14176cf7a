#include <swath/ops/attention_backward.h>

#include "bindings.h"
#include "ops/attention.h"

namespace swath::python {
namespace {

/// The slots of do, o, lse and dlse come last. Returns (dq, dk, dv, dbias, da, db, dkey_bias,
/// dsink, dextra); the last as one array of one axis.
py::object attention_backward(py::handle grad, py::handle q, py::handle k, py::handle v,
                              py::handle o, py::handle lse, py::handle dlse, py::handle patterns,
                              py::handle causal, py::handle scale, py::handle bias,
                              py::handle bias_kind, py::handle low_rank, py::handle key_bias,
                              py::handle key_mask, py::handle softcap, py::handle sink,
                              py::handle extra_kv, py::handle layout, py::handle needs,
                              py::handle threads) {
  constexpr const char* op = "grad.attention";
  static constexpr std::string_view kInputs[] = {
      "q", "k", "v", "bias", "bias_lowrank", "key_bias", "sink", "extra_kv"};
  const AttentionArguments given{patterns, causal,   scale,   bias, bias_kind, low_rank,
                                 key_bias, key_mask, softcap, sink, extra_kv,  layout};
  Call call(op, Accept::floats, kMaxArrays);
  const TensorDesc& q_desc = call.input(0, q, "q");
  const TensorDesc& k_desc = call.input(1, k, "k");
  const TensorDesc& v_desc = call.input(2, v, "v");
  const AttentionParams params = read_attention_params(op, given);
  const AttentionInputs inputs = read_attention(call, op, given, q_desc, k_desc, v_desc, 3);
  const int slot = attention_grad_slot(static_cast<int>(inputs.extras.size()),
                                       static_cast<int>(inputs.patterns.size()));
  if (slot + 4 > kMaxArrays) {
    refuse({op, "extra_kv"}, extra_kv, "at most 6 entries and members of pattern together");
  }
  AttentionGradInputs grads;
  grads.grad = &call.input(slot, grad, "do");
  grads.o = &call.input(slot + 1, o, "o");
  grads.lse = &call.input(slot + 2, lse, "lse");
  grads.dlse = call.optional_input(slot + 3, dlse, "dlse");
  const std::vector<bool> named = read_needs(needs, kInputs, op);
  const AttentionNeeds wanted{named[0], named[1], named[2], named[3],
                              named[4], named[5], named[6], named[7]};
  const int n_threads = read_threads(threads, {op, "threads"});
  const bool has_low_rank = named[4] && inputs.low_a != nullptr;
  const std::vector<bool> needed{named[0],
                                 named[1],
                                 named[2],
                                 named[3] && inputs.bias != nullptr,
                                 has_low_rank,
                                 has_low_rank,
                                 named[5] && inputs.key_bias != nullptr,
                                 named[6] && inputs.sink != nullptr,
                                 named[7] && !inputs.extras.empty()};
  const Plan plan = plan_attention_backward(inputs, grads, params, wanted, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

void bind_attention_backward(py::module_& m) {
  m.def("attention_backward", &attention_backward, py::arg("do"), py::arg("q"), py::arg("k"),
        py::arg("v"), py::arg("o"), py::arg("lse"), py::arg("dlse"), py::arg("patterns"),
        py::arg("causal"), py::arg("scale"), py::arg("bias"), py::arg("bias_kind"),
        py::arg("low_rank"), py::arg("key_bias"), py::arg("key_mask"), py::arg("softcap"),
        py::arg("sink"), py::arg("extra_kv"), py::arg("layout"), py::arg("needs"),
        py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
