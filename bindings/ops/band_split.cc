#include <pybind11/stl.h>

#include <swath/ops/band_split.h>

#include "arguments.h"
#include "bindings.h"
#include "call.h"
#include "core/format.h"

namespace swath::python {
namespace {

BandSplitParams read_bands(const char* op, py::handle cutoffs, py::handle metric) {
  static constexpr std::string_view kMetrics[] = {"max", "radius"};
  BandSplitParams p;
  p.name = op;
  p.cutoffs = read_numbers(cutoffs, kAnyCount, {op, "cutoffs"});
  p.metric = static_cast<BandMetric>(read_choice(metric, kMetrics, {op, "metric"}));
  return p;
}

/// A list of the bands.
py::object band_split(py::handle x, py::handle cutoffs, py::handle metric, py::handle threads) {
  constexpr const char* op = "band_split";
  Call call(op, Accept::floats, kMaxArrays);
  const TensorDesc& x_desc = call.input(0, x, "x");
  const BandSplitParams p = read_bands(op, cutoffs, metric);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_band_split(x_desc, p, call.options());
  std::vector<py::object> bands = call.run_all(plan, n_threads);
  if (plan.outputs()[0].rank > x_desc.rank) {  // all in one array: its views
    return bands[0].is_none() ? bands[0] : py::list(bands[0]);
  }
  return py::cast(std::move(bands));
}

/// `dys` is one array of all bands or a sequence with an array or None for each.
py::tuple band_split_backward(py::handle dys, py::handle x, py::handle cutoffs, py::handle metric,
                              py::handle needs, py::handle threads) {
  constexpr const char* op = "grad.band_split";
  Call call(op, Accept::floats, kMaxArrays);
  const TensorDesc& x_desc = call.input(0, x, "x");
  std::vector<const TensorDesc*> given;
  if (PyList_Check(dys.ptr()) || PyTuple_Check(dys.ptr())) {
    const auto items = py::reinterpret_steal<py::object>(PySequence_Tuple(dys.ptr()));
    const auto count = static_cast<int>(PyTuple_GET_SIZE(items.ptr()));
    if (count + 1 > kMaxArrays) {
      refuse(ErrorCode::param, {op, "dys"},
             format("dys has {} arrays, needed are at most {}, or one array (bands, *x.shape)",
                    count, kMaxArrays - 1));
    }
    for (int i = 0; i < count; ++i) {
      given.push_back(call.optional_input(i + 1, PyTuple_GET_ITEM(items.ptr(), i), "dys"));
    }
  } else {
    given.push_back(&call.input(1, dys, "dys"));
  }
  const BandSplitParams p = read_bands(op, cutoffs, metric);
  static constexpr std::string_view kInputs[] = {"x"};
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  return call.run_gradients(
      plan_band_split_backward(x_desc, given.data(), static_cast<int>(given.size()), p,
                               call.options()),
      n_threads, needed);
}

}  // namespace

void bind_band_split(py::module_& m) {
  m.def("band_split", &band_split, py::arg("x"), py::arg("cutoffs"), py::arg("metric"),
        py::arg("threads"), py::pos_only());
  m.def("band_split_backward", &band_split_backward, py::arg("dys"), py::arg("x"),
        py::arg("cutoffs"), py::arg("metric"), py::arg("needs"), py::arg("threads"),
        py::pos_only());
}

}  // namespace swath::python
