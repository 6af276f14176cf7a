// Attention with a constant pattern: its tables are kept for the last few kinds of arrays.
#include <algorithm>
#include <mutex>
#include <optional>

#include "bindings.h"
#include "executor.h"
#include "explain.h"
#include "ops/attention.h"
#include "registry.h"

namespace swath::python {
namespace {

constexpr const char* kPlanName = "Attention";
constexpr size_t kCapacity = 8;

bool same(const TensorDesc& a, const TensorDesc& b) noexcept {
  return a.rank == b.rank && a.dtype == b.dtype && a.device == b.device &&
         std::equal(a.shape.begin(), a.shape.begin() + a.rank, b.shape.begin()) &&
         std::equal(a.strides.begin(), a.strides.begin() + a.rank, b.strides.begin());
}

/// Everything that a plan depends on besides the constant arguments.
struct Key {
  std::vector<std::optional<TensorDesc>> arrays;
  std::vector<double> numbers;

  bool operator==(const Key& other) const {
    const auto same_array = [](const auto& a, const auto& b) {
      return a.has_value() == b.has_value() && (!a || same(*a, *b));
    };
    return numbers == other.numbers &&
           std::equal(arrays.begin(), arrays.end(), other.arrays.begin(), other.arrays.end(),
                      same_array);
  }
};

Key make_key(const AttentionInputs& in, bool return_lse, const TensorDesc* out) {
  Key key;
  const auto add = [&](const TensorDesc* x) {
    key.arrays.push_back(x != nullptr ? std::optional(*x) : std::nullopt);
  };
  for (const TensorDesc* x :
       {in.q, in.k, in.v, in.bias, in.low_a, in.low_b, in.key_bias, in.key_mask, in.sink, out}) {
    add(x);
  }
  for (const AttentionExtra& e : in.extras) {
    for (const TensorDesc* x : {e.k, e.v, e.log_weights}) add(x);
    key.numbers.push_back(e.log_weight);
    key.numbers.push_back(e.grid_only);
  }
  key.numbers.push_back(return_lse);
  return key;
}

class AttentionPlan {
 public:
  AttentionPlan(py::object patterns, py::object causal, py::object scale, py::object bias,
                py::object bias_kind, py::object softcap, py::object sink, py::object layout)
      : patterns_(std::move(patterns)),
        causal_(std::move(causal)),
        scale_(std::move(scale)),
        bias_(std::move(bias)),
        bias_kind_(std::move(bias_kind)),
        softcap_(std::move(softcap)),
        sink_(std::move(sink)),
        layout_(std::move(layout)) {
    params_ =
        read_attention_params(kPlanName, arguments(py::none(), py::none(), py::none(), py::none()));
  }

  py::object run(py::handle q, py::handle k, py::handle v, py::handle low_rank, py::handle key_bias,
                 py::handle key_mask, py::handle extra_kv, py::handle return_lse, py::handle out,
                 py::handle threads) const {
    Call call(kPlanName, Accept::floats, kMaxArrays);
    const TensorDesc& q_desc = call.input(0, q, "q");
    const TensorDesc& k_desc = call.input(1, k, "k");
    const TensorDesc& v_desc = call.input(2, v, "v");
    AttentionParams params = params_;
    params.return_lse = read_bool(return_lse, {kPlanName, "return_lse"});
    const AttentionInputs in =
        read_attention(call, kPlanName, arguments(low_rank, key_bias, key_mask, extra_kv), q_desc,
                       k_desc, v_desc, 3);
    const int n_threads = read_threads(threads, {kPlanName, "threads"});
    call.out(out);
    std::vector<py::object> found = call.run_all(plan_for(in, params, call.options()), n_threads);
    if (!params.return_lse) return std::move(found[0]);
    return py::make_tuple(std::move(found[0]), std::move(found[1]));
  }

 private:
  AttentionArguments arguments(py::handle low_rank, py::handle key_bias, py::handle key_mask,
                               py::handle extra_kv) const {
    return {patterns_, causal_,  scale_,   bias_, bias_kind_, low_rank,
            key_bias,  key_mask, softcap_, sink_, extra_kv,   layout_};
  }

  Plan plan_for(const AttentionInputs& in, const AttentionParams& params,
                const PlanOptions& options) const {
    if (is_kernel_forced() || is_explaining()) return plan_attention(in, params, options);
    Key key = make_key(in, params.return_lse, options.out);
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [known, plan] : entries_) {
        if (known == key) return plan;
      }
    }
    Plan plan = plan_attention(in, params, options);
    const std::lock_guard lock(mutex_);
    if (entries_.size() < kCapacity) {
      entries_.emplace_back(std::move(key), plan);
    } else {
      entries_[next_] = {std::move(key), plan};
      next_ = (next_ + 1) % kCapacity;
    }
    return plan;
  }

  py::object patterns_, causal_, scale_, bias_, bias_kind_, softcap_, sink_, layout_;
  AttentionParams params_;
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<Key, Plan>> entries_;
  mutable size_t next_ = 0;
};

}  // namespace

void bind_attention_plan(py::module_& m) {
  py::class_<AttentionPlan>(m, "AttentionPlan")
      .def(py::init<py::object, py::object, py::object, py::object, py::object, py::object,
                    py::object, py::object>(),
           py::arg("patterns"), py::arg("causal"), py::arg("scale"), py::arg("bias"),
           py::arg("bias_kind"), py::arg("softcap"), py::arg("sink"), py::arg("layout"),
           py::pos_only())
      .def("run", &AttentionPlan::run, py::arg("q"), py::arg("k"), py::arg("v"),
           py::arg("low_rank"), py::arg("key_bias"), py::arg("key_mask"), py::arg("extra_kv"),
           py::arg("return_lse"), py::arg("out"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
