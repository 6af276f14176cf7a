// Plain loops, sums in double: the oracle in C++ and the last resort of the table.
#include <Eigen/Core>
#include <cmath>

#include "core/kernel.h"
#include "ops/common/scalar.h"
#include "ops/sliding_conv/reference_mask.h"

namespace swath {
namespace {

/// One output element.
template <class T>
struct Element {
  const ConvProblem& p;
  const Buffers& b;
  int64_t n, g, o, at[3];  // batch, group, channel within the group, position

  static double value(const void* base, int64_t offset) {
    return static_cast<double>(static_cast<const T*>(base)[offset]);
  }

  /// In blocks of 512 terms: for f64 data a longer sequential sum misses the sqrt(terms) tolerance.
  /// `w_shift`: how much further on the weights are (gates).
  double sum(int64_t w_shift) const {
    const void* x = b.read(p.x);
    double total = 0, block = 0;
    int64_t n_terms = 0;
    for (int64_t c = 0; c < p.in_per_group; ++c) {
      const int64_t x_base =
          p.x_offset + n * p.x_batch_stride + (g * p.in_per_group + c) * p.x_channel_stride;
      const int64_t w_base =
          p.w_offset + w_shift + g * p.w_group_stride + o * p.w_out_stride + c * p.w_in_stride;
      for (int64_t t = 0; t < p.n_taps(); ++t) {
        int64_t rest = t, x_at = x_base, w_at = w_base;
        bool is_zero = false;
        int64_t indices[3] = {};
        for (int i = 2; i >= 0; --i) {
          const ConvAxis& a = p.axis[i];
          const int64_t tap = rest % a.kernel;
          rest /= a.kernel;
          const int64_t index =
              padded_index(a.first_input(at[i]) + tap * a.dilation, a.in, p.padding_mode);
          is_zero |= index < 0;
          indices[i] = index;
          x_at += index * a.x_stride;
          w_at += tap * a.w_stride;
        }
        const double m = is_zero ? 0 : mask_at(p, b, n, g * p.in_per_group + c, indices);
        if (m != 0) block += m * value(x, x_at) * value(b.read(p.w), w_at);
        if (++n_terms % 512 == 0) {
          total += block;
          block = 0;
        }
      }
    }
    return total + block;
  }

  /// The mask's factor of one plane at this position.
  double factor(const ArrayRef& plane) const {
    const int64_t row =
        ((p.mask.is_shared ? 0 : n) * p.axis[0].out + at[0]) * p.axis[1].out + at[1];
    const int64_t i = row * p.axis[2].out + at[2];
    const void* values = b.read(plane);
    return sizeof(T) == 8 ? static_cast<const double*>(values)[i]
                          : static_cast<const float*>(values)[i];
  }

  /// From a sum to the activation's argument; `shift` tells the channel's gate from its feature.
  double scale_and_shift(double y, int64_t shift) const {
    const ConvEpilogue& e = p.epilogue;
    const int64_t channel = g * p.out_per_group + o + shift;
    const double ratio = p.mask.has_ratio ? factor(p.mask.ratio) : 1;
    if (ratio != 1) y = ratio == 0 ? 0 : y * ratio;
    if (e.has_bias && ratio != 0) {
      y += value(b.read(e.bias), e.bias_offset + channel * e.bias_stride);
    }
    if (p.mask.has_keep) {
      const double keep = factor(p.mask.keep);
      y = keep == 0 ? 0 : y * keep;
    }
    if (e.has_scale) y *= value(b.read(e.scale), e.scale_offset + channel * e.scale_stride);
    if (e.has_shift) y += value(b.read(e.shift), e.shift_offset + channel * e.shift_stride);
    return y;
  }

  double finish() const {
    const ConvEpilogue& e = p.epilogue;
    const int64_t channel = g * p.out_per_group + o;
    double y = scale_and_shift(sum(0), 0);
    double residual = 0;
    if (e.has_residual) {
      int64_t r =
          e.residual_offset + n * e.residual_batch_stride + channel * e.residual_channel_stride;
      for (int i = 0; i < 3; ++i) r += at[i] * p.axis[i].residual_stride;
      residual = value(b.read(e.residual), r);
    }
    if (e.residual_first) return activate_scalar(y + residual, e.activation, e.activation_value);
    y = activate_scalar(y, e.activation, e.activation_value);
    if (e.has_gate) {
      const double gate = scale_and_shift(sum(e.gate_channels * p.w_out_stride), e.gate_channels);
      y *= activate_scalar(gate, e.gate, e.gate_value);
    }
    return e.has_residual ? y + residual : y;
  }

  void write() const {
    int64_t y = p.y_offset + n * p.y_batch_stride + (g * p.out_per_group + o) * p.y_channel_stride;
    for (int i = 0; i < 3; ++i) y += at[i] * p.axis[i].y_stride;
    static_cast<T*>(b.write(p.y))[y] = static_cast<T>(finish());
  }
};

const ConvProblem& as_conv(const void* p) { return *static_cast<const ConvProblem*>(p); }

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

/// One task is one output channel of one sample.
int64_t n_tasks(const void* problem) noexcept {
  return as_conv(problem).n_batch * as_conv(problem).n_out_channels();
}

template <class T>
void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const ConvProblem& p = as_conv(problem);
  for (int64_t task = begin; task < end; ++task) {
    Element<T> e{p,
                 b,
                 task / p.n_out_channels(),
                 task % p.n_out_channels() / p.out_per_group,
                 task % p.out_per_group,
                 {}};
    for (e.at[0] = 0; e.at[0] < p.axis[0].out; ++e.at[0]) {
      for (e.at[1] = 0; e.at[1] < p.axis[1].out; ++e.at[1]) {
        for (e.at[2] = 0; e.at[2] < p.axis[2].out; ++e.at[2]) e.write();
      }
    }
  }
}

template <class T>
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run<T>};

#define SWATH_REFERENCE(dtype, type)    \
  {"sliding_conv_" #dtype "_reference", \
   "reference",                         \
   DType::dtype,                        \
   Cluster::reference,                  \
   DeviceType::cpu,                     \
   &kFns<type>}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32, float), SWATH_REFERENCE(f64, double),
                                 SWATH_REFERENCE(f16, Eigen::half),
                                 SWATH_REFERENCE(bf16, Eigen::bfloat16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable sliding_conv_reference_kernels() noexcept { return {kRecords, 4}; }

}  // namespace swath
