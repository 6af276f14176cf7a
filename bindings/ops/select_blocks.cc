#include <swath/ops/select_blocks.h>

#include <pybind11/stl.h>

#include "arguments.h"
#include "bindings.h"
#include "call.h"

namespace swath::python {
namespace {

/// What swath/ops/select_blocks.py has checked: the fields of SelectBlocksParams by name.
SelectBlocksParams read_params(const char* op, const py::dict& given) {
  static constexpr std::string_view kLayouts[] = {"heads_first", "heads_last"};
  SelectBlocksParams p;
  p.name = op;
  const auto read = [&](const char* name, auto& into) {
    if (given.contains(name)) into = given[name].cast<std::decay_t<decltype(into)>>();
  };
  read("block", p.block);
  read("top_k", p.top_k);
  read("top_p", p.top_p);
  read("threshold", p.threshold);
  read("by_weight", p.by_weight);
  read("parent_block", p.parent_block);
  read("max_forced", p.max_forced);
  p.has_scale = given.contains("scale");
  if (p.has_scale) p.scale = read_number(given["scale"], {op, "scale"});
  p.layout = static_cast<HeadLayout>(read_choice(given["layout"], kLayouts, {op, "layout"}));
  if (given.contains("levels")) {
    for (const auto& [level, low, high] :
         given["levels"].cast<std::vector<std::tuple<int64_t, double, double>>>()) {
      p.levels.push_back({level, low, high});
    }
  }
  return p;
}

py::tuple select_blocks(py::handle q, py::handle k, py::handle parent_indices,
                        py::handle parent_counts, py::handle forced, py::handle forced_rows,
                        const py::dict& given, py::handle threads) {
  constexpr const char* op = "select_blocks";
  Call call(op);
  const auto optional = [&](int slot, py::handle object, const char* arg) -> const TensorDesc* {
    return object.is_none() ? nullptr : &call.input(slot, object, arg, Accept::any);
  };
  const TensorDesc& q_desc = call.input(0, q, "q");
  const TensorDesc& k_desc = call.input(1, k, "k");
  SelectBlocksParams p = read_params(op, given);
  const TensorDesc* indices = optional(2, parent_indices, "parents");
  const TensorDesc* counts = optional(3, parent_counts, "parents");
  const TensorDesc* forced_desc = optional(4, forced, "force");
  const TensorDesc* rows = optional(5, forced_rows, "force");
  const int n_threads = read_threads(threads, {op, "threads"});
  std::vector<py::object> results = call.run_all(
      plan_select_blocks(q_desc, k_desc, indices, counts, forced_desc, rows, p, call.options()),
      n_threads);
  if (results.size() < 3) results.emplace_back(py::none());
  return py::make_tuple(results[0], results[1], results[2]);
}

}  // namespace

void bind_select_blocks(py::module_& m) {
  m.def("select_blocks", &select_blocks, py::arg("q"), py::arg("k"), py::arg("parent_indices"),
        py::arg("parent_counts"), py::arg("forced"), py::arg("forced_rows"), py::arg("options"),
        py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
