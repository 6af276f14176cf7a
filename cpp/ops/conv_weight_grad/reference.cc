// Plain loops, sums in double: the last resort of the table.
#include <Eigen/Core>

#include "core/kernel.h"
#include "ops/conv_weight_grad/problem.h"
#include "ops/sliding_conv/reference_mask.h"

namespace swath {
namespace {

const WeightGradProblem& as_grad(const void* p) {
  return *static_cast<const WeightGradProblem*>(p);
}

/// One weight: output channel o of all, input channel c of its group, tap t.
template <class T>
struct Weight {
  const WeightGradProblem& w;
  const Buffers& b;
  int64_t o, c, tap[3];

  static double value(const void* base, int64_t offset) {
    return static_cast<double>(static_cast<const T*>(base)[offset]);
  }

  /// In blocks of 512 terms, as the other kernels.
  double sum(int64_t partial) const {
    const ConvProblem& p = w.conv;
    const int64_t n_rows = p.n_batch * p.axis[0].out * p.axis[1].out;
    const int64_t begin = n_rows * partial / w.n_partials;
    const int64_t end = n_rows * (partial + 1) / w.n_partials;
    double total = 0, block = 0;
    int64_t n_terms = 0;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t y = row % p.axis[1].out, z = row / p.axis[1].out % p.axis[0].out;
      const int64_t n = row / p.axis[1].out / p.axis[0].out;
      for (int64_t i = 0; i < p.axis[2].out; ++i) {
        block += product(n, {z, y, i});
        if (++n_terms % 512 == 0) {
          total += block;
          block = 0;
        }
      }
    }
    return total + block;
  }

  double product(int64_t n, const int64_t (&at)[3]) const {
    const ConvProblem& p = w.conv;
    const int64_t channel = o / p.out_per_group * p.in_per_group + c;
    int64_t x = p.x_offset + n * p.x_batch_stride + channel * p.x_channel_stride;
    int64_t y = p.y_offset + n * p.y_batch_stride + o * p.y_channel_stride;
    int64_t indices[3] = {};
    for (int i = 0; i < 3; ++i) {
      const ConvAxis& a = p.axis[i];
      const int64_t index =
          padded_index(a.first_input(at[i]) + tap[i] * a.dilation, a.in, p.padding_mode);
      if (index < 0) return 0;
      indices[i] = index;
      x += index * a.x_stride;
      y += at[i] * a.y_stride;
    }
    const double m = mask_at(p, b, n, channel, indices);
    return m == 0 ? 0 : m * value(b.read(p.x), x) * value(b.read(p.y), y);
  }
};

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

/// One task is all taps of one channel pair in one partial sum.
int64_t n_tasks(const void* problem) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  return w.n_partials * w.conv.n_out_channels() * w.conv.in_per_group;
}

template <class T, class Acc>
void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const WeightGradProblem& w = as_grad(problem);
  const ConvProblem& p = w.conv;
  const int64_t n_pairs = p.n_out_channels() * p.in_per_group;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t partial = task / n_pairs, pair = task % n_pairs;
    for (int64_t t = 0; t < p.n_taps(); ++t) {
      const int64_t kw = p.axis[2].kernel, kh = p.axis[1].kernel;
      const Weight<T> weight{
          w, b, pair / p.in_per_group, pair % p.in_per_group, {t / kw / kh, t / kw % kh, t % kw}};
      const double sum = weight.sum(partial);
      const int64_t index = pair * p.n_taps() + t;
      if (w.n_partials > 1) {
        static_cast<Acc*>(b.write(w.partials))[partial * w.n_weights() + index] =
            static_cast<Acc>(sum);
      } else {
        static_cast<T*>(b.write(p.w))[p.w_offset + index] = static_cast<T>(sum);
      }
    }
  }
}

template <class T, class Acc>
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run<T, Acc>};

#define SWATH_REFERENCE(dtype, type, acc)   \
  {"conv_weight_grad_" #dtype "_reference", \
   "reference",                             \
   DType::dtype,                            \
   Cluster::reference,                      \
   DeviceType::cpu,                         \
   &kFns<type, acc>}
const KernelRecord kRecords[] = {
    SWATH_REFERENCE(f32, float, float), SWATH_REFERENCE(f64, double, double),
    SWATH_REFERENCE(f16, Eigen::half, float), SWATH_REFERENCE(bf16, Eigen::bfloat16, float)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable conv_weight_grad_reference_kernels() noexcept { return {kRecords, 4}; }

}  // namespace swath
