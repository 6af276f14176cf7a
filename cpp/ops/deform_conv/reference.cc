// The deformable convolution by plain loops in double.
#include "ops/deform_conv/reference.h"

#include <iterator>

namespace swath {
namespace {

const DeformProblem& as_deform(const void* p) { return *static_cast<const DeformProblem*>(p); }

/// One task is one position of one sample.
int64_t n_tasks(const void* problem) noexcept {
  return as_deform(problem).n_batch * as_deform(problem).n_positions();
}

double output_at(const DeformProblem& p, const Buffers& b, int64_t n, int64_t q, int64_t o) {
  const int64_t group = o / p.out_per_group;
  const int64_t per_deform = p.n_in() / p.n_deform;
  ScalarSum sum;
  for (int64_t i = 0; i < p.in_per_group; ++i) {
    const int64_t c = group * p.in_per_group + i;
    for (int64_t t = 0; t < p.n_taps(); ++t) {
      const ReferencePoint at = reference_point(p, b, n, c / per_deform, t, q);
      sum.add(reference_weight(p, b, o, i, t) * (sample_value(p, b, n, c, at) * at.mask));
    }
  }
  const double bias = p.has_bias ? load_scalar(p.dtype, b.read(p.bias), o * p.bias_stride) : 0;
  return sum.value() + bias;
}

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const DeformProblem& p = as_deform(problem);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t n = task / p.n_positions(), q = task % p.n_positions();
    for (int64_t o = 0; o < p.n_out(); ++o) {
      const int64_t at = p.y.offset + n * p.y.sample_stride + o * p.y.channel_stride +
                         q / p.axis[1].out * p.y.row_stride + q % p.axis[1].out * p.y.col_stride;
      store_scalar(p.dtype, b.write(p.y.ref), at, output_at(p, b, n, q, o));
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)         \
  {"deform_conv_" #dtype "_reference", \
   "reference",                        \
   DType::dtype,                       \
   Cluster::reference,                 \
   DeviceType::cpu,                    \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable deform_conv_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
