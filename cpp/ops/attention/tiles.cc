// Tiles of queries: which ones are served together.
#include <algorithm>
#include <array>

#include "ops/attention/lower.h"

namespace swath {
namespace {

/// The places of one axis, class by class, and where tiles must end.
struct AxisPlaces {
  std::vector<int64_t> order;
  std::vector<int64_t> cuts;  // indices into order, ascending, from 0 to the end
};

AxisPlaces order_places(const KeyAxis& key, int64_t n, int64_t period,
                        const std::vector<int64_t>& cuts) {
  AxisPlaces p;
  p.cuts.push_back(0);
  const int64_t n_classes = std::min(key.dilation, std::max<int64_t>(n, 1));
  for (int64_t phase = 0; phase < n_classes; ++phase) {
    for (int64_t at = phase; at < n; at += key.dilation) {
      const auto index = static_cast<int64_t>(p.order.size());
      const bool is_edge = (period > 0 && at % period == 0) || (at == phase) ||
                           (key.rotation != 0 && at == n - key.rotation);
      if (is_edge && p.cuts.back() != index) p.cuts.push_back(index);
      p.order.push_back((at + key.rotation) % n);
    }
  }
  for (int64_t cut : cuts) p.cuts.push_back(cut);
  p.cuts.push_back(n);
  std::sort(p.cuts.begin(), p.cuts.end());
  p.cuts.erase(std::unique(p.cuts.begin(), p.cuts.end()), p.cuts.end());
  return p;
}

/// Starts of the tiles of at most `size` places, and the end.
std::vector<int64_t> cut_places(const AxisPlaces& p, int64_t size) {
  std::vector<int64_t> first;
  for (size_t i = 0; i + 1 < p.cuts.size(); ++i) {
    for (int64_t at = p.cuts[i]; at < p.cuts[i + 1]; at += size) first.push_back(at);
  }
  first.push_back(p.cuts.back());
  return first;
}

/// Keys that all tiles of the axis look at together.
double axis_cost(const KeyPattern& pattern, const KeyAxis& key, const AxisPlaces& places,
                 int64_t size) {
  const std::vector<int64_t> first = cut_places(places, size);
  double sum = 0;
  for (size_t t = 0; t + 1 < first.size(); ++t) {
    int64_t begin = INT64_MAX, end = INT64_MIN;
    for (int64_t i = first[t]; i < first[t + 1]; ++i) {
      const auto at = static_cast<size_t>(places.order[static_cast<size_t>(i)]);
      const auto place = static_cast<int64_t>(at);
      const bool is_disk = pattern.kind == KeyKind::disk;
      begin = std::min(begin, is_disk ? place - pattern.reach : key.lo[at]);
      end = std::max(end, is_disk ? place + pattern.reach + 1 : key.hi[at]);
    }
    sum += static_cast<double>(std::max<int64_t>(end - begin, 0)) + 0.5;
  }
  return sum;
}

using TileShape = std::array<int64_t, kMaxTokenAxes>;

/// The shape whose tiles look at the fewest keys; of equals the longest along the last axis.
TileShape choose_shape(const AttentionProblem& p, const std::vector<AxisPlaces>& places) {
  const KeyPattern& pattern = p.patterns[0];
  const auto n = places.size();
  std::vector<std::vector<double>> costs(n);
  for (size_t a = 0; a < n; ++a) {
    for (int64_t size = 1; size <= p.tile; ++size) {
      costs[a].push_back(axis_cost(pattern, pattern.axes[a], places[a], size));
    }
  }
  TileShape best{1, 1, 1};
  double least = -1;
  for (int64_t x = p.tile; x >= 1; --x) {
    for (int64_t y = 1; y * x <= p.tile; ++y) {
      for (int64_t z = 1; z * y * x <= p.tile; ++z) {
        const TileShape shape{z, y, x};
        double cost = 1;
        bool is_used = true;
        for (size_t a = 0; a < kMaxTokenAxes; ++a) {
          const int64_t size = shape[a];
          if (a < kMaxTokenAxes - n) {
            is_used = is_used && size == 1;
          } else {
            cost *= costs[a + n - kMaxTokenAxes][static_cast<size_t>(size) - 1];
          }
        }
        if (!is_used || (least >= 0 && cost >= least)) continue;
        least = cost;
        best = shape;
      }
    }
  }
  return best;
}

}  // namespace

void make_query_tiles(AttentionTables& tables, const PatternFacts& facts, int64_t n_queries) {
  AttentionProblem& p = tables.problem;
  const KeyPattern& pattern = p.patterns[0];
  const bool has_box = p.n_patterns == 1 || pattern.shares_tiles;
  const TokenShape grid = has_box ? facts.grid : TokenShape{n_queries};
  const bool has_intervals = pattern.kind == KeyKind::intervals || pattern.kind == KeyKind::disk;
  std::vector<AxisPlaces> places;
  for (size_t a = 0; a < grid.size(); ++a) {
    const bool is_own = has_box && pattern.n_axes == static_cast<int>(grid.size());
    places.push_back(order_places(is_own ? pattern.axes[a] : KeyAxis{}, grid[a],
                                  has_box ? facts.period[a] : 0,
                                  has_box && a == 0 ? facts.cuts : std::vector<int64_t>{}));
  }
  TileShape shape{1, 1, p.tile};
  if (has_box && has_intervals && grid.size() > 1) shape = choose_shape(p, places);
  p.n_axes = static_cast<int32_t>(grid.size());
  for (int a = 0; a < kMaxTokenAxes; ++a) {
    QueryAxis& axis = p.axes[a];
    const int own = a - (kMaxTokenAxes - p.n_axes);
    if (own < 0) {
      axis.order = tables.keep(std::vector<int64_t>{0});
      axis.first = tables.keep(std::vector<int64_t>{0, 1});
      continue;
    }
    AxisPlaces& at = places[static_cast<size_t>(own)];
    std::vector<int64_t> first = cut_places(at, shape[static_cast<size_t>(a)]);
    axis.length = grid[static_cast<size_t>(own)];
    axis.n_tiles = static_cast<int64_t>(first.size()) - 1;
    axis.first = tables.keep(std::move(first));
    axis.order = tables.keep(std::move(at.order));
  }
}

}  // namespace swath
