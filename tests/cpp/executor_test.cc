// The default pool, also under the thread sanitizer: ranges, worker ids, nesting, many callers,
// settings, idling and fork.
#include <swath/error.h>
#include <swath/executor.h>

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

// GCC defines the first, Clang knows the second.
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

namespace {

using swath::default_executor;

long n_process_threads() {
  const auto tasks = std::filesystem::directory_iterator("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Runs one loop and says whether every index came once and no worker id was used twice at a time.
bool covers_once(swath::Executor& executor, int64_t n, int64_t grain, int max_workers) {
  std::vector<std::atomic<int>> seen(n), busy(max_workers);
  std::atomic<bool> ok{true};
  executor.parallel_for(n, grain, max_workers, [&](int64_t begin, int64_t end, int worker) {
    const bool legal = 0 <= begin && begin < end && end <= n && 0 <= worker && worker < max_workers;
    if (!legal || busy[worker].exchange(1) != 0) {
      ok = false;
      return;
    }
    for (int64_t i = begin; i < end; ++i) ++seen[i];
    busy[worker] = 0;
  });
  for (const auto& count : seen) ok = ok && count == 1;
  return ok;
}

void one_thread_starts_none() {
  swath::set_num_threads(1);
  const long before = n_process_threads();
  CHECK(covers_once(default_executor(), 1000, 1, 8));
  CHECK(n_process_threads() == before);
}

void ranges_are_covered_once() {
  swath::set_num_threads(4);
  for (const int64_t n : {0, 1, 2, 7, 64, 1000}) {
    for (const int64_t grain : {1, 3, 64, 2000}) {
      for (const int workers : {1, 2, 3, 7}) {
        CHECK(covers_once(default_executor(), n, grain, workers));
        CHECK(covers_once(swath::serial_executor(), n, grain, workers));
      }
    }
  }
}

void nested_calls_finish() {
  std::atomic<int64_t> sum{0};
  default_executor().parallel_for(8, 1, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      default_executor().parallel_for(100, 7, 4, [&](int64_t b, int64_t e, int) { sum += e - b; });
    }
  });
  CHECK(sum == 800);
}

void many_callers_share_the_pool() {
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([t] {
      for (int i = 0; i < 100; ++i) CHECK(covers_once(default_executor(), 50 + t, 1 + i % 5, 4));
    });
  }
  for (auto& caller : callers) caller.join();
}

void settings_are_checked() {
  for (const int n : {0, -1, 100000}) {
    try {
      swath::set_num_threads(n);
      CHECK(!"set_num_threads took a wrong number");
    } catch (const swath::Error& error) {
      CHECK(error.code() == swath::ErrorCode::param);
      CHECK(std::string(error.what()).find(std::to_string(n)) != std::string::npos);
    }
  }
  swath::set_num_threads(3);
  CHECK(swath::num_threads() == 3);
  CHECK(default_executor().concurrency() == 3);
}

void settings_may_change_beside_a_run() {
  std::thread setter([] {
    for (int i = 0; i < 200; ++i) swath::set_num_threads(1 + i % 4);
  });
  for (int i = 0; i < 200; ++i) CHECK(covers_once(default_executor(), 40, 1, 4));
  setter.join();
  swath::set_num_threads(4);
}

void idle_threads_sleep() {
  CHECK(covers_once(default_executor(), 100, 1, 4));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(cpu_seconds() - before < 0.05);
}

#ifndef THREAD_SANITIZER  // its runtime cannot start threads in the child of a threaded process
/// True if the child of a fork could use the pool and ended by itself within ten seconds.
bool child_can_run() {
  const pid_t child = fork();
  if (child == 0) {
    const bool ok = swath::num_threads() == 4 && covers_once(default_executor(), 1000, 3, 4);
    _exit(ok ? 0 : 1);
  }
  for (int i = 0; i < 1000; ++i) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) && status == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return false;
}

void pool_survives_fork() {
  CHECK(child_can_run());
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) CHECK(covers_once(default_executor(), 200, 1, 4));
  });
  for (int i = 0; i < 10; ++i) CHECK(child_can_run());
  stop = true;
  busy.join();
  CHECK(covers_once(default_executor(), 1000, 3, 4));
}
#endif

}  // namespace

int main() {
  one_thread_starts_none();  // first: nothing has started a thread yet
  ranges_are_covered_once();
  nested_calls_finish();
  many_callers_share_the_pool();
  settings_are_checked();
  settings_may_change_beside_a_run();
  idle_threads_sleep();
#ifndef THREAD_SANITIZER
  pool_survives_fork();
#endif
  return swath_test::exit_status();
}
