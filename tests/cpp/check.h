// A failed CHECK prints where and goes on; main returns exit_status().
#pragma once

#include <atomic>
#include <cstdio>

namespace swath_test {

inline std::atomic<int> n_failures{0};

inline void report(bool ok, const char* text, const char* file, int line) {
  if (ok) return;
  ++n_failures;
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
}

inline int exit_status() {
  const int n = n_failures;
  if (n > 0) std::fprintf(stderr, "%d checks failed\n", n);
  return n > 0 ? 1 : 0;
}

}  // namespace swath_test

#define CHECK(condition) \
  swath_test::report(static_cast<bool>(condition), #condition, __FILE__, __LINE__)
