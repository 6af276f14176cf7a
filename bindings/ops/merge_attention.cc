#include <swath/ops/merge_attention.h>

#include "arguments.h"
#include "bindings.h"
#include "call.h"
#include "core/format.h"

namespace swath::python {
namespace {

/// Reads pairs (o, lse) into slots from `slot` on.
std::vector<AttentionPart> read_parts(Call& call, int slot, py::handle parts, const char* op) {
  const auto sequence =
      py::reinterpret_steal<py::object>(PySequence_Fast(parts.ptr(), "parts is no sequence"));
  if (!sequence) {
    PyErr_Clear();
    refuse({op, "parts"}, parts, "a sequence of pairs (o, lse)");
  }
  const py::ssize_t n = PySequence_Fast_GET_SIZE(sequence.ptr());
  if (n < 1 || n > kMaxMergeParts) {
    refuse(ErrorCode::param, {op, "parts"},
           format("{} parts are given, needed are 1 to {}", n, kMaxMergeParts));
  }
  std::vector<AttentionPart> found;
  for (py::ssize_t t = 0; t < n; ++t) {
    const py::handle part = PySequence_Fast_GET_ITEM(sequence.ptr(), t);
    if (!(py::isinstance<py::tuple>(part) || py::isinstance<py::list>(part)) ||
        py::len(part) != 2) {
      refuse({op, "parts"}, part, "pairs (o, lse)");
    }
    const auto pair = py::reinterpret_borrow<py::sequence>(part);
    const TensorDesc& o = call.input(slot, pair[0], "parts");
    const TensorDesc& lse = call.input(slot + 1, pair[1], "parts");
    found.push_back({&o, &lse});
    slot += 2;
  }
  return found;
}

py::tuple merge_attention(py::handle parts, py::handle threads) {
  constexpr const char* op = "merge_attention";
  Call call(op, Accept::floats, kMaxArrays);
  const std::vector<AttentionPart> found = read_parts(call, 0, parts, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  std::vector<py::object> results =
      call.run_all(plan_merge_attention(found, op, call.options()), n_threads);
  return py::make_tuple(results[0], results[1]);
}

py::list merge_attention_backward(py::handle d_o, py::handle dlse, py::handle parts,
                                  py::handle threads) {
  constexpr const char* op = "grad.merge_attention";
  Call call(op, Accept::floats, kMaxArrays);
  const TensorDesc& do_desc = call.input(0, d_o, "do");
  const TensorDesc* dlse_desc = call.optional_input(1, dlse, "dlse");
  const std::vector<AttentionPart> found = read_parts(call, 2, parts, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  std::vector<py::object> results = call.run_all(
      plan_merge_attention_backward(do_desc, dlse_desc, found, op, call.options()), n_threads);
  py::list pairs;
  for (size_t i = 0; i < results.size(); i += 2) {
    pairs.append(py::make_tuple(results[i], results[i + 1]));
  }
  return pairs;
}

}  // namespace

void bind_merge_attention(py::module_& m) {
  m.def("merge_attention", &merge_attention, py::arg("parts"), py::arg("threads"), py::pos_only());
  m.def("merge_attention_backward", &merge_attention_backward, py::arg("do"), py::arg("dlse"),
        py::arg("parts"), py::arg("threads"), py::pos_only());
  m.attr("max_merge_parts") = kMaxMergeParts;
}

}  // namespace swath::python
