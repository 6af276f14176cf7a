// describe of band_split and its backward.
#include <swath/ops/band_split.h>

#include <cmath>
#include <memory>

#include "core/format.h"
#include "ops/common/copy.h"
#include "ops/common/geometry.h"
#include "ops/common/plain_step.h"
#include "ops/plane_fft/compose.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

void check_call(const CallSite& site, const TensorDesc& x, const BandSplitParams& params) {
  check_floating(site, x);
  if (x.rank < 2 || x.rank >= kMaxRank) {
    site.fail(ErrorCode::shape, "x",
              format("x has {} axes {}, needed are (..., H, W): 2 to {} axes", x.rank,
                     shape_text(x), kMaxRank - 1));
  }
  for (int i = x.rank - 2; i < x.rank; ++i) {
    if (x.shape[i] <= kMostFftPoints) continue;
    site.fail(ErrorCode::shape, "x",
              format("x has shape {}, needed are at most {} rows and columns", shape_text(x),
                     kMostFftPoints));
  }
  for (size_t i = 0; i < params.cutoffs.size(); ++i) {
    const double f = params.cutoffs[i];
    if (!std::isfinite(f) || f < 0) {
      site.fail(ErrorCode::param, "cutoffs",
                format("cutoffs has {}, needed are frequencies in cycles per sample, 0 or more",
                       std::to_string(f)));
    }
    if (i > 0 && f >= params.cutoffs[i - 1]) {
      site.fail(ErrorCode::param, "cutoffs",
                format("cutoffs has {} after {}, needed are descending ones", std::to_string(f),
                       std::to_string(params.cutoffs[i - 1])));
    }
  }
}

/// For every row of the spectrum, how many columns are at or below the cutoff. Frequencies are
/// those of numpy.fft to the last bit: a cutoff may be meant to hit one.
void append_limits(std::vector<int32_t>& limits, double cutoff, BandMetric metric, int64_t n0,
                   int64_t n1) {
  const double step0 = 1.0 / static_cast<double>(n0), step1 = 1.0 / static_cast<double>(n1);
  const auto is_low = [&](int64_t row, int64_t column) {
    const double u = static_cast<double>(row) * step0, v = static_cast<double>(column) * step1;
    if (metric == BandMetric::max) return u <= cutoff && v <= cutoff;
    return std::sqrt(u * u + v * v) <= cutoff;
  };
  const size_t first = limits.size();
  limits.resize(first + static_cast<size_t>(n0));
  int64_t n_columns = n1 / 2 + 1;
  for (int64_t u = 0; u <= n0 / 2; ++u) {
    while (n_columns > 0 && !is_low(u, n_columns - 1)) --n_columns;
    limits[first + u] = static_cast<int32_t>(n_columns);
    if (u > 0) limits[first + n0 - u] = static_cast<int32_t>(n_columns);
  }
}

std::shared_ptr<PlaneStep> make_step(PlaneJob job, const TensorDesc& x,
                                     const BandSplitParams& params) {
  const int row_axis = x.rank - 2, column_axis = x.rank - 1;
  const int64_t n0 = x.shape[row_axis], n1 = x.shape[column_axis];
  auto step = make_plane_step(job, x.dtype, n0, n1, 1, x.n_elements() / (n0 * n1));
  step->a.array = plane_array({&x, input_ref(0)}, row_axis, column_axis);
  for (PlaneSide* side : {&step->a, &step->out}) {
    side->span[0] = {n0, 0, n0, 0};
    side->span[1] = {n1, 0, n1, 0};
  }
  for (const double cutoff : params.cutoffs) {
    append_limits(step->own_limits, cutoff, params.metric, n0, n1);
  }
  step->limits = step->own_limits.data();
  step->n_bands = static_cast<int32_t>(params.cutoffs.size()) + 1;
  return step;
}

/// The shape of all bands as one array.
TensorDesc bands_desc(const TensorDesc& x, int64_t n_bands) {
  int64_t shape[kMaxRank] = {n_bands};
  for (int i = 0; i < x.rank; ++i) shape[i + 1] = x.shape[i];
  return contiguous_desc(x.dtype, shape, x.rank + 1);
}

/// One band of such an array.
TensorDesc band_desc(const TensorDesc& bands) {
  TensorDesc band = bands;
  --band.rank;
  for (int i = 0; i < band.rank; ++i) {
    band.shape[i] = bands.shape[i + 1];
    band.strides[i] = bands.strides[i + 1];
  }
  return band;
}

}  // namespace

Plan plan_band_split(const TensorDesc& x, const BandSplitParams& params,
                     const PlanOptions& options) {
  const CallSite site{params.name};
  check_call(site, x, params);
  const auto n_bands = static_cast<int>(params.cutoffs.size()) + 1;
  const bool is_stacked = n_bands > kMaxOutputs;
  const TensorDesc bands = bands_desc(x, n_bands), band = band_desc(bands);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->outputs.assign(is_stacked ? 1 : static_cast<size_t>(n_bands), is_stacked ? bands : band);
  plan->bytes = bytes_of(x) + bytes_of(bands);
  if (x.n_elements() == 0) return Plan(std::move(plan));
  if (n_bands == 1) {
    add_copy_step(*plan, {.from = x, .to = band});
    return Plan(std::move(plan));
  }
  auto step = make_step(PlaneJob::bands, x, params);
  for (int i = 0; i < n_bands; ++i) {
    const Operand to{&band, output_ref(is_stacked ? 0 : i), is_stacked ? i * bands.strides[0] : 0};
    step->own_arrays.push_back(plane_array(to, x.rank - 2, x.rank - 1));
  }
  step->bands = step->own_arrays.data();
  add_plane_step(*plan, site.op, std::move(step), n_bands);
  return Plan(std::move(plan));
}

Plan plan_band_split_backward(const TensorDesc& x, const TensorDesc* const* dys, int n_dys,
                              const BandSplitParams& params, const PlanOptions& options) {
  const CallSite site{params.name};
  check_call(site, x, params);
  const auto n_bands = static_cast<int>(params.cutoffs.size()) + 1;
  const TensorDesc needed = bands_desc(x, n_bands);
  const bool is_stacked = n_dys == 1 && dys[0] != nullptr && dys[0]->rank == needed.rank;
  if (is_stacked) {
    check_gradient(site, *dys[0], needed, needed.shape);
  } else if (n_dys != n_bands) {
    site.fail(ErrorCode::shape, "dys",
              format("dys has {} arrays, needed are {}: one for each band", n_dys, n_bands));
  }
  for (int i = 0; i < n_dys && !is_stacked; ++i) {
    if (dys[i] != nullptr) check_same_array(site, x, *dys[i], "dys", "x");
  }
  const TensorDesc dx = contiguous_desc(x.dtype, x.shape.data(), x.rank);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->outputs = {dx};
  plan->bytes = bytes_of(dx);
  if (x.n_elements() == 0) return Plan(std::move(plan));
  const auto band_of = [&](int i) -> PlaneArray {
    const TensorDesc* d = dys[is_stacked ? 0 : i];
    if (d == nullptr) return {};
    plan->bytes += bytes_of(dx);
    const TensorDesc band = is_stacked ? band_desc(*d) : *d;
    return plane_array(
        {&band, input_ref(is_stacked ? 1 : i + 1), is_stacked ? i * d->strides[0] : 0}, x.rank - 2,
        x.rank - 1);
  };
  if (n_bands == 1) {
    const TensorDesc* d = dys[0];
    if (d == nullptr) {
      add_zero_step(*plan, output_ref(0), bytes_of(dx));
    } else {
      add_copy_step(*plan,
                    {.from = is_stacked ? band_desc(*d) : *d, .to = dx, .from_ref = input_ref(1)});
    }
    return Plan(std::move(plan));
  }
  auto step = make_step(PlaneJob::merge, x, params);
  for (int i = 0; i < n_bands; ++i) step->own_arrays.push_back(band_of(i));
  step->bands = step->own_arrays.data();
  step->out.array = plane_array({&dx, output_ref(0)}, x.rank - 2, x.rank - 1);
  add_plane_step(*plan, site.op, std::move(step), n_bands);
  return Plan(std::move(plan));
}

}  // namespace swath
