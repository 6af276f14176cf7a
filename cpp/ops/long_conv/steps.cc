// The steps of long convolutions, and the constants that their kernels need.
#include <algorithm>

#include "ops/common/scalar.h"
#include "ops/long_conv/call.h"
#include "ops/long_conv/method.h"
#include "ops/long_conv/ring_tables.h"

namespace swath {
namespace {

struct OwnedProblem : LongProblem {
  std::shared_ptr<const RingTables> kept;
};

int vector_bytes(Cluster cluster) {
  switch (cluster) {
    case Cluster::avx512:
      return 64;
    case Cluster::avx2:
      return 32;
    default:
      return 16;
  }
}

/// Rows that are cut into three steps: few, and so long that a thread more pays for reading them
/// again. Rows that fit into the second cache are slower in steps (1.5 times at 65536 elements), so
/// that there must be fewer of them.
constexpr int64_t kLongRing = 32768, kVeryLongRing = 262144;
constexpr int64_t kFewLongRows = 4, kFewVeryLongRows = 16;
/// Elements of the rows that go through the three steps together: so many that a step is worth
/// waking threads for, and no more, or they are read from memory again.
constexpr int64_t kSharedElements = 262144;

bool shares_rows(const LongProblem& p) {
  return !p.is_direct && p.n_segments == 1 && p.ring >= kLongRing &&
         p.n_rows() < (p.ring < kVeryLongRing ? kFewLongRows : kFewVeryLongRows);
}

/// All arrays have their channels side by side and their positions apart. Longer rows than these
/// would take more scratch memory than they save time.
constexpr int64_t kLongestSlab = 65536;

bool is_slab(const LongProblem& p) {
  if ((!p.is_direct && p.ring > kLongestSlab) || p.n_channels < 4 || p.add.is_present) return false;
  for (const RowArray* a : {&p.u.x, &p.u.gate, &p.post, &p.y, &p.post2, &p.y2}) {
    if (!a->is_present) continue;
    if (a->is_acc || a->channel_stride != 1 || a->step == 1) return false;
  }
  return true;
}

/// Sums over the rows of one head are made in this many parts: enough for 16 tasks in all.
int64_t tap_parts(const LongProblem& p) {
  const int64_t wanted = std::max<int64_t>(1, 16 / std::max<int64_t>(1, p.n_heads));
  return std::min(wanted, p.rows_per_head() * p.n_segments);
}

}  // namespace

void add_long_step(PlanImpl& plan, const std::string& op, const LongProblem& problem,
                   double cost_seconds) {
  static const Operator& table = find_operator("long_conv");
  auto owned = std::make_shared<OwnedProblem>();
  static_cast<LongProblem&>(*owned) = problem;
  const KernelRecord& kernel = select_kernel(table, problem.dtype, owned.get(), op);
  if (!problem.is_direct && problem.ring > 0 && kernel.cluster != Cluster::reference) {
    const DType acc = accumulator_of(problem.dtype);
    const int lanes = vector_bytes(kernel.cluster) / static_cast<int>(item_bytes(acc));
    owned->kept = ring_tables(problem.ring, lanes, acc);
    owned->tables = owned->kept.get();
  }
  const LongProblem* seen = owned.get();
  add_step(plan, table, problem.dtype, std::shared_ptr<const void>(std::move(owned), seen),
           cost_seconds, op);
}

void add_long_spectrum(PlanImpl& plan, const std::string& op, LongProblem& p) {
  if (p.is_direct) return;
  if (p.spectrum.space != ArrayRef::Space::output) {
    const int64_t item = item_bytes(accumulator_of(p.dtype));
    p.spectrum = reserve_temp(plan, p.n_heads * 2 * p.ring * item);
  }
  LongProblem s = p;
  s.kind = LongKind::spectrum;
  add_long_step(plan, op, s, static_cast<double>(p.n_heads) * segment_seconds(p) / 2);
}

namespace {

void add_shared_rows(PlanImpl& plan, const std::string& op, LongProblem p, double row_seconds) {
  const int64_t item = item_bytes(accumulator_of(p.dtype)), n_rows = p.n_rows();
  const int64_t together = std::clamp<int64_t>(kSharedElements / p.ring, 1, n_rows);
  p.planes = reserve_temp(plan, together * 2 * plane_pitch(p.ring, item) * item);
  for (; p.first_row < n_rows; p.first_row += together) {
    p.n_shared = std::min(together, n_rows - p.first_row);
    const double seconds = static_cast<double>(p.n_shared) * row_seconds;
    p.kind = LongKind::first_pass;
    add_long_step(plan, op, p, seconds / 4);
    p.kind = LongKind::blocks;
    add_long_step(plan, op, p, seconds / 2);
    p.kind = LongKind::last_pass;
    add_long_step(plan, op, p, seconds / 4);
  }
}

}  // namespace

void add_long_rows(PlanImpl& plan, const std::string& op, LongProblem p) {
  const bool is_given = p.spectrum.space == ArrayRef::Space::input && p.spectrum.slot > 0;
  if (!is_given) add_long_spectrum(plan, op, p);
  const auto n = static_cast<double>(p.n_rows() * p.n_segments);
  plan.flops += p.n_rows() * p.n_segments * segment_flops(p);
  const double seconds = n * segment_seconds(p);
  p.is_slab = is_slab(p);
  if (p.is_slab || !shares_rows(p)) return add_long_step(plan, op, p, seconds);
  add_shared_rows(plan, op, p, seconds / static_cast<double>(p.n_rows()));
}

void LongSteps::add(const LongProblem& problem, double cost_seconds) {
  add_long_step(plan_, call_.site.op, problem, cost_seconds);
}
void LongSteps::add_spectrum(LongProblem& problem) {
  add_long_spectrum(plan_, call_.site.op, problem);
}
void LongSteps::add_rows(LongProblem problem) { add_long_rows(plan_, call_.site.op, problem); }

LongProblem LongSteps::base() const {
  LongProblem p;
  p.dtype = call_.arrays.u->dtype;
  p.is_interleaved = call_.params.is_interleaved;
  p.n_batch = call_.n_batch;
  p.n_channels = call_.n_channels;
  p.n_heads = call_.n_heads;
  return p;
}

RowSource LongSteps::taps() {
  const TensorDesc& k = *call_.arrays.k;
  RowSource given;
  given.x = {.ref = input_ref(kLongK),
             .is_present = true,
             .channel_stride = k.strides[0],
             .step = call_.is_reversed ? -k.strides[1] : k.strides[1]};
  given.x.first = k.strides[1] *
                  (call_.is_reversed ? call_.n_given_taps - 1 - call_.first_tap : call_.first_tap);
  given.n = call_.n_taps;
  if (!call_.is_masked) return given;
  given.x.first = 0;
  given.n = call_.n_given_taps;
  // Lags -(L - 1) to L - 1 of the masked taps, which are n_fft periodic: k * response.
  const int64_t n = 2 * call_.length - 1, item = item_bytes(accumulator_of(k.dtype));
  LongProblem p = base();
  p.n_batch = 1;
  p.n_channels = call_.n_heads;
  p.is_interleaved = false;
  p.u = {{.ref = input_ref(kLongResponse), .is_present = true, .is_acc = true},
         {},
         call_.params.n_fft,
         true};
  p.taps = given;
  p.first_output = 1 - call_.length;
  p.n_out = n;
  p.y = {.ref = reserve_temp(plan_, call_.n_heads * n * item),
         .is_present = true,
         .is_acc = true,
         .channel_stride = n};
  choose_method_like(p, LongMethod::fft, is_masked_direct());
  const RowArray made = p.y;
  add_rows(p);
  return {made, {}, n};
}

/// Whether the masked taps themselves are summed directly: one kernel then serves all steps.
bool LongSteps::is_masked_direct() const {
  LongProblem p = base();
  p.u = call_.input();
  p.taps.n = 2 * call_.length - 1;
  p.first_output = call_.length - 1;
  p.n_out = call_.n_out;
  choose_method(p, call_.params.method);
  return p.is_direct;
}

void LongSteps::add_tap_gradient(LongProblem p) {
  const int64_t item = item_bytes(accumulator_of(p.dtype));
  p.n_parts = tap_parts(p);
  const int64_t n_rows = p.n_rows() * p.n_segments;
  const double seconds = static_cast<double>(n_rows) * segment_seconds(p);
  plan_.flops += n_rows * segment_flops(p);
  if (p.n_parts == 1) {
    p.kind = LongKind::taps;
    return add(p, seconds);
  }
  p.parts =
      reserve_temp(plan_, p.n_heads * p.n_parts * item * (p.is_direct ? p.taps.n : 2 * p.ring));
  p.kind = LongKind::tap_parts;
  add(p, seconds);
  p.kind = LongKind::taps;
  add(p, static_cast<double>(p.n_heads) * segment_seconds(p) / 2);
}

}  // namespace swath
