#include <algorithm>

#include "ops/common/scalar.h"
#include "ops/plane_fft/compose.h"

namespace swath {
namespace {

constexpr double kFlopsPerSecond = 8e9;  // an order of magnitude
/// Spectra of a bundle: with the tiles they stay in the second level of the caches.
constexpr int64_t kBundleBytes = 64 << 10, kMostPlanes = 16;

}  // namespace

std::shared_ptr<PlaneStep> make_plane_step(PlaneJob job, DType dtype, int64_t n0, int64_t n1,
                                           int64_t n_batch, int64_t n_planes) {
  auto step = std::make_shared<PlaneStep>();
  const DType accumulator = accumulator_of(dtype);
  step->dtype = dtype;
  step->job = job;
  step->tables[0] = fft_table(n0, accumulator);
  step->tables[1] = n0 == n1 ? step->tables[0] : fft_table(n1, accumulator);
  for (int i = 0; i < 2; ++i) step->length[i] = step->tables[i].get();
  step->n_batch = n_batch;
  step->n_planes = n_planes;
  step->scale = 1 / (static_cast<double>(n0) * static_cast<double>(n1));
  const int64_t plane_bytes = 2 * n0 * step->n_columns() * item_bytes(accumulator);
  step->bundle = std::clamp<int64_t>(kBundleBytes / plane_bytes, 1, kMostPlanes);
  return step;
}

PlaneArray plane_array(const Operand& x, int row_axis, int column_axis) {
  const TensorDesc& d = *x.desc;
  PlaneArray a;
  a.is_present = true;
  a.ref = x.ref;
  a.offset = x.offset;
  a.row_stride = d.strides[row_axis];
  a.column_stride = d.strides[column_axis];
  for (int i = 0; i < d.rank; ++i) {
    if (i == row_axis || i == column_axis || d.shape[i] == 1) continue;
    WalkAxis<1>* last = a.lead.n_axes > 0 ? &a.lead.axes[a.lead.n_axes - 1] : nullptr;
    if (last != nullptr && last->stride[0] == d.shape[i] * d.strides[i]) {
      *last = {last->n * d.shape[i], {d.strides[i]}};
    } else {
      a.lead.axes[a.lead.n_axes++] = {d.shape[i], {d.strides[i]}};
    }
  }
  return a;
}

ArrayRef reserve_spectra(PlanImpl& plan, const PlaneProblem& step) {
  return reserve_temp(plan, step.n_bundles() * step.n_parts * step.spectrum_size() *
                                item_bytes(accumulator_of(step.dtype)));
}

void add_plane_step(PlanImpl& plan, const std::string& op, std::shared_ptr<const PlaneStep> step,
                    int n_transforms) {
  static const Operator& table = find_operator("plane_fft");
  const auto n0 = static_cast<double>(step->length[0]->n),
             n1 = static_cast<double>(step->length[1]->n);
  // Half of the columns, and pairs of rows.
  const double flops = n_transforms * static_cast<double>(step->n_batch * step->n_planes) *
                       (n1 * fft_flops(step->length[0]->n) + n0 * fft_flops(step->length[1]->n)) /
                       2;
  plan.flops += static_cast<int64_t>(flops);
  add_step(plan, table, step->dtype, std::shared_ptr<const PlaneProblem>(step),
           flops / kFlopsPerSecond, op);
}

}  // namespace swath
