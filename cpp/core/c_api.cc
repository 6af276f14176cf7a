// The C interface: status, plans and runs. The functions that make plans are in the operators'
// folders.
#include "core/c_api.h"

#include <swath/executor.h>
#include <swath/registry.h>

#include <new>
#include <string_view>

#include "core/operator.h"

namespace swath::c {
namespace {

struct LastError {
  std::string text, argument;
};

LastError& last_error() {
  thread_local LastError error;
  return error;
}

swath_status note(ErrorCode code, std::string_view text, std::string_view argument) noexcept {
  try {
    last_error().text = text;
    last_error().argument = argument;
  } catch (...) {
    last_error().text.clear();  // no memory for the text
  }
  return static_cast<swath_status>(code) + 1;
}

constexpr int kDTypes = 0
#define SWATH_DTYPE(name, bytes) +1
#include <swath/dtypes.def>
#undef SWATH_DTYPE
    ;

/// Shapes whose sizes could overflow when multiplied are refused here once.
constexpr int64_t kMostBytes = int64_t{1} << 60;

TensorDesc read_array(const char* op, const char* name, const swath_array& array) {
  TensorDesc desc;
  desc.dtype = read_enum<DType>(op, name, array.dtype, kDTypes);
  if (array.rank < 0 || array.rank > kMaxRank) {
    throw Error(ErrorCode::shape, op, name,
                format("{} has rank {}, needed is at most {}", name, array.rank, kMaxRank));
  }
  desc.rank = array.rank;
  int64_t n = item_bytes(desc.dtype);
  for (int i = 0; i < array.rank; ++i) {
    const int64_t extent = array.shape[i];
    if (extent < 0 || (extent > 0 && n > kMostBytes / extent)) {
      throw Error(
          ErrorCode::shape, op, name,
          format("{} has extent {} in axis {}, needed is what memory can hold", name, extent, i));
    }
    if (extent > 0) n *= extent;
    desc.shape[i] = extent;
    desc.strides[i] = array.strides[i];
  }
  return desc;
}

swath_array write_array(const TensorDesc& desc) noexcept {
  swath_array array{};
  array.dtype = static_cast<swath_dtype>(desc.dtype);
  array.rank = desc.rank;
  std::copy(desc.shape.begin(), desc.shape.end(), array.shape);
  std::copy(desc.strides.begin(), desc.strides.end(), array.strides);
  return array;
}

/// A scheduler of the caller as swath's executor.
class HostExecutor final : public Executor {
 public:
  explicit HostExecutor(const swath_scheduler& s) noexcept : scheduler_(s) {}
  int concurrency() const noexcept override { return std::max(scheduler_.concurrency, 1); }
  void parallel_for(int64_t n, int64_t grain, int max_workers, RangeFn fn) noexcept override {
    const auto task = [](void* argument, int64_t begin, int64_t end, int32_t worker) {
      (*static_cast<const RangeFn*>(argument))(begin, end, worker);
    };
    scheduler_.parallel_for(scheduler_.context, n, grain, max_workers, task, &fn);
  }

 private:
  swath_scheduler scheduler_;
};

/// Memory of the caller's allocator for one run.
class HostMemory {
 public:
  HostMemory(const swath_run_options& o, size_t n_bytes) : options_(o), n_bytes_(n_bytes) {
    memory_ = o.allocate(o.allocator_context, n_bytes, kMemoryAlign);
    if (memory_ != nullptr) return;
    throw Error(ErrorCode::out_of_memory, "swath_run", "allocate",
                format("allocate gave no workspace of {} bytes", n_bytes));
  }
  HostMemory(const HostMemory&) = delete;
  ~HostMemory() {
    if (options_.release != nullptr) {
      options_.release(options_.allocator_context, memory_, n_bytes_);
    }
  }
  void* get() const noexcept { return memory_; }

 private:
  const swath_run_options& options_;
  size_t n_bytes_;
  void* memory_;
};

using InputPointers = std::array<const void*, kMaxInputs>;

InputPointers place_inputs(const swath_plan& plan, const void* const* inputs, int32_t n_inputs,
                           bool must_be_given) {
  const auto n = static_cast<int32_t>(plan.inputs.size());
  if (n_inputs != n || (inputs == nullptr && n > 0)) {
    throw Error(ErrorCode::param, "swath_run", "inputs",
                format("n_inputs is {}, needed is {}", n_inputs, n));
  }
  InputPointers found{};
  for (int32_t i = 0; i < n; ++i) {
    const swath_plan::Input& input = plan.inputs[static_cast<size_t>(i)];
    if (!input.is_given) continue;
    if (inputs[i] == nullptr && must_be_given) {
      throw Error(ErrorCode::param, "swath_run", input.name,
                  format("inputs[{}], {}, is null", i, input.name));
    }
    found[static_cast<size_t>(input.slot)] = inputs[i];
  }
  return found;
}

void run(const swath_plan& plan, const InputPointers& inputs, std::span<void* const> outputs,
         const swath_run_options& options, Executor& executor) {
  RunOptions o{&executor, options.max_threads, options.workspace, options.workspace_bytes};
  if (options.workspace != nullptr || options.allocate == nullptr) {
    plan.plan.run(inputs, outputs, o);
    return;
  }
  int threads = executor.concurrency();
  if (options.max_threads > 0) threads = std::min(threads, options.max_threads);
  const HostMemory memory(options, std::max<size_t>(plan.plan.workspace_bytes(threads), 1));
  o.workspace = memory.get();
  o.workspace_bytes = plan.plan.workspace_bytes(threads);
  plan.plan.run(inputs, outputs, o);
}

}  // namespace

swath_status note_exception(const char* op) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return note(error.code(), error.what(), error.arg());
  } catch (const std::bad_alloc&) {
    return note(ErrorCode::out_of_memory, "swath: cannot allocate memory", "");
  } catch (const std::exception& error) {
    return note(ErrorCode::internal, error.what(), op);
  } catch (...) {
    return note(ErrorCode::internal, "swath: unknown failure", op);
  }
}

const TensorDesc* Arrays::optional(const char* name, const swath_array* array, int slot) {
  inputs.push_back({name, slot, array != nullptr});
  if (array == nullptr) return nullptr;
  descs_.push_back(read_array(op_, name, *array));
  return &descs_.back();
}

const TensorDesc& Arrays::needed(const char* name, const swath_array* array, int slot) {
  const TensorDesc* desc = optional(name, array, slot);
  if (desc == nullptr) throw Error(ErrorCode::param, op_, name, format("{} is null", name));
  return *desc;
}

swath_status make_plan(const char* op, swath_plan** plan,
                       const std::function<Plan(Arrays&)>& body) noexcept {
  return guarded(op, [&] {
    if (plan == nullptr) throw Error(ErrorCode::param, op, "plan", "plan is null");
    *plan = nullptr;
    Arrays arrays(op);
    Plan made = body(arrays);
    *plan = new swath_plan{std::move(made), std::move(arrays.inputs)};
  });
}

double activation_value(Activation activation, double value) noexcept {
  static constexpr double kUsual[] = {
#define SWATH_ACTIVATION(name, usual) usual,
#include <swath/activation.def>
#undef SWATH_ACTIVATION
  };
  return value == 0 ? kUsual[static_cast<size_t>(activation)] : value;
}

}  // namespace swath::c

using swath::c::guarded;

const char* swath_version(void) { return swath::version(); }
int32_t swath_abi_version(void) { return SWATH_ABI_VERSION; }
const char* swath_last_error(void) { return swath::c::last_error().text.c_str(); }
const char* swath_last_error_argument(void) { return swath::c::last_error().argument.c_str(); }
int32_t swath_num_threads(void) { return swath::num_threads(); }

swath_status swath_set_num_threads(int32_t n) {
  return guarded("swath_set_num_threads", [&] {
    if (n < 1) {
      throw swath::Error(swath::ErrorCode::param, "swath_set_num_threads", "n",
                         swath::format("n is {}, needed is at least 1", n));
    }
    swath::set_num_threads(n);
  });
}

swath_array swath_contiguous(swath_dtype dtype, int32_t rank, const int64_t* shape) {
  const bool is_known = dtype >= 0 && dtype < swath::c::kDTypes;
  if (!is_known || rank < 0 || rank > SWATH_MAX_RANK) return {};
  return swath::c::write_array(
      swath::contiguous_desc(static_cast<swath::DType>(dtype), shape, rank));
}

void swath_plan_release(swath_plan* plan) { delete plan; }

int32_t swath_plan_n_outputs(const swath_plan* plan) {
  return plan == nullptr ? 0 : static_cast<int32_t>(plan->plan.outputs().size());
}

swath_status swath_plan_output(const swath_plan* plan, int32_t index, swath_array* output) {
  return guarded("swath_plan_output", [&] {
    if (index < 0 || index >= swath_plan_n_outputs(plan) || output == nullptr) {
      throw swath::Error(
          swath::ErrorCode::param, "swath_plan_output", "index",
          swath::format("index is {}, the plan has {} outputs", index, swath_plan_n_outputs(plan)));
    }
    *output = swath::c::write_array(plan->plan.outputs()[static_cast<size_t>(index)]);
  });
}

size_t swath_plan_workspace_bytes(const swath_plan* plan, int32_t n_threads) {
  return plan == nullptr ? 0 : plan->plan.workspace_bytes(std::max(n_threads, 1));
}

const char* swath_plan_kernel(const swath_plan* plan) {
  return plan == nullptr ? "" : plan->plan.kernel().c_str();
}

swath_status swath_plan_prepack(const swath_plan* plan, const void* const* inputs, int32_t n_inputs,
                                swath_plan** packed) {
  return guarded("swath_plan_prepack", [&] {
    if (plan == nullptr || packed == nullptr) {
      throw swath::Error(swath::ErrorCode::param, "swath_plan_prepack", "plan", "plan is null");
    }
    *packed = nullptr;
    const auto found = swath::c::place_inputs(*plan, inputs, n_inputs, false);
    *packed = new swath_plan{plan->plan.prepack(found), plan->inputs};
  });
}

swath_status swath_run(const swath_plan* plan, const void* const* inputs, int32_t n_inputs,
                       void* const* outputs, int32_t n_outputs, const swath_run_options* options) {
  constexpr const char* op = "swath_run";
  return guarded(op, [&] {
    using swath::c::read_struct;
    if (plan == nullptr) throw swath::Error(swath::ErrorCode::param, op, "plan", "plan is null");
    const auto o = read_struct(op, "swath_run_options", options);
    const auto found = swath::c::place_inputs(*plan, inputs, n_inputs, true);
    if (n_outputs != swath_plan_n_outputs(plan) || (outputs == nullptr && n_outputs > 0)) {
      throw swath::Error(
          swath::ErrorCode::param, op, "outputs",
          swath::format("n_outputs is {}, needed is {}", n_outputs, swath_plan_n_outputs(plan)));
    }
    const std::span<void* const> out(outputs, static_cast<size_t>(n_outputs));
    for (void* pointer : out) {
      if (pointer != nullptr) continue;
      throw swath::Error(swath::ErrorCode::param, op, "outputs", "an output is null");
    }
    if (o.scheduler == nullptr) {
      swath::c::run(*plan, found, out, o, swath::default_executor());
      return;
    }
    const auto scheduler = read_struct(op, "swath_scheduler", o.scheduler);
    if (scheduler.parallel_for == nullptr) {
      throw swath::Error(swath::ErrorCode::param, op, "scheduler", "parallel_for is null");
    }
    swath::c::HostExecutor executor(scheduler);
    swath::c::run(*plan, found, out, o, executor);
  });
}
