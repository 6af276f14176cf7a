// Plans from C++: many threads on one plan, the caller's workspace and executor, error texts, and
// what run() allocates.
#include <swath/swath.hpp>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

namespace {

std::atomic<int64_t> g_allocations{0};

void* counted(size_t n, size_t alignment) noexcept {
  ++g_allocations;
  const size_t rounded = (n + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment);
}
void* counted_or_throw(size_t n, size_t alignment) {
  if (void* p = counted(n, alignment)) return p;
  throw std::bad_alloc();
}
constexpr size_t kDefaultAlign = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

// Everything swath allocates comes from these: the array forms call them. The nothrow forms are
// here because a sanitizer brings its own, whose memory the deletes below must not get.
void* operator new(size_t n) { return counted_or_throw(n, kDefaultAlign); }
void* operator new(size_t n, std::align_val_t a) {
  return counted_or_throw(n, static_cast<size_t>(a));
}
void* operator new(size_t n, const std::nothrow_t&) noexcept { return counted(n, kDefaultAlign); }
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return counted(n, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace {

using swath::DType;
using swath::Plan;
using Floats = std::vector<float>;

constexpr int64_t kC = 16, kO = 32, kSide = 64, kTaps = 3;  // enough work for several threads
constexpr int64_t kOut = kSide - kTaps + 1;

/// A 3x3 convolution of 16 to 32 channels: its arrays, its plan and its answer.
struct Example {
  swath::TensorDesc x_desc = swath::contiguous_desc(DType::f32, {1, kC, kSide, kSide});
  swath::TensorDesc weight_desc = swath::contiguous_desc(DType::f32, {kO, kC, kTaps, kTaps});
  swath::SlidingConvParams params;
  Floats x = Floats(kC * kSide * kSide), weight = Floats(kO * kC * kTaps * kTaps), y;

  Example() : y(kO * kOut * kOut) {
    params.op = "conv2d";
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i * 53 % 89) / 40 - 1;
    for (int64_t o = 0, i = 0; o < kO; ++o) {
      for (int64_t p = 0; p < kOut; ++p) {
        for (int64_t q = 0; q < kOut; ++q) y[i++] = expected_at(o, p, q);
      }
    }
  }
  Plan plan() const {
    return swath::plan_sliding_conv(x_desc, weight_desc, nullptr, nullptr, nullptr, nullptr,
                                    params);
  }
  Floats run(const Plan& plan, const swath::RunOptions& options = {}) const {
    Floats out(y.size(), NAN);
    run_into(plan, out, options);
    return out;
  }
  void run_into(const Plan& plan, Floats& out, const swath::RunOptions& options = {}) const {
    const void* inputs[] = {x.data(), weight.data(), nullptr, nullptr, nullptr, nullptr};
    void* outputs[] = {out.data()};
    plan.run(inputs, outputs, options);
  }
  Plan prepacked() const {
    const void* inputs[] = {nullptr, weight.data(), nullptr, nullptr, nullptr, nullptr};
    return plan().prepack(inputs);
  }

 private:
  float expected_at(int64_t o, int64_t p, int64_t q) const {
    double sum = 0;
    for (int64_t c = 0; c < kC; ++c) {
      for (int64_t i = 0; i < kTaps; ++i) {
        for (int64_t j = 0; j < kTaps; ++j) {
          sum += double{weight[((o * kC + c) * kTaps + i) * kTaps + j]} *
                 double{x[(c * kSide + p + i) * kSide + q + j]};
        }
      }
    }
    return static_cast<float>(sum);
  }
};

bool is_close(const Floats& a, const Floats& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) < 1e-4f)) return false;  // 144 terms below 1.3: about 80 eps
  }
  return a.size() == b.size();
}

void result_is_right(const Example& example) {
  const Plan plan = example.plan();
  CHECK(is_close(example.run(plan), example.y));
  CHECK(example.run(example.prepacked()) == example.run(plan));
  CHECK(plan.outputs().size() == 1);
  CHECK(plan.outputs()[0].shape[3] == kOut);
  CHECK(plan.flops() == 2 * kO * kOut * kOut * kC * kTaps * kTaps);
  CHECK(plan.kernel().find("reference") == std::string::npos);
}

void one_plan_runs_on_many_threads(const Example& example) {
  const Plan plan = example.plan(), packed = example.prepacked();
  const Floats alone = example.run(plan, {.max_threads = 1});
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        CHECK(example.run(t % 2 == 0 ? plan : packed, {.max_threads = 1 + t % 4}) == alone);
      }
    });
  }
  for (auto& caller : callers) caller.join();
}

/// A host's executor: hands out single indices backwards, each to another worker id.
class Host final : public swath::Executor {
 public:
  int n_calls = 0;
  int concurrency() const noexcept override { return 3; }
  void parallel_for(int64_t n, int64_t, int max_workers, swath::RangeFn fn) noexcept override {
    ++n_calls;
    for (int64_t i = n; i-- > 0;) fn(i, i + 1, static_cast<int>(i % max_workers));
  }
};

void host_executor_is_used(const Example& example) {
  Host host;
  const Plan plan = example.plan();
  CHECK(example.run(plan, {.executor = &host}) == example.run(plan, {.max_threads = 1}));
  CHECK(host.n_calls > 0);
}

void run_allocates_nothing(const Example& example) {
  for (const Plan& plan : {example.plan(), example.prepacked()}) {
    std::vector<std::byte> memory(plan.workspace_bytes(1) + 64);
    auto* start =
        reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
    const swath::RunOptions options{.executor = &swath::serial_executor(),
                                    .max_threads = 1,
                                    .workspace = start,
                                    .workspace_bytes = plan.workspace_bytes(1)};
    Floats out(example.y.size());
    const int64_t before = g_allocations;
    example.run_into(plan, out, options);
    CHECK(g_allocations == before);
    CHECK(is_close(out, example.y));
  }
}

void own_workspace_is_kept(const Example& example) {
  const Plan plan = example.plan();
  Floats out(example.y.size());
  example.run_into(plan, out, {.max_threads = 1});
  const int64_t before = g_allocations;
  example.run_into(plan, out, {.max_threads = 1});
  CHECK(g_allocations == before);
}

/// The call throws an Error with this code and argument whose text has all these words.
template <class F>
void expect_error(F call, swath::ErrorCode code, const std::string& op, const std::string& arg,
                  std::initializer_list<const char*> words) {
  try {
    call();
    CHECK(!"expected an error");
  } catch (const swath::Error& error) {
    CHECK(error.code() == code);
    CHECK(error.op() == op);
    CHECK(error.arg() == arg);
    for (const char* word : words) {
      if (std::string(error.what()).find(word) != std::string::npos) continue;
      std::fprintf(stderr, "no '%s' in: %s\n", word, error.what());
      CHECK(!"error text");
    }
  }
}

void errors_say_what_was_found(const Example& example) {
  const Plan plan = example.plan();
  std::byte tiny[1];
  expect_error([&] { example.run(plan, {.workspace = tiny, .workspace_bytes = 1}); },
               swath::ErrorCode::param, "conv2d", "workspace", {"1 bytes", "needed"});
  Example wrong = example;
  wrong.weight_desc = swath::contiguous_desc(DType::f32, {kO, 3, kTaps, kTaps});
  expect_error([&] { wrong.plan(); }, swath::ErrorCode::shape, "conv2d", "weight",
               {"conv2d: ", "3 input channels", "16"});
  wrong.weight_desc = swath::contiguous_desc(DType::f64, {kO, kC, kTaps, kTaps});
  expect_error([&] { wrong.plan(); }, swath::ErrorCode::dtype, "conv2d", "weight", {"f64", "f32"});
  wrong = example;
  wrong.params.stride = {0, 1, 1};
  expect_error([&] { wrong.plan(); }, swath::ErrorCode::param, "conv2d", "stride", {"0"});
  expect_error([] { swath::kernel_names("no_such_operator"); }, swath::ErrorCode::param, "info",
               "op", {"no_such_operator"});
}

void every_kernel_agrees(const Example& example) {
  for (const std::string& kernel : swath::kernel_names("sliding_conv")) {
    const std::string before = swath::force_kernel(kernel);
    try {
      CHECK(is_close(example.run(example.plan()), example.y));
    } catch (const swath::Error& error) {
      CHECK(error.code() == swath::ErrorCode::unsupported);  // this kernel cannot serve the example
    }
    swath::force_kernel(before);
  }
}

}  // namespace

int main() {
  swath::set_num_threads(4);
  const Example example;
  result_is_right(example);
  one_plan_runs_on_many_threads(example);
  host_executor_is_used(example);
  run_allocates_nothing(example);
  own_workspace_is_kept(example);
  errors_say_what_was_found(example);
  every_kernel_agrees(example);
  return swath_test::exit_status();
}
