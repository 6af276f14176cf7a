// Which keys of a run each query sees, unions, and all runs of a tile. Included by *.isa.cc only.
#pragma once

#include "ops/attention/walker.h"

namespace swath::SWATH_ISA {
namespace {

/// Takes away the lanes that lie before their key.
SWATH_ALWAYS_INLINE void clip_causal(const KeyRun& run, const QueryTile& t, int64_t shift,
                                     int64_t j, int64_t n, uint16_t* bits) {
  const int64_t first = run.first + j * run.step;
  for_bits(run.lanes, [&](int l) {
    const int64_t last = t.token[l] + shift - first;  // counted from the first key
    const int64_t n_seen = last < 0 ? 0 : last / run.step + 1;
    for (int64_t i = n_seen; i < n; ++i) bits[i] = static_cast<uint16_t>(bits[i] & ~(1u << l));
  });
}

/// Which lanes see the run's keys [j, j + n).
void run_bits(const KeyRun& run, const QueryTile& t, int64_t shift, int64_t j, int64_t n,
              uint16_t* bits) {
  if (run.bits != nullptr) {
    for (int64_t i = 0; i < n; ++i) bits[i] = static_cast<uint16_t>(run.bits[j + i] & run.lanes);
  } else if (run.intervals != nullptr) {
    interval_bits(run.intervals, run.n_intervals, run.lanes, run.unit + j, n, bits);
  } else {
    for (int64_t i = 0; i < n; ++i) bits[i] = static_cast<uint16_t>(run.lanes);
  }
  if (run.is_causal) clip_causal(run, t, shift, j, n, bits);
}

/// Keys of a union are marked in a map of this many at a time.
inline constexpr int64_t kUnionKeys = 4096;

struct UnionMap {
  const AttentionProblem& problem;
  const QueryTile& tile;
  uint16_t* bits;
  int64_t begin, end;
};

void mark_run(void* self, const KeyRun& run) {
  UnionMap& map = *static_cast<UnionMap*>(self);
  constexpr int64_t kStep = 64;
  for (int64_t j = 0; j < run.count; j += kStep) {
    const int64_t n = run.count - j < kStep ? run.count - j : kStep;
    const int64_t first = run.first + j * run.step;
    if (first >= map.end || first + (n - 1) * run.step < map.begin) continue;
    uint16_t bits[kStep];
    run_bits(run, map.tile, map.problem.causal_shift, j, n, bits);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t key = first + i * run.step;
      if (key < map.begin || key >= map.end) continue;
      map.bits[key - map.begin] = static_cast<uint16_t>(map.bits[key - map.begin] | bits[i]);
    }
  }
}

void walk_union(const AttentionProblem& p, const Buffers& b, const QueryTile& t, uint16_t* memory,
                const RunSink& sink) {
  for (int64_t begin = 0; begin < p.n_k; begin += kUnionKeys) {
    UnionMap map{p, t, memory, begin, begin + kUnionKeys < p.n_k ? begin + kUnionKeys : p.n_k};
    const int64_t n = map.end - begin;
    for (int64_t i = 0; i < n; ++i) memory[i] = 0;
    const RunSink mark{mark_run, &map};
    for (int m = 0; m < p.n_patterns; ++m) {
      Walker walker{p, p.patterns[m], b, t, mark};
      walker.walk();
    }
    for (int64_t i = 0; i < n;) {
      if (memory[i] == 0) {
        ++i;
        continue;
      }
      KeyRun run;
      int64_t end = i;
      for (; end < n && memory[end] != 0; ++end) run.lanes |= memory[end];
      run.first = begin + i;
      run.count = end - i;
      run.bits = memory + i;
      sink(run);
      i = end;
    }
  }
}

/// All runs of a tile, extra keys last.
void walk_tile(const AttentionProblem& p, const Buffers& b, const QueryTile& t, uint16_t* memory,
               const RunSink& sink) {
  if (p.n_patterns > 1) {
    walk_union(p, b, t, memory, sink);
  } else {
    Walker walker{p, p.patterns[0], b, t, sink};
    walker.walk();
  }
  for (int e = 0; e < p.n_extras; ++e) {
    KeyRun run;
    run.source = e;
    run.lanes = p.extras[e].grid_only ? t.all & ~t.prefix : t.all;
    run.count = p.extras[e].n;
    run.add = p.extras[e].log_weight;
    if (run.lanes != 0 && run.count > 0) sink(run);
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
