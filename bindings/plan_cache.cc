#include "plan_cache.h"

#include <algorithm>

namespace swath::python {
namespace {

bool same(const TensorDesc& a, const TensorDesc& b) noexcept {
  if (a.rank != b.rank || a.dtype != b.dtype || !(a.device == b.device)) return false;
  return std::equal(a.shape.begin(), a.shape.begin() + a.rank, b.shape.begin()) &&
         std::equal(a.strides.begin(), a.strides.begin() + a.rank, b.strides.begin());
}

bool same(const std::optional<TensorDesc>& a, const TensorDesc* b) noexcept {
  return a ? b != nullptr && same(*a, *b) : b == nullptr;
}

std::optional<TensorDesc> to_optional(const TensorDesc* d) {
  return d != nullptr ? std::optional(*d) : std::nullopt;
}

}  // namespace

std::optional<Plan> PlanCache::find(const Key& key) const {
  const std::lock_guard lock(mutex_);
  for (const Entry& e : entries_) {
    if (e.is_in_place == key.is_in_place && same(e.x, *key.x) && same(e.extra, key.extra) &&
        same(e.out, key.out)) {
      return e.plan;
    }
  }
  return std::nullopt;
}

void PlanCache::insert(const Key& key, const Plan& plan) {
  Entry entry{*key.x, to_optional(key.extra), to_optional(key.out), key.is_in_place, plan};
  const std::lock_guard lock(mutex_);
  if (entries_.size() < kCapacity) {
    entries_.push_back(std::move(entry));
    return;
  }
  entries_[next_] = std::move(entry);
  next_ = (next_ + 1) % kCapacity;
}

}  // namespace swath::python
