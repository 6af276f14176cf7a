// A tile of queries, and what a run of keys is. Included by *.isa.cc only.
#pragma once

#include "ops/attention/problem.h"
#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

/// Lanes at one place of an axis.
struct LanePlace {
  int64_t place;
  uint32_t lanes;
};

/// Queries of one task. Lane l is query token[l]; on axis a of the grid the lanes stand at
/// places[a][0, n_places[a]).
struct QueryTile {
  int n = 0;
  uint32_t all = 0;     // a bit for each lane
  uint32_t prefix = 0;  // those of prefix tokens
  int64_t b = 0, h = 0;
  int64_t token[kMaxTile];
  int n_places[kMaxTokenAxes] = {};
  LanePlace places[kMaxTokenAxes][kMaxTile];
};

/// Lanes that see the units [lo, hi) of an axis.
struct LaneInterval {
  int64_t lo, hi;
  uint32_t lanes;
};

/// Bits of the lanes that see each of the units [unit, unit + n).
SWATH_ALWAYS_INLINE void interval_bits(const LaneInterval* intervals, int n_intervals,
                                       uint32_t among, int64_t unit, int64_t n, uint16_t* bits) {
  for (int64_t i = 0; i < n; ++i) bits[i] = 0;
  uint16_t always = 0;  // seen from the first key on
  for (int g = 0; g < n_intervals; ++g) {
    const int64_t begin = intervals[g].lo - unit, end = intervals[g].hi - unit;
    if (begin >= n || end <= 0 || begin >= end) continue;
    const auto lanes = static_cast<uint16_t>(intervals[g].lanes & among);
    if (begin > 0) {
      bits[begin] ^= lanes;
    } else {
      always ^= lanes;
    }
    if (end < n) bits[end] ^= lanes;
  }
  for (int64_t i = 0; i < n; ++i) bits[i] = always = static_cast<uint16_t>(always ^ bits[i]);
}

/// Keys of a row whose bits are kept for all rows of a tile.
inline constexpr int64_t kMaxColumns = 64;

/// Keys first, first + step, ... of the main keys (source -1) or of an extra array.
struct KeyRun {
  int32_t source = -1;
  uint32_t lanes = 0;  // that may see it
  int64_t first = 0, step = 1, count = 0;
  // Key j of the run is unit + j of the intervals, which are disjoint in their lanes; null: every
  // lane sees all keys.
  const LaneInterval* intervals = nullptr;
  int n_intervals = 0;
  int64_t unit = 0;
  // Which lanes see each key, as far as they are in `lanes`: given beside the intervals where the
  // rows of a tile share them, or alone.
  const uint16_t* bits = nullptr;
  double add = 0;          // to the logits
  int64_t level = 1;       // keys that are seen as one mean
  bool is_causal = false;  // lanes see no keys after their own place
  int64_t outer[2] = {};   // units of the axes before the run's, for a relative table
  bool has_place = false;
};

struct RunSink {
  void (*take)(void* self, const KeyRun& run);
  void* self;
  __attribute__((always_inline)) void operator()(const KeyRun& run) const { take(self, run); }
};

SWATH_ALWAYS_INLINE int first_lane(uint32_t lanes) { return __builtin_ctz(lanes); }

/// The lane's bit where the condition holds. A function because GCC 12's shift sanitizer evaluates
/// an array index inside `(a[l] < b ? 1u : 0u) << l` on the failing path only and then reads
/// a[junk].
SWATH_ALWAYS_INLINE uint32_t lane_if(bool holds, int l) { return (holds ? 1u : 0u) << l; }

/// Runs f(lane) over the set bits.
template <class F>
SWATH_ALWAYS_INLINE void for_bits(uint32_t lanes, const F& f) {
  for (; lanes != 0; lanes &= lanes - 1) f(first_lane(lanes));
}

QueryTile make_tile(const AttentionProblem& p, int64_t task) {
  QueryTile t;
  int64_t tile = task % p.n_tiles();
  const int64_t bh = task / p.n_tiles();
  t.b = bh / p.n_heads;
  t.h = bh % p.n_heads;
  if (tile < p.n_prefix_tiles()) {
    const int64_t first = tile * p.tile;
    t.n = static_cast<int>(p.n_prefix - first < p.tile ? p.n_prefix - first : p.tile);
    for (int l = 0; l < t.n; ++l) t.token[l] = first + l;
    t.all = t.prefix = (1u << t.n) - 1;
    return t;
  }
  tile -= p.n_prefix_tiles();
  const int64_t* places[kMaxTokenAxes];
  int n[kMaxTokenAxes];
  for (int a = kMaxTokenAxes - 1; a >= 0; --a) {
    const QueryAxis& axis = p.axes[a];
    const int64_t i = tile % axis.n_tiles;
    tile /= axis.n_tiles;
    places[a] = axis.order + axis.first[i];
    n[a] = static_cast<int>(axis.first[i + 1] - axis.first[i]);
    t.n_places[a] = n[a];
    for (int at = 0; at < n[a]; ++at) t.places[a][at] = {places[a][at], 0};
  }
  for (int z = 0; z < n[0]; ++z) {
    for (int y = 0; y < n[1]; ++y) {
      const int64_t row = (places[0][z] * p.axes[1].length + places[1][y]) * p.axes[2].length;
      for (int x = 0; x < n[2]; ++x, ++t.n) {
        t.token[t.n] = p.n_prefix + row + places[2][x];
        t.places[0][z].lanes |= 1u << t.n;
        t.places[1][y].lanes |= 1u << t.n;
        t.places[2][x].lanes |= 1u << t.n;
      }
    }
  }
  t.all = (1u << t.n) - 1;
  return t;
}

}  // namespace
}  // namespace swath::SWATH_ISA
