// Long convolution by the ring transform: the kernel `fft`, all kinds of steps.
#include "ops/long_conv/ring.h"
#include "ops/long_conv/slab.h"
#include "ops/long_conv/stage.h"
#include "ops/long_conv/sums.h"

namespace swath::SWATH_ISA {
namespace {

const LongProblem& as_long(const void* problem) {
  return *static_cast<const LongProblem*>(problem);
}

/// Columns of the first and last pass in one task where several tasks share a row.
constexpr int64_t kTaskColumns = 2048;
/// Bytes of a plane that leave room for the next row.
constexpr int64_t kMostAhead = 131072;
/// Sums of more terms than these are made of parts.
constexpr int64_t kSumTerms = 512;

int64_t n_column_tasks(const LongProblem& p) {
  return (p.tables->passes[0].quarter + kTaskColumns - 1) / kTaskColumns;
}

template <class S>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const LongProblem& problem, const Buffers& b, void* memory) : p_(problem), b_(b) {
    carve(memory);
    // Written by the kind `spectrum` alone; the others may get it as an input.
    spectrum_ = static_cast<A*>(const_cast<void*>(b.read(p_.spectrum)));
    if (memory != nullptr) clear(zeros_, kStage);
  }
  static int64_t scratch_bytes(const LongProblem& p) {
    Buffers none{};
    return Worker(p, none, nullptr).carve(nullptr);
  }

  void run(int64_t task) const {
    switch (p_.kind) {
      case LongKind::spectrum:
        return make_spectrum(task);
      case LongKind::rows:
        return p_.is_slab ? convolve_slab(task) : convolve(task);
      case LongKind::first_pass:
      case LongKind::blocks:
      case LongKind::last_pass:
        return run_shared(task);
      case LongKind::tap_parts:
        return add_tap_part(task);
      case LongKind::taps:
        return finish_taps(task);
      case LongKind::stage:
      case LongKind::token:
        return;  // of the direct kernel
      case LongKind::row_sums:
        return sum_channel<S>(p_, b_, task, gate_room_, values_, more_);
    }
  }

 private:
  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    legs_ = carver.take<A>(16 * kStageRoom);
    zeros_ = carver.take<A>(kStageRoom);
    for (A** room : {&gate_room_, &values_, &more_}) *room = carver.take<A>(kStageRoom);
    if (p_.kind != LongKind::first_pass && p_.kind != LongKind::last_pass &&
        p_.kind != LongKind::blocks) {
      planes_ = carver.take<A>(2 * pitch());
    }
    if (p_.is_slab) slabs_ = carver.take<A>(Slab<S>::n_elements(p_));
    if (p_.kind == LongKind::tap_parts || p_.kind == LongKind::taps) {
      for (A** room : {&kept_, &sums_, &total_}) *room = carver.take<A>(2 * p_.ring);
    }
    return carver.used;
  }

  int64_t pitch() const { return plane_pitch(p_.ring, sizeof(A)); }
  /// Whole rows are, if there is room for them in the second cache; else the pieces of each leg are
  /// asked for one ahead, since they are too short for the machine to see where they lead.
  bool is_fetched_ahead() const { return p_.ring * static_cast<int64_t>(sizeof(A)) <= kMostAhead; }
  Planes<A> planes() const { return {planes_, planes_ + pitch()}; }
  Planes<A> shared_planes(int64_t index) const {
    A* at = static_cast<A*>(b_.write(p_.planes)) + index * 2 * pitch();
    return {at, at + pitch()};
  }
  A* head_spectrum(int64_t head) const { return spectrum_ + head * 2 * p_.ring; }

  /// The first pass of columns [begin, end): position 0 of the ring is element `base` of the row.
  void read_columns(const SourceRow<S>& row, int64_t base, int64_t low, int64_t high,
                    const Planes<A>& to, int64_t begin, int64_t end) const {
    const RingTables& t = *p_.tables;
    const bool has_im = high - base > p_.ring,
               is_far = row.source.gate.is_present && !is_fetched_ahead();
    const int64_t q = t.passes[0].quarter;
    for (int64_t c = begin; c < end; c += kStage) {
      const int64_t n = smaller(kStage, end - c);
      Legs<A> legs;
      for (int j = 0; j < t.passes[0].radix; ++j) {
        legs.re[j] = leg(row, base + j * q + c, n, low, high, legs_ + j * kStageRoom);
        legs.im[j] = nullptr;
        if (is_far) row.fetch(base + j * q + c + kStage);
        if (!has_im) continue;
        if (is_far) row.fetch(base + p_.ring + j * q + c + kStage);
        legs.im[j] =
            leg(row, base + p_.ring + j * q + c, n, low, high, legs_ + (8 + j) * kStageRoom);
      }
      if (has_im) {
        run_first<true, A>(t, legs, to, c, c + n);
      } else {
        run_first<false, A>(t, legs, to, c, c + n);
      }
    }
  }
  const A* leg(const SourceRow<S>& row, int64_t from, int64_t n, int64_t low, int64_t high,
               A* room) const {
    if (from >= high || from + n <= low) return zeros_;
    const A* found = row.direct(from, n, low, high);
    if (found != nullptr) return found;
    row.stage(from, n, low, high, room);
    return room;
  }

  /// The last pass of columns [begin, end): position p of the ring is value p - place of n_out.
  /// `direct(first, n)` gives where n values are wanted, or null; else `put(first, n, values)`.
  /// `fetch(first)` is told which value follows.
  template <class Direct, class Put, class Fetch>
  void write_columns(const Planes<A>& from, int64_t place, int64_t n_out, int64_t begin,
                     int64_t end, const Direct& direct, const Put& put, const Fetch& fetch) const {
    const RingTables& t = *p_.tables;
    const bool has_im = place + n_out > p_.ring;
    const int64_t q = t.passes[0].quarter, radix = t.passes[0].radix;
    const int64_t n_legs = has_im ? 2 * radix : radix;
    for (int64_t c = begin; c < end; c += kStage) {
      const int64_t n = smaller(kStage, end - c);
      OutLegs<A> legs;
      A* rooms[16];
      for (int64_t j = 0; j < n_legs; ++j) {
        const bool is_im = j >= radix;
        const int64_t first = (is_im ? p_.ring + (j - radix) * q : j * q) + c - place;
        fetch(first + kStage);
        A* to = first >= 0 && first + n <= n_out ? direct(first, n) : nullptr;
        rooms[j] = to == nullptr ? legs_ + j * kStageRoom : nullptr;
        (is_im ? legs.im[j - radix] : legs.re[j]) = to == nullptr ? rooms[j] : to;
      }
      if (has_im) {
        run_last<true, A>(t, from, legs, c, c + n);
      } else {
        run_last<false, A>(t, from, legs, c, c + n);
      }
      for (int64_t j = 0; j < n_legs; ++j) {
        if (rooms[j] == nullptr) continue;
        const int64_t first = (j >= radix ? p_.ring + (j - radix) * q : j * q) + c - place;
        const int64_t low = larger(first, 0), high = smaller(first + n, n_out);
        if (low < high) put(low, high - low, rooms[j] + (low - first));
      }
    }
  }

  template <Middle kMiddle>
  void transform(const Planes<A>& at, const MiddleWork<A>& work) const {
    run_blocks<kMiddle, A>(*p_.tables, at, p_.ring, p_.tables->passes[0].quarter, 1, work);
  }
  int64_t n_columns() const { return p_.tables->passes[0].quarter; }

  void make_spectrum(int64_t head) const {
    const SourceRow<S> taps(b_, p_.taps, 0, head, gate_room_);
    read_columns(taps, 0, 0, p_.taps.n, planes(), 0, n_columns());
    transform<Middle::keep>(planes(), {head_spectrum(head), nullptr, A(1) / A(p_.ring)});
  }

  void write_row_columns(const RowSink<S>& sink, const Segment& s, const Planes<A>& from,
                         int64_t begin, int64_t end) const {
    write_columns(
        from, p_.place, s.n_out, begin, end,
        [&](int64_t first, int64_t n) { return sink.direct(s.out_first + first, n); },
        [&](int64_t first, int64_t n, const A* c) { sink.put(s.out_first + first, n, c); },
        [&](int64_t first) __attribute__((always_inline)) {
          if (p_.post.is_present && !is_fetched_ahead()) sink.fetch(s.out_first + first);
        });
  }

  void convolve(int64_t task) const {
    const Segment s(p_, task % p_.n_segments);
    const int64_t row = task / p_.n_segments;
    const int64_t batch = row % p_.n_batch, channel = row / p_.n_batch;
    const SourceRow<S> source(b_, p_.u, batch, channel, gate_room_);
    read_columns(source, s.base, s.low, s.high, planes(), 0, n_columns());
    Ahead ahead = ahead_of(task, s);
    transform<Middle::multiply>(planes(), {head_spectrum(p_.head_of(channel)), nullptr, 1, &ahead});
    const RowSink<S> sink{p_, b_, source, batch, channel, values_, more_};
    write_row_columns(sink, s, planes(), 0, n_columns());
  }

  /// What this task writes and the next one reads, unless that would not fit into the second cache
  /// beside the planes.
  __attribute__((noinline)) Ahead ahead_of(int64_t task, const Segment& s) const {
    const auto item = static_cast<int64_t>(sizeof(A));
    Ahead ahead(p_.ring / (kLanes<A> * kLanes<A>));
    if (!is_fetched_ahead()) return ahead;
    const auto split = [&](int64_t t, int64_t& batch, int64_t& channel)
                           __attribute__((always_inline)) {
                             const int64_t row = t / p_.n_segments;
                             batch = row % p_.n_batch;
                             channel = row / p_.n_batch;
                           };
    int64_t batch, channel, next_batch, next_channel;
    split(task, batch, channel);
    ahead.add_row<S>(b_, p_.y, batch, channel, s.out_first, s.n_out);
    ahead.add_row<S>(b_, p_.post, batch, channel, s.out_first, s.n_out);
    if (task + 1 == p_.n_rows() * p_.n_segments) return ahead;
    split(task + 1, next_batch, next_channel);
    const Segment next(p_, (task + 1) % p_.n_segments);
    const int64_t low = larger(next.low, 0), n = smaller(next.high, p_.u.n) - low;
    ahead.add_row<S>(b_, p_.u.x, next_batch, next_channel, low, n);
    ahead.add_row<S>(b_, p_.u.gate, next_batch, next_channel, low, n);
    const int64_t head = p_.head_of(next_channel);
    if (head != p_.head_of(channel)) ahead.add(head_spectrum(head), 2 * p_.ring * item);
    return ahead;
  }

  /// The rows of neighbouring channels: turned to rows, convolved, turned back.
  void convolve_slab(int64_t task) const {
    const Segment s(p_, task % p_.n_segments);
    const Slab<S> slab(p_, b_, s, task / p_.n_segments, slabs_);
    slab.load();
    for (int64_t i = 0; i < slab.n_channels; ++i) {
      const int64_t channel = slab.first_channel + i;
      SourceRow<S> source(b_, p_.u, slab.batch, channel, gate_room_);
      source.slab = slab.input(i);
      source.slab_first = s.low;
      read_columns(source, s.base, s.low, s.high, planes(), 0, n_columns());
      transform<Middle::multiply>(planes(), {head_spectrum(p_.head_of(channel))});
      const RowSink<S> sink{p_,      b_,    source,         slab.batch, channel,
                            values_, more_, slab.output(i), s.out_first};
      write_row_columns(sink, s, planes(), 0, n_columns());
    }
    slab.store();
  }

  /// The same in three steps.
  void run_shared(int64_t task) const {
    const RingPass& pass = p_.tables->passes[0];
    const bool is_blocks = p_.kind == LongKind::blocks;
    const int64_t n = is_blocks ? pass.radix : n_column_tasks(p_);
    const int64_t row = p_.first_row + task / n, part = task % n;
    const int64_t batch = row % p_.n_batch, channel = row / p_.n_batch;
    const Planes<A> at = shared_planes(task / n);
    if (is_blocks) {
      const MiddleWork<A> work{head_spectrum(p_.head_of(channel))};
      return run_blocks<Middle::multiply, A>(*p_.tables, at + part * pass.pitch, pass.quarter,
                                             pass.quarter, 1, work.at(part * pass.quarter));
    }
    const Segment s(p_, 0);
    const SourceRow<S> source(b_, p_.u, batch, channel, gate_room_);
    const int64_t begin = part * kTaskColumns, end = smaller(begin + kTaskColumns, pass.quarter);
    if (p_.kind == LongKind::first_pass) {
      read_columns(source, s.base, s.low, s.high, at, begin, end);
    } else {
      const RowSink<S> sink{p_, b_, source, batch, channel, values_, more_};
      write_row_columns(sink, s, at, begin, end);
    }
  }

  /// The sum of one part of a head's rows.
  void add_part(int64_t head, int64_t part, A* total) const {
    const int64_t n_items = p_.rows_per_head() * p_.n_segments;
    const int64_t begin = n_items * part / p_.n_parts, end = n_items * (part + 1) / p_.n_parts;
    clear(total, 2 * p_.ring);
    if (end - begin <= kSumTerms) return add_items(head, begin, end, total);
    for (int64_t i = begin; i < end; i += kSumTerms) {
      clear(sums_, 2 * p_.ring);
      add_items(head, i, smaller(i + kSumTerms, end), sums_);
      for (int64_t j = 0; j < 2 * p_.ring; j += kLanes<A>) {
        store(total + j, load(total + j) + load(sums_ + j));
      }
    }
  }
  void add_tap_part(int64_t task) const {
    A* total = static_cast<A*>(b_.write(p_.parts)) + task * 2 * p_.ring;
    add_part(task / p_.n_parts, task % p_.n_parts, total);
  }
  void add_items(int64_t head, int64_t begin, int64_t end, A* sums) const {
    for (int64_t i = begin; i < end; ++i) {
      const Segment s(p_, i % p_.n_segments);
      const int64_t row = i / p_.n_segments, batch = row % p_.n_batch;
      const int64_t channel = p_.channel_of(head, row / p_.n_batch);
      const SourceRow<S> u(b_, p_.u, batch, channel, gate_room_);
      read_columns(u, s.base, s.low, s.high, planes(), 0, n_columns());
      transform<Middle::keep>(planes(), {kept_, nullptr, 1});
      const SourceRow<S> dc(b_, p_.dc, batch, channel, gate_room_);
      read_columns(dc, s.out_first - p_.place, s.out_first, s.out_first + s.n_out, planes(), 0,
                   n_columns());
      transform<Middle::accumulate>(planes(), {sums, kept_, 1});
    }
  }

  void finish_taps(int64_t head) const {
    if (p_.n_parts == 1) {
      add_part(head, 0, total_);
    } else {
      const A* parts = static_cast<const A*>(b_.read(p_.parts)) + head * p_.n_parts * 2 * p_.ring;
      for (int64_t j = 0; j < 2 * p_.ring; j += kLanes<A>) {
        Vec<A> sum = load(parts + j);
        for (int64_t k = 1; k < p_.n_parts; ++k) sum += load(parts + k * 2 * p_.ring + j);
        store(total_ + j, sum);
      }
    }
    transform<Middle::restore>(planes(), {total_, nullptr, A(1) / A(p_.ring)});
    write_columns(
        planes(), 0, p_.taps.n, 0, n_columns(), [](int64_t, int64_t) -> A* { return nullptr; },
        [&](int64_t first, int64_t n, const A* values) {
          for_lanes<A>(n, [&](int64_t j, int m) { store(more_ + j, load_part<A>(values + j, m)); });
          write_row<S>(b_, p_.dk, p_.dk.at(0, head), first, more_, n);
        },
        [](int64_t) {});
  }

  const LongProblem& p_;
  const Buffers& b_;
  A *legs_ = nullptr, *zeros_ = nullptr, *gate_room_ = nullptr, *values_ = nullptr;
  A *more_ = nullptr, *planes_ = nullptr, *kept_ = nullptr, *sums_ = nullptr, *total_ = nullptr,
    *slabs_ = nullptr;
  A* spectrum_ = nullptr;
};

const char* reject_fft(const void* problem) noexcept {
  const LongProblem& p = as_long(problem);
  if (p.is_direct) return "few taps: direct sums are faster";
  return p.is_segmented ? "few taps for such rows: segments are faster" : nullptr;
}
const char* reject_overlap_save(const void* problem) noexcept {
  const LongProblem& p = as_long(problem);
  if (p.is_direct) return "few taps: direct sums are faster";
  return p.is_segmented ? nullptr : "one transform of a row is faster";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

int64_t n_tasks(const void* problem) noexcept {
  const LongProblem& p = as_long(problem);
  switch (p.kind) {
    case LongKind::spectrum:
    case LongKind::taps:
      return p.n_heads;
    case LongKind::first_pass:
    case LongKind::last_pass:
      return p.n_shared * n_column_tasks(p);
    case LongKind::blocks:
      return p.n_shared * p.tables->passes[0].radix;
    case LongKind::tap_parts:
      return p.n_heads * p.n_parts;
    case LongKind::row_sums:
      return p.n_channels;
    default:
      return (p.is_slab ? p.n_slabs() : p.n_rows()) * p.n_segments;
  }
}

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<S>::scratch_bytes(as_long(problem)));
}

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const Worker<S> worker(as_long(problem), buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

using f32 = float;
using f64 = double;

}  // namespace

// Two names of one thing, so that info.explain tells which of the methods was taken.
#define SWATH_LONG_FFT(variant, dtype)                                                   \
  extern const KernelFns long_conv_##variant##_##dtype;                                  \
  const KernelFns long_conv_##variant##_##dtype{reject_##variant,     no_bytes, no_pack, \
                                                scratch_bytes<dtype>, n_tasks,  run<dtype>};
#define SWATH_LONG_FFT_DTYPES(variant) \
  SWATH_LONG_FFT(variant, f32)         \
  SWATH_LONG_FFT(variant, f64)         \
  SWATH_LONG_FFT(variant, f16)         \
  SWATH_LONG_FFT(variant, bf16)
SWATH_LONG_FFT_DTYPES(fft)
SWATH_LONG_FFT_DTYPES(overlap_save)
#undef SWATH_LONG_FFT_DTYPES
#undef SWATH_LONG_FFT

}  // namespace swath::SWATH_ISA
