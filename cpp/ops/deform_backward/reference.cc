// The gradients of the deformable convolution by plain loops in double.
#include <iterator>

#include "ops/deform_conv/reference.h"

namespace swath {
namespace {

const DeformProblem& as_deform(const void* p) { return *static_cast<const DeformProblem*>(p); }

int64_t n_tasks(const void* problem) noexcept {
  const DeformProblem& p = as_deform(problem);
  return p.role == DeformRole::input_grad ? p.n_batch * p.n_blocks : p.n_partials * p.n_blocks;
}

struct Reference {
  const DeformProblem& p;
  const Buffers& b;
  DType acc;

  double dy(int64_t n, int64_t q, int64_t o) const {
    return load_scalar(acc, b.read(p.dy), (n * p.n_positions() + q) * p.n_out() + o);
  }

  /// The gradient of one sample of channel c, before the mask.
  double sample_grad(int64_t n, int64_t q, int64_t t, int64_t c) const {
    const int64_t group = c / p.in_per_group;
    ScalarSum sum;
    for (int64_t i = 0; i < p.out_per_group; ++i) {
      const int64_t o = group * p.out_per_group + i;
      sum.add(dy(n, q, o) * reference_weight(p, b, o, c - group * p.in_per_group, t));
    }
    return sum.value();
  }

  void add_to_dx(int64_t n, const DeformBlock& block, int64_t c, int64_t pixel, double v) const {
    const int64_t at =
        p.n_pixels() * (n * p.n_in() + block.first) + pixel * block.n + c - block.first;
    store_scalar(acc, b.write(p.dx), at, load_scalar(acc, b.read(p.dx), at) + v);
  }

  void give(int64_t n, int64_t index, int64_t t, int64_t q) const {
    const DeformBlock& block = p.blocks[index];
    const ReferencePoint at = reference_point(p, b, n, block.deform, t, q);
    double sums[3] = {0, 0, 0};
    for (int64_t c = block.first; at.counts && c < block.first + block.n; ++c) {
      const double g = sample_grad(n, q, t, c);
      double x[4];
      for (int i = 0; i < 4; ++i) {
        const int64_t pixel = corner_pixel(p, at, i);
        const double w = corner_weight(at, i);
        x[i] = pixel_value(p, b, n, c, pixel);
        if (p.needs_x && pixel >= 0 && w != 0) add_to_dx(n, block, c, pixel, g * w * at.mask);
      }
      sums[0] += g * at.mask * (at.w[0] * (x[2] - x[0]) + at.w[1] * (x[3] - x[1]));
      sums[1] += g * at.mask * (at.h[0] * (x[1] - x[0]) + at.h[1] * (x[3] - x[2]));
      sums[2] += g * sample_value(p, b, n, c, at);
    }
    if (!p.needs_points) return;
    const int64_t first = ((n * p.n_blocks + index) * p.n_taps() + t) * 3 * p.n_positions() + q;
    for (int k = 0; k < 3; ++k) {
      store_scalar(acc, b.write(p.points), first + k * p.n_positions(), sums[k]);
    }
  }

  void input_task(int64_t n, int64_t index) const {
    const DeformBlock& block = p.blocks[index];
    for (int64_t i = 0; p.needs_x && i < p.n_pixels() * block.n; ++i) {
      store_scalar(acc, b.write(p.dx), p.n_pixels() * (n * p.n_in() + block.first) + i, 0);
    }
    for (int64_t q = 0; q < p.n_positions(); ++q) {
      for (int64_t t = 0; t < p.n_taps(); ++t) give(n, index, t, q);
    }
  }

  void weight_task(int64_t partial, const DeformBlock& block) const {
    const int64_t all = p.n_batch * p.n_positions(), n_taps = p.n_taps();
    const int64_t begin = all * partial / p.n_partials, end = all * (partial + 1) / p.n_partials;
    const int64_t n_weights = p.n_out() * p.in_per_group * n_taps;
    for (int64_t c = block.first; c < block.first + block.n; ++c) {
      const int64_t group = c / p.in_per_group;
      for (int64_t i = 0; i < p.out_per_group; ++i) {
        const int64_t o = group * p.out_per_group + i;
        for (int64_t t = 0; t < n_taps; ++t) {
          ScalarSum sum;
          for (int64_t k = begin; k < end; ++k) {
            const int64_t n = k / p.n_positions(), q = k % p.n_positions();
            const ReferencePoint at = reference_point(p, b, n, block.deform, t, q);
            sum.add(dy(n, q, o) * (sample_value(p, b, n, c, at) * at.mask));
          }
          store_scalar(
              acc, b.write(p.partials),
              partial * n_weights + (o * p.in_per_group + c - group * p.in_per_group) * n_taps + t,
              sum.value());
        }
      }
    }
  }
};

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const DeformProblem& p = as_deform(problem);
  const Reference r{p, b, accumulator_of(p.dtype)};
  for (int64_t task = begin; task < end; ++task) {
    if (p.role == DeformRole::input_grad) {
      r.input_task(task / p.n_blocks, task % p.n_blocks);
    } else {
      r.weight_task(task / p.n_blocks, p.blocks[task % p.n_blocks]);
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)             \
  {"deform_backward_" #dtype "_reference", \
   "reference",                            \
   DType::dtype,                           \
   Cluster::reference,                     \
   DeviceType::cpu,                        \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable deform_backward_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
