// Plans that a plan object has made for earlier calls.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include <swath/plan.h>

namespace swath::python {

/// Plans already made by one plan object, by what their calls' arrays look like. Safe from many
/// threads.
class PlanCache {
 public:
  /// Null descriptions are absent arrays.
  struct Key {
    const TensorDesc* x;
    const TensorDesc* extra;  // residual or mask
    const TensorDesc* out;
    bool is_in_place;
  };

  std::optional<Plan> find(const Key& key) const;
  void insert(const Key& key, const Plan& plan);

 private:
  static constexpr size_t kCapacity = 8;
  struct Entry {
    TensorDesc x;
    std::optional<TensorDesc> extra, out;
    bool is_in_place;
    Plan plan;
  };

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  size_t next_ = 0;  // the entry to replace once full
};

}  // namespace swath::python
