// Rows of arrays of any stride -> accumulators side by side, and results -> rows. Included by
// *.isa.cc only.
#pragma once

#include "ops/common/carver.h"
#include "ops/common/rows.h"
#include "ops/long_conv/problem.h"

namespace swath {
namespace SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
SWATH_ALWAYS_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/// i mod n for n > 0, also of negative i.
SWATH_ALWAYS_INLINE int64_t wrapped(int64_t i, int64_t n) {
  i %= n;
  return i < 0 ? i + n : i;
}

/// Positions that are staged at once.
inline constexpr int64_t kStage = 256;
/// Room for whole vectors behind the last position.
inline constexpr int64_t kStageRoom = kStage + 16;

template <class A, class S>
__attribute__((noinline)) void widen(const S* from, int64_t stride, A* to, int64_t n) {
  widen_row(from, stride, to, n);
}
template <class A, class S>
__attribute__((noinline)) void narrow(const A* from, S* to, int64_t stride, int64_t n) {
  narrow_row(from, to, stride, n);
}
template <class A>
__attribute__((noinline)) void clear(A* to, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<A>) store(to + i, zero<A>());
}

/// to[0, n) = elements [from, from + n) of a row of the array.
template <class S, class A = typename AccOf<S>::type>
SWATH_ALWAYS_INLINE void read_row(const Buffers& b, const RowArray& array, int64_t at, int64_t from,
                                  A* to, int64_t n) {
  const int64_t first = at + from * array.step;
  if (array.is_acc) {
    widen(static_cast<const A*>(b.read(array.ref)) + first, array.step, to, n);
  } else {
    widen(static_cast<const S*>(b.read(array.ref)) + first, array.step, to, n);
  }
}
template <class S, class A = typename AccOf<S>::type>
SWATH_ALWAYS_INLINE void write_row(const Buffers& b, const RowArray& array, int64_t at,
                                   int64_t from, const A* values, int64_t n) {
  const int64_t first = at + from * array.step;
  if (array.is_acc) {
    narrow(values, static_cast<A*>(b.write(array.ref)) + first, array.step, n);
  } else {
    narrow(values, static_cast<S*>(b.write(array.ref)) + first, array.step, n);
  }
}

/// Asks for elements [from, from + kStage) of a row, where they lie side by side.
template <class S>
SWATH_ALWAYS_INLINE void fetch_row(const Buffers& b, const RowArray& array, int64_t at,
                                   int64_t from) {
  if (!array.is_present || array.is_acc || array.step != 1) return;
  const char* first =
      static_cast<const char*>(b.read(array.ref)) + (at + from) * static_cast<int64_t>(sizeof(S));
  for (int64_t i = 0; i < kStage * static_cast<int64_t>(sizeof(S)); i += 64) {
    __builtin_prefetch(first + i, 0, 2);
  }
}

/// One row of a source.
template <class S>
struct SourceRow {
  using A = typename AccOf<S>::type;
  const Buffers& buffers;
  const RowSource& source;
  int64_t x_at, gate_at;
  A* gate_room;  // kStageRoom
  /// If there: v[slab_first] and what follows, already side by side.
  const A* slab = nullptr;
  int64_t slab_first = 0;

  __attribute__((always_inline)) SourceRow(const Buffers& b, const RowSource& s, int64_t batch,
                                           int64_t channel, A* room)
      : buffers(b),
        source(s),
        x_at(s.x.at(batch, channel)),
        gate_at(s.gate.at(batch, channel)),
        gate_room(room) {}

  /// v[from, from + n) where inside [low, high), else 0. n is at most kStage; `to` has room for
  /// whole vectors.
  __attribute__((noinline)) void stage(int64_t from, int64_t n, int64_t low, int64_t high,
                                       A* to) const {
    const int64_t begin = smaller(larger(low - from, 0), n);
    const int64_t end = larger(smaller(high - from, n), begin);
    clear(to, begin);
    if (slab != nullptr && end > begin)
      widen(slab + from + begin - slab_first, 1, to + begin, end - begin);
    for (int64_t i = begin; slab == nullptr && i < end;) {
      const int64_t at = source.is_periodic ? wrapped(from + i, source.n) : from + i;
      const int64_t count = source.is_periodic ? smaller(end - i, source.n - at) : end - i;
      values(at, count, to + i);
      i += count;
    }
    for (int64_t i = end; i < n; ++i) to[i] = 0;
  }

  /// Asks for the kStage positions from `from` on.
  __attribute__((always_inline)) void fetch(int64_t from) const {
    if (from < 0 || from >= source.n || slab != nullptr) return;
    fetch_row<S>(buffers, source.x, x_at, from);
    fetch_row<S>(buffers, source.gate, gate_at, from);
  }

  /// Where v[from, from + n) is, if it is there as accumulators side by side.
  __attribute__((always_inline)) const A* direct(int64_t from, int64_t n, int64_t low,
                                                 int64_t high) const {
    if (slab != nullptr) {
      return from < low || from + n > high ? nullptr : slab + from - slab_first;
    }
    if (sizeof(S) != sizeof(A) && !source.x.is_acc) return nullptr;
    if (source.x.step != 1 || source.gate.is_present || source.is_periodic) return nullptr;
    if (from < low || from + n > high) return nullptr;
    return static_cast<const A*>(buffers.read(source.x.ref)) + x_at + from;
  }

 private:
  __attribute__((always_inline)) void values(int64_t at, int64_t n, A* to) const {
    // Both side by side: one loop. With copies of each before it a gate cost twice its bytes.
    if (source.gate.is_present && source.gate.step == 1 && source.x.step == 1 && !source.x.is_acc) {
      const S* x = static_cast<const S*>(buffers.read(source.x.ref)) + x_at + at;
      const S* gate = static_cast<const S*>(buffers.read(source.gate.ref)) + gate_at + at;
      for_lanes<A>(n, [&](int64_t j, int m) {
        store_part(to + j, load_part<A>(x + j, m) * load_part<A>(gate + j, m), m);
      });
      return;
    }
    read_row<S>(buffers, source.x, x_at, at, to, n);
    if (!source.gate.is_present) return;
    read_row<S>(buffers, source.gate, gate_at, at, gate_room, n);
    // Not whole vectors: behind `to` may be what was staged before.
    for_lanes<A>(n, [&](int64_t j, int m) {
      store_part(to + j, load_part<A>(to + j, m) * load_part<A>(gate_room + j, m), m);
    });
  }
};

/// What becomes of the values c of one row: gates, skip, bias, rounding.
template <class S>
struct RowSink {
  using A = typename AccOf<S>::type;
  const LongProblem& p;
  const Buffers& buffers;
  const SourceRow<S>& source;
  int64_t batch, channel;
  A *values, *more;  // kStageRoom each
  /// If there: outputs go here as they are, the first one `slab_first`.
  A* slab = nullptr;
  int64_t slab_first = 0;

  __attribute__((always_inline)) A of_channel(const RowArray& array) const {
    A value[16];
    read_row<S>(buffers, array, array.first, channel, value, 1);
    return value[0];
  }

  /// Outputs [first, first + n), n at most kStage.
  __attribute__((noinline)) void put(int64_t first, int64_t n, const A* c) const {
    if (slab != nullptr) {
      for (int64_t j = 0; j < n; ++j) slab[first - slab_first + j] = c[j];
      return;
    }
    if (p.add.is_present) {
      read_row<S>(buffers, p.add, p.add.at(batch, channel), first, values, n);
      for_lanes<A>(n, [&](int64_t j, int m) {
        store(values + j, load(values + j) + load_part<A>(c + j, m));
      });
      c = values;
    }
    if (is_plain()) return put_plain(first, n, c);
    if (p.skip.is_present) {
      source.stage(first, n, 0, p.u.n, more);
      const Vec<A> skip = set1(of_channel(p.skip));
      for_lanes<A>(n, [&](int64_t j, int m) {
        store(values + j, mul_add(skip, load(more + j), load_part<A>(c + j, m)));
      });
      c = values;
    }
    if (p.bias.is_present) {
      const Vec<A> bias = set1(of_channel(p.bias));
      for_lanes<A>(n, [&](int64_t j, int m) { store(values + j, load_part<A>(c + j, m) + bias); });
      c = values;
    }
    put_gated(p.y, p.post, first, n, c);
    if (p.y2.is_present) put_gated(p.y2, p.post2, first, n, c);
  }

  /// Asks for what outputs from `first` on need.
  __attribute__((always_inline)) void fetch(int64_t first) const {
    if (first < 0 || first >= p.n_out || slab != nullptr) return;
    fetch_row<S>(buffers, p.post, p.post.at(batch, channel), first);
    fetch_row<S>(buffers, p.y, p.y.at(batch, channel), first);
  }

  /// Where outputs [first, first + n) go as they are, or null.
  __attribute__((always_inline)) A* direct(int64_t first, int64_t n) const {
    if (slab != nullptr) return slab + first - slab_first;
    if (sizeof(S) != sizeof(A) && !p.y.is_acc) return nullptr;
    if (p.y.step != 1 || p.post.is_present || p.skip.is_present || p.bias.is_present ||
        p.add.is_present || p.y2.is_present || first < 0 || first + n > p.n_out) {
      return nullptr;
    }
    return static_cast<A*>(buffers.write(p.y.ref)) + p.y.at(batch, channel) + first;
  }

 private:
  /// One output and its gate, both side by side.
  __attribute__((always_inline)) bool is_plain() const {
    return !p.y2.is_present && !p.y.is_acc && p.y.step == 1 &&
           (!p.post.is_present || p.post.step == 1);
  }
  __attribute__((always_inline)) void put_plain(int64_t first, int64_t n, const A* c) const {
    const bool has_skip = p.skip.is_present, has_bias = p.bias.is_present;
    const bool has_gate = p.post.is_present;
    if (has_skip) source.stage(first, n, 0, p.u.n, more);
    const Vec<A> skip = has_skip ? set1(of_channel(p.skip)) : zero<A>();
    const Vec<A> bias = has_bias ? set1(of_channel(p.bias)) : zero<A>();
    S* y = static_cast<S*>(buffers.write(p.y.ref)) + p.y.at(batch, channel) + first;
    const S* gate = y;
    if (has_gate) {
      gate = static_cast<const S*>(buffers.read(p.post.ref)) + p.post.at(batch, channel) + first;
    }
    for_lanes<A>(n, [&](int64_t j, int m) {
      Vec<A> v = load_part<A>(c + j, m);
      if (has_skip) v = mul_add(skip, load(more + j), v);
      if (has_bias) v += bias;
      if (has_gate) v = load_part<A>(gate + j, m) * v;
      store_part(y + j, v, m);
    });
  }
  __attribute__((always_inline)) void put_gated(const RowArray& y, const RowArray& gate,
                                                int64_t first, int64_t n, const A* c) const {
    if (gate.is_present) {
      read_row<S>(buffers, gate, gate.at(batch, channel), first, more, n);
      for_lanes<A>(
          n, [&](int64_t j, int m) { store(more + j, load(more + j) * load_part<A>(c + j, m)); });
      c = more;
    } else {
      // Rounding below reads whole vectors.
      for_lanes<A>(n, [&](int64_t j, int m) { store(more + j, load_part<A>(c + j, m)); });
      c = more;
    }
    write_row<S>(buffers, y, y.at(batch, channel), first, c, n);
  }
};

/// y = v for one row. The room is kStageRoom.
template <class S, class A = typename AccOf<S>::type>
__attribute__((noinline)) void stage_row(const LongProblem& p, const SourceRow<S>& row,
                                         int64_t batch, int64_t channel, A* room) {
  for (int64_t i = 0; i < p.n_out; i += kStage) {
    const int64_t n = smaller(kStage, p.n_out - i);
    row.stage(i, n, 0, p.u.n, room);
    write_row<S>(row.buffers, p.y, p.y.at(batch, channel), i, room, n);
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
