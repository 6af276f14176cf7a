// What the bindings of attention and its gradient share.
#pragma once

#include <deque>

#include <swath/ops/attention.h>

#include "arguments.h"
#include "call.h"

namespace swath::python {

/// The arguments of attention that are no plain arrays, as Python hands them over.
struct AttentionArguments {
  py::handle patterns, causal, scale, bias, bias_kind, low_rank, key_bias, key_mask, softcap, sink,
      extra_kv, layout;
};

/// Reads all arrays but q, k and v, whose descriptions are given, into slots from `first_slot` on.
AttentionInputs read_attention(Call& call, const char* op, const AttentionArguments& given,
                               const TensorDesc& q, const TensorDesc& k, const TensorDesc& v,
                               int first_slot);
AttentionParams read_attention_params(const char* op, const AttentionArguments& given);

void bind_attention_backward(py::module_& m);

}  // namespace swath::python
