// The plan object behind DynamicConv1d and the state of a stream.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "buffer.h"
#include "call.h"
#include "made.h"
#include "ops/dynamic_conv.h"
#include "plan_cache.h"

namespace swath::python {

/// The end of what a stream has seen: its last `columns` elements, right-aligned.
class DynamicState : public Made {
 public:
  /// channels -1: as many as the first chunk has. `data` is the history's bytes, of a state that
  /// was pickled.
  static std::unique_ptr<DynamicState> make(const std::string& dtype, const std::string& layout,
                                            int64_t columns, int64_t batch, int64_t channels,
                                            int64_t n_seen, const py::bytes& data);

  TensorDesc history_desc(int64_t n_channels) const;
  /// Makes the history, of zeros, if there is none.
  void set_channels(int64_t n_channels);
  /// Moves a chunk in at the end.
  void push(const void* x, const TensorDesc& desc);
  py::tuple parts() const;

  DType dtype = DType::f32;
  Layout layout = Layout::channels_first;
  int64_t columns = 0, batch = 0, channels = -1, n_seen = 0;
  std::optional<Buffer> history;
};

class DynamicConvPlan : public Made {
 public:
  static std::unique_ptr<DynamicConvPlan> make(py::handle weight, const DynamicOptions& options,
                                               py::handle threads);

  py::object run(py::handle x, py::handle out, py::handle threads) const;
  /// What DynamicState::make takes, for a stream of this plan.
  py::tuple state_parts(py::handle batch, py::handle channels) const;
  /// One chunk, or with `is_end` an empty one and what the padding behind it adds.
  py::object step(py::handle x, DynamicState& state, py::handle weight, py::handle out,
                  py::handle threads, bool is_end) const;

  /// For a contiguous x of this shape and the weight's dtype, for counting work.
  Plan plan_for(const std::vector<int64_t>& shape) const;
  size_t workspace_bytes(const std::vector<int64_t>& shape) const;
  const Buffer& weight() const { return *weight_; }

 private:
  int64_t n_taps() const { return weight_->desc.shape[1]; }
  std::array<int64_t, 2> pads() const;
  void check_state(const TensorDesc& x, const DynamicState& state) const;
  const TensorDesc& read_weight(Call& call, py::handle weight, const TensorDesc& x) const;
  int threads_of_call(const char* op, py::handle threads) const;
  template <class MakePlan>
  Plan cached(PlanCache& cache, const Call& call, const PlanCache::Key& key, bool is_common,
              const MakePlan& make_plan) const;

  std::optional<Buffer> weight_;
  DynamicConvParams params_;
  int n_threads_ = 0;
  mutable PlanCache calls_, steps_;
};

}  // namespace swath::python
