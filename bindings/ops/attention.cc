#include "ops/attention.h"

#include <limits>

#include "bindings.h"
#include "core/format.h"

namespace swath::python {
namespace {

py::handle entry(py::handle tuple, py::ssize_t i) { return PyTuple_GET_ITEM(tuple.ptr(), i); }
py::ssize_t length(py::handle tuple) { return PyTuple_GET_SIZE(tuple.ptr()); }

/// Numbers that python/swath/patterns has checked: one, or a sequence of them.
std::vector<int64_t> numbers(py::handle object) {
  if (PyLong_Check(object.ptr())) return {PyLong_AsLongLong(object.ptr())};
  std::vector<int64_t> all;
  for (py::handle item : py::reinterpret_borrow<py::object>(object)) {
    all.push_back(PyLong_AsLongLong(item.ptr()));
  }
  return all;
}
int64_t number(py::handle object) { return PyLong_AsLongLong(object.ptr()); }
double real(py::handle object) { return PyFloat_AsDouble(object.ptr()); }

constexpr std::string_view kKinds[] = {"dense",   "causal", "window1d", "neighborhood",
                                       "disk",    "window", "halo",     "segments",
                                       "grouped", "varlen", "blocks",   "mask"};

void read_parameters(AttentionPattern& p, py::handle values) {
  const auto at = [&](py::ssize_t i) { return entry(values, i); };
  switch (p.kind) {
    case PatternKind::dense:
    case PatternKind::causal:
      return;
    case PatternKind::window1d:
      p.left = number(at(0));
      p.right = number(at(1));
      return;
    case PatternKind::neighborhood:
      p.size = numbers(at(0));
      p.dilation = numbers(at(1));
      p.stride = numbers(at(2));
      p.causal = numbers(at(3));
      p.border = static_cast<NeighborhoodBorder>(number(at(4)));
      return;
    case PatternKind::disk:
      p.radius = real(at(0));
      return;
    case PatternKind::window:
      p.size = numbers(at(0));
      p.shift = numbers(at(1));
      p.mask_value = real(at(2));
      return;
    case PatternKind::halo:
      p.size = numbers(at(0));
      p.shift = numbers(at(1));
      return;
    case PatternKind::segments:
      p.lengths = numbers(at(0));
      for (int64_t v : numbers(at(1))) p.visible.push_back(v != 0);
      return;
    case PatternKind::grouped:
      p.n_shared = number(at(0));
      p.n_groups = number(at(1));
      p.offset = number(at(2));
      return;
    case PatternKind::varlen:
      p.cu_q = numbers(at(0));
      p.cu_k = numbers(at(1));
      return;
    case PatternKind::blocks:
      p.block_q = number(at(3));
      p.block_k = number(at(4));
      return;
    case PatternKind::mask:
      p.block_q = number(at(1));
      p.block_k = number(at(2));
  }
}

/// (kind, grid, n_prefix, n_axes, parameters), made by the pattern's _lower().
AttentionPattern read_pattern(Call& call, const char* op, py::handle given, int slot) {
  AttentionPattern p;
  p.kind = static_cast<PatternKind>(read_choice(entry(given, 0), kKinds, {op, "pattern"}));
  p.has_grid = !entry(given, 1).is_none();
  if (p.has_grid) p.grid = numbers(entry(given, 1));
  p.n_prefix = number(entry(given, 2));
  p.n_axes = entry(given, 3).is_none() ? 0 : static_cast<int>(number(entry(given, 3)));
  const py::handle values = entry(given, 4);
  read_parameters(p, values);
  if (p.kind == PatternKind::mask) {
    p.indices = &call.input(slot, entry(values, 0), "pattern", Accept::masks);
  } else if (p.kind == PatternKind::blocks) {
    p.indices = &call.input(slot, entry(values, 0), "pattern", Accept::any);
    p.counts = &call.input(slot + 1, entry(values, 1), "pattern", Accept::any);
    if (!entry(values, 2).is_none()) {
      p.levels = &call.input(slot + 2, entry(values, 2), "pattern", Accept::any);
    }
  }
  return p;
}

AttentionExtra read_extra(Call& call, const char* op, py::handle given, int slot) {
  static constexpr std::string_view kWho[] = {"all", "grid"};
  constexpr const char* needed = "a list of (k, v, log_weight, 'all' or 'grid')";
  const ArgName name{op, "extra_kv"};
  const bool is_entry = PySequence_Check(given.ptr()) && !PyUnicode_Check(given.ptr());
  if (!is_entry) refuse(name, given, needed);
  const py::object items = py::reinterpret_steal<py::object>(PySequence_Tuple(given.ptr()));
  if (!items) {
    PyErr_Clear();
    refuse(name, given, needed);
  }
  const py::ssize_t n = length(items);
  if (n < 2 || n > 4) refuse(name, given, needed);
  AttentionExtra extra;
  extra.k = &call.input(slot, entry(items, 0), "extra_kv");
  extra.v = &call.input(slot + 1, entry(items, 1), "extra_kv");
  if (n > 2) {
    const py::handle weight = entry(items, 2);
    const bool is_number = PyFloat_Check(weight.ptr()) || PyLong_Check(weight.ptr());
    if (is_number) {
      extra.log_weight = real(weight);
      const bool is_weight = extra.log_weight < std::numeric_limits<double>::infinity();
      if (!is_weight) refuse(name, weight, "a log weight below infinity");
    } else {
      extra.log_weights = &call.input(slot + 2, weight, "extra_kv");
    }
  }
  if (n > 3) extra.grid_only = read_choice(entry(items, 3), kWho, name) == 1;
  return extra;
}

py::object attention(py::handle q, py::handle k, py::handle v, py::handle patterns,
                     py::handle causal, py::handle scale, py::handle bias, py::handle bias_kind,
                     py::handle low_rank, py::handle key_bias, py::handle key_mask,
                     py::handle softcap, py::handle sink, py::handle extra_kv,
                     py::handle return_lse, py::handle layout, py::handle out, py::handle threads) {
  constexpr const char* op = "attention";
  const AttentionArguments given{patterns, causal,   scale,   bias, bias_kind, low_rank,
                                 key_bias, key_mask, softcap, sink, extra_kv,  layout};
  Call call(op, Accept::floats, kMaxArrays);
  const TensorDesc& q_desc = call.input(0, q, "q");
  const TensorDesc& k_desc = call.input(1, k, "k");
  const TensorDesc& v_desc = call.input(2, v, "v");
  AttentionParams params = read_attention_params(op, given);
  params.return_lse = read_bool(return_lse, {op, "return_lse"});
  const AttentionInputs inputs = read_attention(call, op, given, q_desc, k_desc, v_desc, 3);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  std::vector<py::object> found =
      call.run_all(plan_attention(inputs, params, call.options()), n_threads);
  if (!params.return_lse) return std::move(found[0]);
  return py::make_tuple(std::move(found[0]), std::move(found[1]));
}

}  // namespace

AttentionInputs read_attention(Call& call, const char* op, const AttentionArguments& given,
                               const TensorDesc& q, const TensorDesc& k, const TensorDesc& v,
                               int first_slot) {
  AttentionInputs in;
  in.q = &q;
  in.k = &k;
  in.v = &v;
  const int s = first_slot;
  in.bias = call.optional_input(s, given.bias, "bias");
  if (!given.low_rank.is_none()) {
    const bool is_pair = PyTuple_Check(given.low_rank.ptr()) || PyList_Check(given.low_rank.ptr());
    if (!is_pair || py::len(given.low_rank) != 2) {
      refuse({op, "bias_lowrank"}, given.low_rank, "a pair (a, b)");
    }
    const py::object a = given.low_rank[py::int_(0)], b = given.low_rank[py::int_(1)];
    in.low_a = &call.input(s + 1, a, "bias_lowrank");
    in.low_b = &call.input(s + 2, b, "bias_lowrank");
  }
  in.key_bias = call.optional_input(s + 3, given.key_bias, "key_bias");
  if (!given.key_mask.is_none()) {
    in.key_mask = &call.input(s + 4, given.key_mask, "key_mask", Accept::masks);
  }
  in.sink = call.optional_input(s + 5, given.sink, "sink");
  int slot = s + 6;
  if (!given.extra_kv.is_none()) {
    const bool is_list = PyList_Check(given.extra_kv.ptr()) || PyTuple_Check(given.extra_kv.ptr());
    const size_t n_lists = is_list ? py::len(given.extra_kv) + py::len(given.patterns) : 0;
    const auto n_free = static_cast<size_t>((kMaxArrays - slot) / 3);
    if (!is_list || n_lists > n_free) {
      refuse({op, "extra_kv"}, given.extra_kv,
             format("a list of (k, v, log_weight, 'all' or 'grid'), with the patterns at most {}",
                    n_free));
    }
    for (py::handle extra : py::reinterpret_borrow<py::object>(given.extra_kv)) {
      in.extras.push_back(read_extra(call, op, extra, slot));
      slot += 3;
    }
  }
  for (py::handle pattern : py::reinterpret_borrow<py::object>(given.patterns)) {
    in.patterns.push_back(read_pattern(call, op, pattern, slot));
    slot += 3;
  }
  return in;
}

AttentionParams read_attention_params(const char* op, const AttentionArguments& given) {
  static constexpr std::string_view kLayouts[] = {"heads_first", "heads_last"};
  AttentionParams p;
  p.name = op;
  p.heads_last = read_choice(given.layout, kLayouts, {op, "layout"}) == 1;
  p.causal = read_bool(given.causal, {op, "causal"});
  p.has_scale = !given.scale.is_none();
  if (p.has_scale) p.scale = read_number(given.scale, {op, "scale"});
  if (!given.softcap.is_none()) {
    p.softcap = read_number(given.softcap, {op, "softcap"});
    if (p.softcap <= 0) refuse({op, "softcap"}, given.softcap, "a positive number");
  }
  p.bias = static_cast<AttentionBias>(number(given.bias_kind));
  return p;
}

void bind_attention(py::module_& m) {
  m.def("attention", &attention, py::arg("q"), py::arg("k"), py::arg("v"), py::arg("patterns"),
        py::arg("causal"), py::arg("scale"), py::arg("bias"), py::arg("bias_kind"),
        py::arg("low_rank"), py::arg("key_bias"), py::arg("key_mask"), py::arg("softcap"),
        py::arg("sink"), py::arg("extra_kv"), py::arg("return_lse"), py::arg("layout"),
        py::arg("out"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
