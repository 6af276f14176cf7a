// The default pool. Eigen's ThreadPool was the design's first choice, but it starts all threads at
// construction, joins them in its destructor (which hangs in a forked child) and has no bound on
// spinning that a caller can set, so this is the small pool that the design allows instead.
#include <swath/executor.h>

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include <swath/error.h>

#include "core/format.h"

namespace swath {
namespace {

class Serial final : public Executor {
 public:
  int concurrency() const noexcept override { return 1; }
  void parallel_for(int64_t n, int64_t, int, RangeFn fn) noexcept override {
    if (n > 0) fn(0, n, 0);
  }
};

/// One parallel_for in flight; lives on its caller's stack.
struct Job {
  Job(RangeFn f, int64_t count, int64_t step, int limit)
      : fn(f), n(count), grain(step), max_workers(limit) {}

  RangeFn fn;
  int64_t n, grain;
  int max_workers;
  std::atomic<int64_t> next{0};
  int n_workers = 1;  // ids handed out, the caller has 0; guarded by the pool's mutex
  int n_active = 0;   // pool threads inside; guarded by the pool's mutex
  std::condition_variable done;

  void work(int worker) {
    for (;;) {
      const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= n) return;
      fn(begin, begin + grain < n ? begin + grain : n, worker);
    }
  }
  bool wants_help() const {
    return n_workers < max_workers && next.load(std::memory_order_relaxed) < n;
  }
};

class Pool final : public Executor {
 public:
  int concurrency() const noexcept override { return n_threads_.load(std::memory_order_relaxed); }
  void set_concurrency(int n) noexcept { n_threads_.store(n, std::memory_order_relaxed); }

  void parallel_for(int64_t n, int64_t grain, int max_workers, RangeFn fn) noexcept override {
    if (n <= 0) return;
    const int64_t n_chunks = (n + grain - 1) / grain;
    int limit = max_workers < concurrency() ? max_workers : concurrency();
    if (n_chunks < limit) limit = static_cast<int>(n_chunks);
    if (limit <= 1) return fn(0, n, 0);
    Job job(fn, n, grain, limit);
    {
      std::lock_guard lock(mutex_);
      start_threads(limit - 1);
      jobs_.push_back(&job);
      n_jobs_.store(static_cast<int>(jobs_.size()), std::memory_order_release);
    }
    if (limit == 2) {
      wake_.notify_one();
    } else {
      wake_.notify_all();
    }
    job.work(0);
    std::unique_lock lock(mutex_);
    std::erase(jobs_, &job);
    n_jobs_.store(static_cast<int>(jobs_.size()), std::memory_order_release);
    job.done.wait(lock, [&] { return job.n_active == 0; });
  }

 private:
  /// With the mutex held. A thread that cannot be started is work that the caller does itself.
  void start_threads(int n) noexcept {
    while (n_started_ < n) {
      try {
        std::thread([this] { loop(); }).detach();
      } catch (...) {
        return;
      }
      ++n_started_;
    }
  }

  Job* find_job() {
    for (Job* job : jobs_) {
      if (job->wants_help()) return job;
    }
    return nullptr;
  }

  void loop() {
    for (;;) {
      spin();
      std::unique_lock lock(mutex_);
      Job* job = nullptr;
      wake_.wait(lock, [&] { return (job = find_job()) != nullptr; });
      const int worker = job->n_workers++;
      ++job->n_active;
      lock.unlock();
      job->work(worker);
      lock.lock();
      if (--job->n_active == 0) job->done.notify_one();
    }
  }

  /// At most 20 microseconds: a kernel that follows at once finds the thread awake.
  void spin() const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
    while (n_jobs_.load(std::memory_order_acquire) == 0 && std::chrono::steady_clock::now() < end) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job*> jobs_;
  std::atomic<int> n_jobs_{0};
  int n_started_ = 0;
  std::atomic<int> n_threads_{1};
};

/// CPUs in the affinity mask, cut to the cgroup's quota where there is one.
int default_concurrency() {
  int n = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) n = CPU_COUNT(&set);
  if (std::FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long long quota = 0, period = 0;
    if (std::fscanf(f, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0) {
      const int share = static_cast<int>((quota + period - 1) / period);
      if (share < n) n = share;
    }
    std::fclose(f);
  }
#endif
  return n < 1 ? 1 : n;
}

std::atomic<Pool*> g_pool{nullptr};

/// The child of a fork has none of the pool's threads, and perhaps a locked mutex: it starts anew
/// with the same setting. The old pool is left alone on purpose.
void drop_pool_in_child() {
  const Pool* old = g_pool.load();
  if (old == nullptr) return;
  Pool* fresh = new Pool;
  fresh->set_concurrency(old->concurrency());
  g_pool.store(fresh);
}

Pool& pool() {
  static const bool made = [] {
    Pool* p = new Pool;  // never destroyed: threads may outlive static destructors
    p->set_concurrency(default_concurrency());
    g_pool.store(p);
    pthread_atfork(nullptr, nullptr, drop_pool_in_child);
    return true;
  }();
  (void)made;
  return *g_pool.load();
}

}  // namespace

Executor& default_executor() noexcept { return pool(); }

Executor& serial_executor() noexcept {
  static Serial serial;
  return serial;
}

void set_num_threads(int n) {
  if (n < 1 || n > 4096) {
    throw Error(ErrorCode::param, "set_num_threads", "n",
                format("n is {}, needed is a number from 1 to 4096", n));
  }
  pool().set_concurrency(n);
}

int num_threads() noexcept { return pool().concurrency(); }

}  // namespace swath
