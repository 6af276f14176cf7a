// A pattern's runs of keys for a tile of queries. Included by *.isa.cc only.
#pragma once

#include "ops/attention/tile.h"

namespace swath::SWATH_ISA {
namespace {

/// The last axes of a pattern are the tile's: axis a of n_axes is the tile's axis a + 3 - n_axes.
struct Walker {
  const AttentionProblem& problem;
  const KeyPattern& pattern;
  const Buffers& buffers;
  const QueryTile& tile;
  const RunSink& sink;
  LanePlace own_places[kMaxTokenAxes][kMaxTile];
  const LanePlace* places[kMaxTokenAxes];  // the tile's, or its own
  int n_places[kMaxTokenAxes];
  LaneInterval seen[kMaxTokenAxes][kMaxTile];  // of the lanes of one class
  int n_seen[kMaxTokenAxes];
  int64_t from[kMaxTokenAxes], to[kMaxTokenAxes];  // the box of units
  int64_t phase[kMaxTokenAxes], n_class[kMaxTokenAxes];
  // Of the last axis: whether every lane sees the whole box, or which lanes see each column.
  bool is_uniform = false, has_columns = false;
  uint16_t columns[kMaxColumns];

  Walker(const AttentionProblem& p, const KeyPattern& k, const Buffers& b, const QueryTile& t,
         const RunSink& s)
      : problem(p), pattern(k), buffers(b), tile(t), sink(s) {}

  void emit(KeyRun& run) const {
    run.is_causal = pattern.is_causal;
    sink(run);
  }

  void find_places(uint32_t lanes) {
    const int n = pattern.n_axes;
    if (pattern.shares_tiles) {
      for (int a = 0; a < n; ++a) {
        const int own = a + kMaxTokenAxes - n;
        n_places[a] = tile.n_places[own];
        places[a] = tile.places[own];
      }
      return;
    }
    for (int a = 0; a < n; ++a) {
      n_places[a] = 0;
      places[a] = own_places[a];
    }
    for_bits(lanes, [&](int l) {
      int64_t at = tile.token[l] - pattern.n_prefix;
      for (int a = n - 1; a > 0; --a) {
        own_places[a][n_places[a]++] = {at % pattern.query_extent[a], 1u << l};
        at /= pattern.query_extent[a];
      }
      own_places[0][n_places[0]++] = {at, 1u << l};
    });
  }

  /// The place of a unit.
  __attribute__((always_inline)) int64_t place_of(int a, int64_t u) const {
    const KeyAxis& axis = pattern.axes[a];
    if (axis.wraps) u = ((u % n_class[a]) + n_class[a]) % n_class[a];
    int64_t at = u * axis.dilation + phase[a] + axis.rotation;
    return at >= axis.n_k ? at - axis.n_k : at;
  }

  /// Keys [from, to) of the last axis behind the place `row` of the axes before it.
  void emit_row(KeyRun& run, int64_t row, int64_t begin, int64_t end) {
    const int a = pattern.n_axes - 1;
    const KeyAxis& axis = pattern.axes[a];
    run.step = axis.dilation;
    run.has_place = true;
    const bool is_cut = axis.wraps || axis.rotation != 0;
    for (int64_t u = begin; u < end;) {
      int64_t n = end - u;
      const int64_t at = place_of(a, u);
      if (is_cut) {
        const int64_t left = (axis.n_k - at + axis.dilation - 1) / axis.dilation;
        if (n > left) n = left;
      }
      run.unit = u;
      run.count = n;
      run.bits = has_columns ? columns + (u - begin) : nullptr;
      run.first = pattern.n_prefix + row * axis.n_k + at;
      emit(run);
      u += n;
    }
  }

  /// Which of `lanes` see unit u of an axis.
  uint32_t lanes_at(int a, int64_t u, uint32_t lanes) const {
    uint32_t inside = 0;
    for (int i = 0; i < n_seen[a]; ++i) {
      inside |= u >= seen[a][i].lo && u < seen[a][i].hi ? seen[a][i].lanes : 0;
    }
    return inside & lanes;
  }

  /// The rows of the axes before the last, of lanes of one class.
  void walk_rows(int a, int64_t row, uint32_t lanes, KeyRun& run) {
    if (a == pattern.n_axes - 1) {
      run.lanes = lanes;
      run.intervals = is_uniform ? nullptr : seen[a];
      run.n_intervals = n_seen[a];
      emit_row(run, row, from[a], to[a]);
      return;
    }
    for (int64_t u = from[a]; u < to[a]; ++u) {
      const uint32_t inside = lanes_at(a, u, lanes);
      if (inside == 0) continue;
      run.outer[a] = u;
      walk_rows(a + 1, row * pattern.axes[a].n_k + place_of(a, u), inside, run);
    }
  }

  /// What all rows of a box share.
  void find_columns() {
    const int a = pattern.n_axes - 1;
    is_uniform = true;
    for (int i = 0; i < n_seen[a]; ++i) {
      is_uniform = is_uniform && seen[a][i].lo == from[a] && seen[a][i].hi == to[a];
    }
    has_columns = !is_uniform && to[a] - from[a] <= kMaxColumns;
    if (has_columns) interval_bits(seen[a], n_seen[a], ~0u, from[a], to[a] - from[a], columns);
  }

  /// The units of an axis that any of the lanes sees.
  void set_box(int a) {
    from[a] = INT64_MAX;
    to[a] = INT64_MIN;
    for (int i = 0; i < n_seen[a]; ++i) {
      const LaneInterval& s = seen[a][i];
      if (s.lo >= s.hi) continue;
      if (s.lo < from[a]) from[a] = s.lo;
      if (s.hi > to[a]) to[a] = s.hi;
    }
    if (a == pattern.n_axes - 1 && from[a] < to[a]) find_columns();
  }

  /// seen[a] = what f(place) says of the places of `lanes`; neighbours that see the same are one.
  template <class F>
  __attribute__((always_inline)) void set_seen(int a, uint32_t lanes, const F& f) {
    n_seen[a] = 0;
    for (int i = 0; i < n_places[a]; ++i) {
      const uint32_t here = places[a][i].lanes & lanes;
      if (here == 0) continue;
      LaneInterval s = f(places[a][i].place);
      if (n_seen[a] > 0) {
        LaneInterval& last = seen[a][n_seen[a] - 1];
        if (last.lo == s.lo && last.hi == s.hi) {
          last.lanes |= here;
          continue;
        }
      }
      s.lanes = here;
      seen[a][n_seen[a]++] = s;
    }
    set_box(a);
  }

  /// Lanes in the class of the first one.
  uint32_t same_class(uint32_t lanes) {
    const uint32_t first = lanes & (0 - lanes);
    for (int a = 0; a < pattern.n_axes; ++a) {
      const KeyAxis& axis = pattern.axes[a];
      const int64_t d = axis.dilation;
      phase[a] = 0;
      if (d > 1) {
        for (int i = 0; i < n_places[a]; ++i) {
          if ((places[a][i].lanes & first) != 0) phase[a] = places[a][i].place % d;
        }
        for (int i = 0; i < n_places[a]; ++i) {
          if (places[a][i].place % d != phase[a]) lanes &= ~places[a][i].lanes;
        }
      }
      n_class[a] = d == 1 ? axis.n_k : (axis.n_k - phase[a] + d - 1) / d;
    }
    return lanes;
  }

  void walk_intervals(uint32_t lanes) {
    while (lanes != 0) {
      const uint32_t same = same_class(lanes);
      lanes &= ~same;
      for (int a = 0; a < pattern.n_axes; ++a) {
        const KeyAxis& axis = pattern.axes[a];
        set_seen(a, same, [&](int64_t i) { return LaneInterval{axis.lo[i], axis.hi[i], 0}; });
      }
      if (pattern.has_regions) {
        walk_regions(same);
      } else {
        KeyRun run;
        walk_rows(0, 0, same, run);
      }
    }
  }

  /// A window around the end: keys of the query's own region as they are, the others with
  /// mask_value.
  void walk_regions(uint32_t lanes) {
    // For each choice of inside, before or after the region on each axis: a box of its own.
    const int n = pattern.n_axes;
    for (int choice = 0; choice < (1 << (2 * n)); ++choice) {
      bool is_used = true;
      for (int a = 0; a < n; ++a) {
        const int part = choice >> (2 * a) & 3;  // 0 own region, 1 before it, 2 after it
        if (part == 3) is_used = false;
        const KeyAxis& axis = pattern.axes[a];
        set_seen(a, lanes, [&](int64_t i) {
          const int64_t begin = axis.region_lo[i], end = axis.region_hi[i];
          return LaneInterval{part == 0   ? begin
                              : part == 1 ? axis.lo[i]
                                          : end,
                              part == 0   ? end
                              : part == 1 ? begin
                                          : axis.hi[i],
                              0};
        });
      }
      if (!is_used) continue;
      KeyRun run;
      run.add = choice == 0 ? 0 : pattern.mask_value;
      walk_rows(0, 0, lanes, run);
    }
  }

  /// |place - u| of one lane.
  int64_t distance(int a, int lane, int64_t u) const {
    for (int i = 0; i < n_places[a]; ++i) {
      const int64_t delta = u - places[a][i].place;
      if ((places[a][i].lanes >> lane & 1) != 0) return delta < 0 ? -delta : delta;
    }
    return 0;
  }

  void walk_disk(int a, int64_t row, uint32_t lanes, KeyRun& run) {
    const KeyAxis& axis = pattern.axes[a];
    const int64_t reach = pattern.reach;
    phase[a] = 0;
    n_class[a] = axis.n_k;
    if (a < pattern.n_axes - 1) {
      set_seen(a, lanes, [&](int64_t i) {
        const int64_t end = i + reach + 1;
        return LaneInterval{i < reach ? 0 : i - reach, end < axis.n_k ? end : axis.n_k, 0};
      });
      const int64_t end = to[a];
      for (int64_t u = from[a]; u < end; ++u) {
        const uint32_t inside = lanes_at(a, u, lanes);
        run.outer[a] = u;
        if (inside != 0) walk_disk(a + 1, row * axis.n_k + u, inside, run);
      }
      return;
    }
    uint32_t reached = 0;
    n_seen[a] = 0;
    for (int i = 0; i < n_places[a]; ++i) {
      const int64_t at = places[a][i].place;
      for_bits(places[a][i].lanes & lanes, [&](int l) {
        int64_t index = 0;
        for (int outer = 0; outer < a; ++outer) {
          index = index * (reach + 1) + distance(outer, l, run.outer[outer]);
        }
        const int64_t width = pattern.widths[index];
        if (width < 0) return;
        const int64_t end = at + width + 1;
        seen[a][n_seen[a]++] = {at < width ? 0 : at - width, end < axis.n_k ? end : axis.n_k,
                                1u << l};
        reached |= 1u << l;
      });
    }
    set_box(a);
    if (reached != 0) walk_rows(a, row, reached, run);
  }

  void walk_segments(uint32_t lanes) {
    int64_t segment[kMaxTile];
    for_bits(lanes, [&](int l) {
      int64_t low = 0, high = pattern.n_segments;  // the last start at or before the token
      while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        (pattern.starts[middle] <= tile.token[l] - pattern.n_prefix ? low : high) = middle;
      }
      segment[l] = low;
    });
    for (int64_t s = 0; s < pattern.n_segments; ++s) {
      KeyRun run;
      for_bits(lanes, [&](int l) {
        run.lanes |= lane_if(pattern.visible[segment[l] * pattern.n_segments + s] != 0, l);
      });
      run.first = pattern.n_prefix + pattern.starts[s];
      run.count = pattern.starts[s + 1] - pattern.starts[s];
      if (run.lanes != 0 && run.count > 0) emit(run);
    }
  }

  void walk_blocks(uint32_t lanes) {
    const auto* list = static_cast<const int32_t*>(buffers.read(pattern.list));
    const auto* counts = static_cast<const int32_t*>(buffers.read(pattern.counts));
    const int32_t* levels = nullptr;
    if (pattern.has_levels) levels = static_cast<const int32_t*>(buffers.read(pattern.levels));
    const int64_t n_keys = problem.n_k - pattern.n_prefix;
    while (lanes != 0) {
      const int64_t block = (tile.token[first_lane(lanes)] - pattern.n_prefix) / pattern.block_q;
      uint32_t same = 0;
      for_bits(lanes, [&](int l) {
        const int64_t other = (tile.token[l] - pattern.n_prefix) / pattern.block_q;
        same |= lane_if(other == block, l);
      });
      lanes &= ~same;
      const auto row = [&](const int64_t* s) {
        return tile.b * s[0] + tile.h * s[1] + block * s[2];
      };
      const int64_t n = counts[row(pattern.count_stride)];
      for (int64_t i = 0; i < n; ++i) {
        const int64_t index = list[row(pattern.list_stride) + i * pattern.list_stride[3]];
        KeyRun run;
        run.lanes = same;
        run.first = pattern.n_prefix + index * pattern.block_k;
        const int64_t left = n_keys - index * pattern.block_k;
        run.count = left < pattern.block_k ? left : pattern.block_k;
        if (levels != nullptr) {
          run.level = levels[row(pattern.level_stride) + i * pattern.level_stride[3]];
        }
        emit(run);
      }
    }
  }

  void walk_mask(uint32_t lanes) {
    constexpr int64_t kKeys = 64;
    const auto* mask = static_cast<const uint8_t*>(buffers.read(pattern.list));
    const int64_t* s = pattern.list_stride;
    const int64_t n_keys = problem.n_k - pattern.n_prefix;
    mask += tile.b * s[0] + tile.h * s[1];
    for (int64_t j = 0; j < n_keys; j += kKeys) {
      uint16_t bits[kKeys] = {};
      const int64_t n = n_keys - j < kKeys ? n_keys - j : kKeys;
      uint32_t any = 0;
      for_bits(lanes, [&](int l) {
        const uint8_t* row = mask + (tile.token[l] - pattern.n_prefix) * s[2] + j * s[3];
        for (int64_t i = 0; i < n; ++i) {
          const uint32_t bit = lane_if(row[i * s[3]] != 0, l);
          bits[i] = static_cast<uint16_t>(bits[i] | bit);
          any |= bit;
        }
      });
      if (any == 0) continue;
      int64_t begin = 0, end = n;
      while (bits[begin] == 0) ++begin;
      while (bits[end - 1] == 0) --end;
      KeyRun run;
      run.lanes = any;
      run.first = pattern.n_prefix + j + begin;
      run.count = end - begin;
      run.bits = bits + begin;
      emit(run);
    }
  }

  void walk() {
    uint32_t prefix = 0;
    for (int l = 0; pattern.n_prefix > 0 && l < tile.n; ++l) {
      prefix |= lane_if(tile.token[l] < pattern.n_prefix, l);
    }
    KeyRun run;
    run.lanes = prefix;
    run.count = problem.n_k;
    if (prefix != 0 && run.count > 0) sink(run);
    const uint32_t lanes = tile.all & ~prefix;
    if (lanes == 0) return;
    run.lanes = lanes;
    run.count = pattern.n_prefix;
    if (pattern.n_prefix > 0) sink(run);
    run = {};
    switch (pattern.kind) {
      case KeyKind::intervals:
        find_places(lanes);
        walk_intervals(lanes);
        break;
      case KeyKind::disk:
        find_places(lanes);
        walk_disk(0, 0, lanes, run);
        break;
      case KeyKind::segments:
        walk_segments(lanes);
        break;
      case KeyKind::blocks:
        walk_blocks(lanes);
        break;
      case KeyKind::mask:
        walk_mask(lanes);
    }
  }
};

}  // namespace
}  // namespace swath::SWATH_ISA
