#include "ops/long_conv/method.h"

#include <algorithm>
#include <cmath>

#include "ops/long_conv/ring_tables.h"

namespace swath {
namespace {

/// Elements of a cache line.
constexpr int64_t kLine = 16;
/// Outputs of one task of the direct kernel.
constexpr int64_t kDirectSegment = 1024;

/// Transform, product and inverse of n elements, float32 on AVX-512: nanoseconds per element and
/// doubling, measured from 256 to a million elements. Other clusters and float64 scale alike.
double ring_seconds(int64_t n) {
  const double per_level = n <= 65536 ? 0.13 : n <= 262144 ? 0.15 : 0.21;
  const bool is_power = (n & (n - 1)) == 0;
  const double levels = std::log2(static_cast<double>(n));
  return 1e-9 * (is_power ? 1 : 1.1) * per_level * static_cast<double>(n) * levels;
}

/// Both halves of the ring are read and written, and each segment is set up.
double segment_seconds(int64_t ring) { return 1.08 * ring_seconds(ring) + 30e-9; }

/// One output: its taps, and as much again as 8 of them for reading and writing.
double direct_seconds(int64_t n_out, int64_t n_taps) {
  return 0.029e-9 * static_cast<double>(n_out) * static_cast<double>(n_taps + 8);
}

int64_t segments(int64_t n_out, int64_t segment) {
  return std::max<int64_t>(1, (n_out + segment - 1) / segment);
}

struct Choice {
  int64_t ring = 0, n_segments = 1, segment = 0, place = 0;
  double seconds = 0;
  bool is_segmented = false;
};

/// All outputs from one transform of a row. The ring must have room for what is read and written,
/// and no product that wraps around may reach an output.
Choice whole_row(const LongProblem& p) {
  const int64_t a = p.first_output, before = p.taps.n - 1;
  int64_t low = a - before, high = a + p.n_out;
  if (!p.u.is_periodic) {
    low = std::max<int64_t>(low, 0);
    high = std::max(low, std::min(high, p.u.n));
  }
  const int64_t base = std::min(low, a);
  const int64_t reals =
      std::max({high + before - a, a + p.n_out - low, high - base, a - base + p.n_out, p.taps.n});
  Choice c;
  c.ring = next_ring((reals + 1) / 2);
  c.segment = p.n_out;
  c.place = a - base;
  c.seconds = ring_seconds(c.ring);
  return c;
}

/// The same for the gradient of the taps: dc starts at `place`, v at 0, and lag j comes out at j.
Choice whole_tap_row(const LongProblem& p) {
  const int64_t a = p.first_output, before = p.taps.n - 1;
  int64_t low = a - before, high = a + p.n_out;
  if (!p.u.is_periodic) {
    low = std::max<int64_t>(low, 0);
    high = std::max(low, std::min(high, p.u.n));
  }
  Choice c;
  c.place = std::max<int64_t>(0, a - low);
  const int64_t base = a - c.place;
  const int64_t reals = std::max({before - c.place + high - base, c.place + p.n_out - low + base,
                                  c.place + p.n_out, high - base, p.taps.n});
  c.ring = next_ring((reals + 1) / 2);
  c.segment = p.n_out;
  c.seconds = ring_seconds(c.ring);
  return c;
}

/// Segments of 2 ring outputs less those that the taps spoil: the cheapest size. Both numbers are
/// multiples of a cache line, so that the rows of aligned arrays are read and written by whole
/// ones.
Choice overlap_save(const LongProblem& p) {
  const int64_t spoilt = (p.taps.n - 1 + kLine - 1) / kLine * kLine;
  Choice best;
  for (int64_t ring = next_ring(spoilt / 2 + 1);; ring = next_ring(ring + 1)) {
    const int64_t segment = 2 * ring - spoilt;
    Choice c{ring, segments(p.n_out, segment), segment, spoilt, 0, true};
    c.seconds = static_cast<double>(c.n_segments) * segment_seconds(ring);
    if (best.ring == 0 || c.seconds < best.seconds) best = c;
    if (c.n_segments == 1) return best;
  }
}

void apply(LongProblem& p, const Choice& c) {
  p.is_direct = false;
  p.is_segmented = c.is_segmented;
  p.ring = c.ring;
  p.n_segments = c.n_segments;
  p.segment = std::max<int64_t>(c.segment, 1);
  p.place = c.place;
}

void apply_direct(LongProblem& p) {
  p.is_direct = true;
  p.is_segmented = false;
  p.segment = kDirectSegment;
  p.n_segments = segments(p.n_out, p.segment);
  p.place = 0;
}

Choice cheaper(const Choice& a, const Choice& b) { return b.seconds < a.seconds ? b : a; }

Choice transform(const LongProblem& p, LongMethod method) {
  if (method == LongMethod::fft) return whole_row(p);
  if (method == LongMethod::overlap_save) return overlap_save(p);
  return cheaper(whole_row(p), overlap_save(p));
}

}  // namespace

void choose_method(LongProblem& p, LongMethod method) {
  if (method == LongMethod::direct) return apply_direct(p);
  const Choice found = transform(p, method);
  const bool is_auto = method == LongMethod::automatic;
  if (is_auto && direct_seconds(p.n_out, p.taps.n) <= found.seconds) return apply_direct(p);
  apply(p, found);
}

void choose_method_like(LongProblem& p, LongMethod method, bool is_direct) {
  if (is_direct) return apply_direct(p);
  apply(p, transform(p, method));
}

void choose_tap_method(LongProblem& p, LongMethod method, bool is_direct) {
  if (is_direct) return apply_direct(p);
  if (method == LongMethod::fft) return apply(p, whole_tap_row(p));
  if (method == LongMethod::overlap_save) return apply(p, overlap_save(p));
  apply(p, cheaper(whole_tap_row(p), overlap_save(p)));
}

double segment_seconds(const LongProblem& p) {
  const int64_t n_out = std::min(p.segment, p.n_out);
  return p.is_direct ? direct_seconds(n_out, p.taps.n) : ring_seconds(p.ring);
}

int64_t segment_flops(const LongProblem& p) {
  if (p.is_direct) return 2 * std::min(p.segment, p.n_out) * p.taps.n;
  const double n = static_cast<double>(p.ring);
  return static_cast<int64_t>(2 * 5 * n * std::log2(n) + 6 * n);
}

}  // namespace swath
