#include "ops/attention/axes.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"

namespace swath {

AxisTable neighborhood_axis(const PatternContext& c, const AttentionPattern& p, int axis, int64_t n,
                            KeyAxis& key) {
  const int64_t k = on_axis(p.size, axis), d = on_axis(p.dilation, axis);
  const int64_t s = on_axis(p.stride, axis);
  const bool is_causal = on_axis(p.causal, axis) != 0;
  const auto refuse = [&](const char* what, int64_t value, const char* needed) {
    c.site.fail(ErrorCode::param, "pattern",
                format("pattern has {} {} on axis {} of length {}, needed is {}", what, value, axis,
                       n, needed));
  };
  if (k < 1 || d < 1) refuse("kernel_size", k, "a positive kernel_size and dilation");
  if (s < 1 || s > k) refuse("stride", s, "1 to kernel_size");
  if (n > 0 && k > n / d) refuse("kernel_size", k, "kernel_size * dilation of at most the length");
  key.dilation = d;
  key.wraps = p.border == NeighborhoodBorder::wrap && !is_causal;
  if (key.wraps && n % d != 0) refuse("dilation", d, "a divisor of the length to wrap around");
  AxisTable t;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = i / d, length = (n - i % d + d - 1) / d;
    if (is_causal) {
      const int64_t leader = std::min(at / s * s + s - 1, length - 1);
      t.add(std::max<int64_t>(leader - k + 1, 0), at + 1);
      continue;
    }
    const int64_t first = std::min(at / s * s + s / 2, length - 1) - k / 2;
    switch (p.border) {
      case NeighborhoodBorder::shift: {
        const int64_t start = std::clamp<int64_t>(first, 0, length - k);
        t.add(start, start + k);
        break;
      }
      case NeighborhoodBorder::clip:
        t.add(std::max<int64_t>(first, 0), std::min(first + k, length));
        break;
      case NeighborhoodBorder::wrap:
        t.add(first, first + k);
    }
  }
  return t;
}

AxisTable window_axis(const AttentionPattern& p, int axis, int64_t n, KeyAxis& key) {
  const int64_t size = on_axis(p.size, axis);
  key.rotation = modulo(on_axis(p.shift, axis), n);
  const int64_t split = n - key.rotation;  // where the other region starts
  AxisTable t;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = modulo(i - key.rotation, n);
    const int64_t begin = at / size * size, end = std::min(begin + size, n);
    const int64_t own_begin = at >= split ? std::max(begin, split) : begin;
    const int64_t own_end = at >= split ? end : std::min(end, split);
    t.region_lo.push_back(own_begin);
    t.region_hi.push_back(own_end);
    const bool is_hard = std::isinf(p.mask_value);
    t.add(is_hard ? own_begin : begin, is_hard ? own_end : end);
  }
  return t;
}

AxisTable halo_axis(const AttentionPattern& p, int axis, int64_t n) {
  const int64_t block = on_axis(p.size, axis), halo = on_axis(p.shift, axis);
  AxisTable t;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t first = i / block * block;
    t.add(std::max<int64_t>(first - halo, 0), std::min(first + block + halo, n));
  }
  return t;
}

/// Tables along one sequence. `cuts` of the tiles too.
AxisTable sequence_axis(const PatternContext& c, const AttentionPattern& p, int64_t n_q,
                        int64_t n_k, KeyAxis& key, std::vector<int64_t>& cuts) {
  const int64_t offset = n_k - n_q;
  AxisTable t;
  const auto add = [&](int64_t begin, int64_t end) {
    begin = std::clamp<int64_t>(begin, 0, n_k);
    t.add(begin, std::max(begin, std::min(end, n_k)));
  };
  if (p.kind == PatternKind::varlen) {
    for (size_t s = 0; s + 1 < p.cu_q.size(); ++s) {
      cuts.push_back(p.cu_q[s]);
      for (int64_t i = p.cu_q[s]; i < p.cu_q[s + 1]; ++i) {
        const int64_t last = p.cu_k[s + 1] - p.cu_q[s + 1] + i + 1;
        add(p.cu_k[s], c.causal ? std::min(last, p.cu_k[s + 1]) : p.cu_k[s + 1]);
      }
    }
    return t;
  }
  if (p.kind == PatternKind::grouped) {
    key.wraps = true;
    const int64_t size = n_q / p.n_groups;
    for (int64_t i = 0; i < n_q; ++i) {
      const int64_t group = i / size, first = modulo(group * size + p.offset, n_q);
      if (i % size == 0) cuts.push_back(i);
      t.add(first, first + size);
    }
    return t;
  }
  const bool is_causal = p.kind == PatternKind::causal || c.causal;
  for (int64_t i = 0; i < n_q; ++i) {
    const int64_t at = i + offset;
    int64_t begin = 0, end = n_k;
    if (p.kind == PatternKind::window1d && p.left >= 0) begin = at - p.left;
    if (p.kind == PatternKind::window1d && p.right >= 0) end = at + p.right + 1;
    add(begin, is_causal ? std::min(end, at + 1) : end);
  }
  return t;
}

}  // namespace swath
