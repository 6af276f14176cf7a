// Long convolution by direct sums, for few taps: the kernel `direct`.
#include "ops/long_conv/direct_slab.h"
#include "ops/long_conv/stage.h"
#include "ops/long_conv/sums.h"
#include "ops/long_conv/token.h"

namespace swath::SWATH_ISA {
namespace {

const LongProblem& as_long(const void* problem) {
  return *static_cast<const LongProblem*>(problem);
}

/// y[t] = sum_j k[j] w[t + n_taps - 1 - j] for kVectors vectors of t.
template <int kVectors, class A>
SWATH_ALWAYS_INLINE void sum_taps(const A* k, int64_t n_taps, const A* w, A* y) {
  Vec<A> total[kVectors];
#pragma GCC unroll 8
  for (Vec<A>& v : total) v = zero<A>();
  for (int64_t first = 0; first < n_taps; first += kSumRun) {
    const int64_t end = smaller(first + kSumRun, n_taps);
    Vec<A> part[kVectors];
#pragma GCC unroll 8
    for (Vec<A>& v : part) v = zero<A>();
    const A* at = w + n_taps - 1 - first;
    for (int64_t j = first; j < end; ++j, --at) {
      const Vec<A> tap = set1(k[j]);
#pragma GCC unroll 8
      for (int u = 0; u < kVectors; ++u) {
        part[u] = mul_add(tap, load(at + u * kLanes<A>), part[u]);
      }
    }
#pragma GCC unroll 8
    for (int u = 0; u < kVectors; ++u) total[u] += part[u];
  }
#pragma GCC unroll 8
  for (int u = 0; u < kVectors; ++u) store(y + u * kLanes<A>, total[u]);
}

template <class A>
__attribute__((noinline)) void convolve_row(const A* k, int64_t n_taps, const A* w, int64_t n,
                                            A* y) {
  int64_t t = 0;
  for (; t + 8 * kLanes<A> <= n; t += 8 * kLanes<A>) sum_taps<8>(k, n_taps, w + t, y + t);
  // Each output by the same order of its taps, wherever it is in a row: DirectSlab has it too.
  for (; t + 4 * kLanes<A> <= n; t += 4 * kLanes<A>) sum_taps<4>(k, n_taps, w + t, y + t);
  for (; t + 2 * kLanes<A> <= n; t += 2 * kLanes<A>) sum_taps<2>(k, n_taps, w + t, y + t);
  for (; t < n; t += kLanes<A>) sum_taps<1>(k, n_taps, w + t, y + t);
}

/// sums[j] += sum_t dc[t] w[t + n_taps - 1 - j], t < n; dc is 0 behind its end.
template <class A>
__attribute__((noinline)) void correlate_row(const A* dc, int64_t n, const A* w, int64_t n_taps,
                                             A* sums) {
  constexpr int kTaps = 4;
  for (int64_t j = 0; j < n_taps; j += kTaps) {
    const int count = static_cast<int>(smaller(kTaps, n_taps - j));
    Vec<A> part[kTaps];
#pragma GCC unroll 4
    for (Vec<A>& v : part) v = zero<A>();
    // Of the taps behind the last one: computed and dropped.
    const A* at = w + n_taps - 1 - j - (count - 1);
    for (int64_t t = 0; t < n; t += kLanes<A>) {
      const Vec<A> d = load(dc + t);
#pragma GCC unroll 4
      for (int u = 0; u < kTaps; ++u) part[u] = mul_add(d, load(at + t + u), part[u]);
    }
    for (int u = 0; u < count; ++u) sums[j + count - 1 - u] += reduce_add(part[u]);
  }
}

/// Sums of more terms than these are made of parts.
constexpr int64_t kSumTerms = 512;

template <class S>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const LongProblem& problem, const Buffers& b, void* memory) : p_(problem), b_(b) {
    carve(memory);
  }
  static int64_t scratch_bytes(const LongProblem& p) {
    Buffers none{};
    return Worker(p, none, nullptr).carve(nullptr);
  }

  void run(int64_t task) {
    switch (p_.kind) {
      case LongKind::rows:
        return p_.is_slab ? convolve_slab(task) : convolve(task);
      case LongKind::tap_parts:
        return add_tap_part(task);
      case LongKind::taps:
        return finish_taps(task);
      case LongKind::stage:
        return keep_row(task);
      case LongKind::token:
        return TokenRow<S>(p_, b_, task).run();
      case LongKind::row_sums:
        return sum_channel<S>(p_, b_, task, gate_room_, values_, more_);
      default:
        return;
    }
  }

 private:
  void keep_row(int64_t row) const {
    const int64_t batch = row % p_.n_batch, channel = row / p_.n_batch;
    const SourceRow<S> source(b_, p_.u, batch, channel, gate_room_);
    ::swath::SWATH_ISA::stage_row<S>(p_, source, batch, channel, more_);
  }
  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    for (A** room : {&gate_room_, &values_, &more_}) *room = carver.take<A>(kStageRoom);
    for (A** room : {&taps_, &sums_}) *room = carver.take<A>(p_.taps.n + kStageRoom);
    if (p_.is_slab) {
      taps_ = carver.take<A>(DirectSlab<S>::taps_room(p_));
      window_ = carver.take<A>(DirectSlab<S>::window_room(p_));
      return carver.used;
    }
    window_ = carver.take<A>(p_.taps.n + p_.segment + kStageRoom);
    row_ = carver.take<A>(p_.segment + kStageRoom);
    return carver.used;
  }

  void stage_row(const SourceRow<S>& row, int64_t from, int64_t n, int64_t low, int64_t high,
                 A* to) const {
    for (int64_t i = 0; i < n; i += kStage) {
      row.stage(from + i, smaller(kStage, n - i), low, high, to + i);
    }
    for (int64_t i = n; i < n + kLanes<A>; ++i) to[i] = 0;
  }
  /// v around the segment: the taps before its first output, then its outputs.
  void stage_window(const SourceRow<S>& row, const Segment& s) const {
    const int64_t first = p_.first_output + s.out_first - (p_.taps.n - 1);
    stage_row(row, first, p_.taps.n - 1 + s.n_out, s.low, s.high, window_);
  }

  void convolve_slab(int64_t task) const {
    const DirectSlab<S> slab(p_, b_, task / p_.n_segments, taps_, window_);
    slab.run(Segment(p_, task % p_.n_segments));
  }

  void convolve(int64_t task) {
    const Segment s(p_, task % p_.n_segments);
    const int64_t row = task / p_.n_segments;
    const int64_t batch = row % p_.n_batch, channel = row / p_.n_batch;
    const int64_t head = p_.head_of(channel);
    if (head != taps_of_) {
      stage_row(SourceRow<S>(b_, p_.taps, 0, head, gate_room_), 0, p_.taps.n, 0, p_.taps.n, taps_);
      taps_of_ = head;
    }
    const SourceRow<S> source(b_, p_.u, batch, channel, gate_room_);
    stage_window(source, s);
    convolve_row(taps_, p_.taps.n, window_, s.n_out, row_);
    const RowSink<S> sink{p_, b_, source, batch, channel, values_, more_};
    for (int64_t i = 0; i < s.n_out; i += kStage) {
      sink.put(s.out_first + i, smaller(kStage, s.n_out - i), row_ + i);
    }
  }

  /// The sum of one part of a head's rows.
  void add_part(int64_t head, int64_t part, A* total) const {
    const int64_t n_items = p_.rows_per_head() * p_.n_segments;
    const int64_t begin = n_items * part / p_.n_parts, end = n_items * (part + 1) / p_.n_parts;
    for (int64_t j = 0; j < p_.taps.n; ++j) total[j] = 0;
    for (int64_t i = begin; i < end; i += kSumTerms) {
      clear(sums_, p_.taps.n);
      add_items(head, i, smaller(i + kSumTerms, end));
      for (int64_t j = 0; j < p_.taps.n; ++j) total[j] += sums_[j];
    }
  }
  void add_tap_part(int64_t task) const {
    add_part(task / p_.n_parts, task % p_.n_parts,
             static_cast<A*>(b_.write(p_.parts)) + task * p_.taps.n);
  }
  void add_items(int64_t head, int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; ++i) {
      const Segment s(p_, i % p_.n_segments);
      const int64_t row = i / p_.n_segments, batch = row % p_.n_batch;
      const int64_t channel = p_.channel_of(head, row / p_.n_batch);
      stage_window(SourceRow<S>(b_, p_.u, batch, channel, gate_room_), s);
      const SourceRow<S> dc(b_, p_.dc, batch, channel, gate_room_);
      stage_row(dc, s.out_first, s.n_out, 0, p_.n_out, row_);
      correlate_row(row_, s.n_out, window_, p_.taps.n, sums_);
    }
  }

  void finish_taps(int64_t head) const {
    const A* parts = taps_;
    if (p_.n_parts == 1) {
      add_part(head, 0, taps_);
    } else {
      parts = static_cast<const A*>(b_.read(p_.parts)) + head * p_.n_parts * p_.taps.n;
    }
    for (int64_t first = 0; first < p_.taps.n; first += kStage) {
      const int64_t n = smaller(kStage, p_.taps.n - first);
      for (int64_t j = 0; j < n; ++j) {
        more_[j] = 0;
        for (int64_t k = 0; k < p_.n_parts; ++k) more_[j] += parts[k * p_.taps.n + first + j];
      }
      write_row<S>(b_, p_.dk, p_.dk.at(0, head), first, more_, n);
    }
  }

  const LongProblem& p_;
  const Buffers& b_;
  A *gate_room_ = nullptr, *values_ = nullptr, *more_ = nullptr, *taps_ = nullptr;
  A *sums_ = nullptr, *window_ = nullptr, *row_ = nullptr;
  int64_t taps_of_ = -1;  // the head whose taps are staged
};

const char* reject(const void* problem) noexcept {
  return as_long(problem).is_direct ? nullptr : "many taps: a transform is faster";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

int64_t n_tasks(const void* problem) noexcept {
  const LongProblem& p = as_long(problem);
  if (p.kind == LongKind::stage || p.kind == LongKind::token) return p.n_rows();
  if (p.kind == LongKind::taps) return p.n_heads;
  if (p.kind == LongKind::row_sums) return p.n_channels;
  if (p.kind == LongKind::tap_parts) return p.n_heads * p.n_parts;
  return (p.is_slab ? p.n_slabs() : p.n_rows()) * p.n_segments;
}

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<S>::scratch_bytes(as_long(problem)));
}

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  Worker<S> worker(as_long(problem), buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_LONG_DIRECT(dtype)                                                              \
  extern const KernelFns long_conv_direct_##dtype;                                            \
  const KernelFns long_conv_direct_##dtype{reject,  no_bytes,  no_pack, scratch_bytes<dtype>, \
                                           n_tasks, run<dtype>};
SWATH_LONG_DIRECT(f32)
SWATH_LONG_DIRECT(f64)
SWATH_LONG_DIRECT(f16)
SWATH_LONG_DIRECT(bf16)
#undef SWATH_LONG_DIRECT

}  // namespace swath::SWATH_ISA
