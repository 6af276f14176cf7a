// Steps of a causal stream. A block of inputs gives its own outputs at once, whole or position by
// position; what it gives to later
// ones is added in tiles: after the i-th input, with p the largest power of two that divides i, the
// last p inputs are convolved with the taps 1 to 2 p - 1 and added to the next p sums. Each pair of
// an input and a later output meets in exactly one tile, so that n outputs cost O(n log^2 n).
// (van der Hoeven, "Relax, but don't be too lazy", 2002; for long convolutions Oncescu et al.,
// "Flash inference", 2024.)
#include <algorithm>

#include "ops/common/scalar.h"
#include "ops/long_conv/call.h"
#include "ops/long_conv/method.h"

namespace swath {
namespace {

LongProblem base(const LongStream& s, const LongConvArrays& a) {
  LongProblem p;
  p.dtype = a.k->dtype;
  p.is_interleaved = s.params.is_interleaved;
  p.n_batch = s.n_batch;
  p.n_channels = s.n_channels;
  p.n_heads = a.k->shape[0];
  return p;
}

/// Contiguous rows of accumulators.
RowArray accumulators(const LongStream& s, const ArrayRef& ref, int64_t length) {
  return {.ref = ref,
          .is_present = true,
          .is_acc = true,
          .batch_stride = s.n_channels * length,
          .channel_stride = length};
}
/// The kept inputs or sums.
RowArray kept(const LongStream& s, const ArrayRef& ref) { return accumulators(s, ref, s.span); }

RowArray rows(const LongStream& s, const TensorDesc* x, const ArrayRef& ref) {
  RowArray r;
  if (x == nullptr) return r;
  const CallSite site{s.params.name};
  const AxisMap map = map_axes(site, *x, 1, s.params.layout, "u");
  r.ref = ref;
  r.is_present = true;
  r.batch_stride = map.n >= 0 ? x->strides[map.n] : 0;
  r.channel_stride = x->strides[map.c];
  r.step = x->strides[map.spatial[0]];
  return r;
}

RowArray per_channel(const TensorDesc* x, int slot) {
  if (x == nullptr) return {};
  return {.ref = input_ref(slot), .is_present = true, .step = x->strides[0]};
}

/// Taps [first, first + n).
RowSource taps(const LongConvArrays& a, int64_t first, int64_t n) {
  const TensorDesc& k = *a.k;
  return {{.ref = input_ref(kLongK),
           .is_present = true,
           .first = first * k.strides[1],
           .channel_stride = k.strides[0],
           .step = k.strides[1]},
          {},
          n};
}

int64_t length_of(const LongStream& s, const TensorDesc& x) {
  return x.shape[s.params.layout == Layout::channels_first ? x.rank - 1 : x.rank - 2];
}

LongProblem tile(const LongStream& s, const LongConvArrays& a, int64_t size) {
  LongProblem p = base(s, a);
  p.u = {kept(s, input_ref(kLongU)), {}, size};
  p.taps = taps(a, 1, std::min(2 * size - 1, a.k->shape[1] - 1));
  p.first_output = size - 1;
  p.n_out = size;
  p.add = kept(s, input_ref(kLongSums));
  p.y = kept(s, output_ref(0));
  choose_method(p, LongMethod::automatic);
  return p;
}

std::shared_ptr<PlanImpl> new_plan(const LongStream& s) {
  auto plan = std::make_shared<PlanImpl>();
  plan->op = s.params.name;
  return plan;
}

}  // namespace

int64_t long_stream_span(int64_t n_taps) {
  int64_t span = kLongStreamBlock;
  while (span < n_taps - 1) span *= 2;
  return span;
}

Plan plan_long_stream_store(const LongStream& s, const LongConvArrays& a) {
  auto plan = new_plan(s);
  LongProblem p = base(s, a);
  p.kind = LongKind::stage;
  p.n_out = length_of(s, *a.u);
  p.u = {rows(s, a.u, input_ref(kLongU)), rows(s, a.pre_gate, input_ref(kLongPreGate)), p.n_out};
  p.y = kept(s, output_ref(0));
  p.taps.n = 1;
  choose_method(p, LongMethod::direct);
  add_long_step(*plan, s.params.name, p, static_cast<double>(p.n_rows() * p.n_out) * 0.3e-9);
  return Plan(std::move(plan));
}

namespace {

/// The arrays that a caller sees.
void add_arrays(LongProblem& p, const LongStream& s, const LongConvArrays& a, const TensorDesc& y) {
  p.n_out = length_of(s, y);
  p.y = rows(s, &y, output_ref(0));
  p.post = rows(s, a.post_gate, input_ref(kLongPostGate));
  p.skip = per_channel(a.skip, kLongSkip);
  p.bias = per_channel(a.bias, kLongBias);
}

}  // namespace

Plan plan_long_stream_block(const LongStream& s, const LongConvArrays& a, const TensorDesc& y) {
  auto plan = new_plan(s);
  plan->outputs = {y};
  LongProblem p = base(s, a);
  add_arrays(p, s, a, y);
  p.u = {kept(s, input_ref(kLongU)), {}, p.n_out};
  p.taps = taps(a, 0, std::min(p.n_out, a.k->shape[1]));
  p.add = kept(s, input_ref(kLongSums));
  choose_method(p, LongMethod::automatic);
  add_long_rows(*plan, s.params.name, p);
  return Plan(std::move(plan));
}

Plan plan_long_stream_tokens(const LongStream& s, const LongConvArrays& a, const TensorDesc& y) {
  static_assert(kStreamBlock == kLongStreamBlock);
  auto plan = new_plan(s);
  plan->outputs = {y};
  LongProblem p = base(s, a);
  p.kind = LongKind::token;
  add_arrays(p, s, a, y);
  p.u = {rows(s, a.u, input_ref(kLongU)), rows(s, a.pre_gate, input_ref(kLongPreGate)), p.n_out};
  p.spectrum = input_ref(kLongSpectrum);
  p.time = input_ref(kLongTime);
  p.kept = kept(s, output_ref(1));
  p.add = kept(s, output_ref(2));
  p.block = accumulators(s, output_ref(3), 2 * kStreamBlock);
  p.span = s.span;
  p.taps.n = std::min(kStreamBlock, a.k->shape[1]);
  choose_method(p, LongMethod::direct);
  add_long_step(*plan, s.params.name, p, static_cast<double>(p.n_rows() * p.n_out) * 10e-9);
  return Plan(std::move(plan));
}

Plan plan_long_stream_tile(const LongStream& s, const LongConvArrays& a, int64_t size) {
  auto plan = new_plan(s);
  LongProblem p = tile(s, a, size);
  if (a.spectrum != nullptr) p.spectrum = input_ref(kLongSpectrum);
  add_long_rows(*plan, s.params.name, p);
  return Plan(std::move(plan));
}

Plan plan_long_stream_spectrum(const LongStream& s, const LongConvArrays& a, int64_t size) {
  auto plan = new_plan(s);
  LongProblem p = tile(s, a, size);
  if (p.is_direct) return Plan(std::move(plan));
  plan->outputs = {contiguous_desc(accumulator_of(p.dtype), {p.n_heads, 2 * p.ring})};
  p.spectrum = output_ref(0);
  add_long_spectrum(*plan, s.params.name, p);
  return Plan(std::move(plan));
}

}  // namespace swath
