#pragma once

#include <cstdint>
#include <memory>

#include <swath/export.h>

namespace swath {

/// A borrowed callable void(begin, end, worker); lives as long as the call it is passed to.
class RangeFn {
 public:
  template <class F>
  RangeFn(const F& f) noexcept  // NOLINT: implicit, so that a lambda can be passed
      : object_(&f), call_([](const void* o, int64_t begin, int64_t end, int worker) {
          (*static_cast<const F*>(o))(begin, end, worker);
        }) {}
  void operator()(int64_t begin, int64_t end, int worker) const {
    call_(object_, begin, end, worker);
  }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int64_t, int);
};

/// Where the work of one run goes. A host may supply its own; swath then starts no thread.
class SWATH_API Executor {
 public:
  virtual ~Executor() = default;
  /// The number of workers that parallel_for may use; worker ids are below it.
  virtual int concurrency() const noexcept = 0;
  /// Calls fn on disjoint ranges that cover [0, n), each range at most `grain` long, and returns
  /// when all are done. No two concurrent calls of fn may have the same worker id.
  virtual void parallel_for(int64_t n, int64_t grain, int max_workers, RangeFn fn) noexcept = 0;
};

/// swath's own pool: threads start at first use, sleep when idle, and are dropped after fork.
SWATH_API Executor& default_executor() noexcept;
/// Runs everything on the calling thread.
SWATH_API Executor& serial_executor() noexcept;

/// Threads of the default executor: from the affinity mask and the cgroup quota unless set.
SWATH_API void set_num_threads(int n);
SWATH_API int num_threads() noexcept;

}  // namespace swath
