// Folding: the gradient of a padded image becomes that of the image, each border element being
// added to the one that it repeats. And conversions to the accumulator's dtype, which folding and
// running sums of 16-bit data need.
#include <Eigen/Core>
#include <algorithm>

#include "ops/common/partial_sums.h"
#include "ops/conv_backward/steps.h"

namespace swath {
namespace {

struct FoldAxis {
  int64_t n = 1, padded = 1, before = 0;  // lengths inside and with the border
  int64_t from_stride = 0, to_stride = 0;
};

struct FoldProblem {
  DType to_dtype;
  PaddingMode mode;
  bool accumulate;
  ArrayRef from, to;
  int64_t from_offset, to_offset;
  int64_t n_batch, n_channels;
  int64_t from_batch_stride, from_channel_stride, to_batch_stride, to_channel_stride;
  FoldAxis axis[3];
};

const FoldProblem& as_fold(const void* p) { return *static_cast<const FoldProblem*>(p); }

/// Calls f(q) for every padded index that stands for index i.
template <class F>
void each_source(const FoldAxis& a, PaddingMode mode, int64_t i, const F& f) {
  f(i + a.before);
  for (int64_t q = 0; q < a.padded; ++q) {
    if (q == a.before) q += a.n;
    if (q < a.padded && padded_index(q - a.before, a.n, mode) == i) f(q);
  }
}

template <class T, class S>
struct Folder {
  const FoldProblem& p;
  const T* from;
  S* to;
  T* line;  // scratch, one row of the image

  void add_row(const T* row) const {
    const FoldAxis& a = p.axis[2];
    for (int64_t i = 0; i < a.n; ++i) line[i] += row[(i + a.before) * a.from_stride];
    for (int64_t q = 0; q < a.padded; ++q) {
      if (q == a.before) q += a.n;
      if (q >= a.padded) break;
      const int64_t i = padded_index(q - a.before, a.n, p.mode);
      if (i >= 0) line[i] += row[q * a.from_stride];
    }
  }

  void fold_row(int64_t n, int64_t c, int64_t z, int64_t y) const {
    const FoldAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
    S* target =
        to + n * p.to_batch_stride + c * p.to_channel_stride + z * d.to_stride + y * h.to_stride;
    for (int64_t i = 0; i < w.n; ++i) {
      line[i] = p.accumulate ? static_cast<T>(target[i * w.to_stride]) : T{0};
    }
    const T* image = from + n * p.from_batch_stride + c * p.from_channel_stride;
    each_source(d, p.mode, z, [&](int64_t qz) {
      each_source(h, p.mode, y,
                  [&](int64_t qy) { add_row(image + qz * d.from_stride + qy * h.from_stride); });
    });
    for (int64_t i = 0; i < w.n; ++i) target[i * w.to_stride] = static_cast<S>(line[i]);
  }
};

/// One task is one row of all channels of one sample.
int64_t n_tasks(const void* p) noexcept {
  return as_fold(p).n_batch * as_fold(p).axis[0].n * as_fold(p).axis[1].n;
}
size_t scratch_bytes(const void* p) noexcept {
  return static_cast<size_t>(as_fold(p).axis[2].n) * sizeof(double);
}

template <class T, class S>
void fold(const FoldProblem& p, const Buffers& b, void* scratch, int64_t begin, int64_t end) {
  const Folder<T, S> folder{p, static_cast<const T*>(b.read(p.from)) + p.from_offset,
                            static_cast<S*>(b.write(p.to)) + p.to_offset, static_cast<T*>(scratch)};
  for (int64_t task = begin; task < end; ++task) {
    const int64_t y = task % p.axis[1].n, rest = task / p.axis[1].n;
    for (int64_t c = 0; c < p.n_channels; ++c) {
      folder.fold_row(rest / p.axis[0].n, c, rest % p.axis[0].n, y);
    }
  }
}

void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const FoldProblem& p = as_fold(problem);
  switch (p.to_dtype) {
    case DType::f64:
      return fold<double, double>(p, b, scratch, begin, end);
    case DType::f16:
      return fold<float, Eigen::half>(p, b, scratch, begin, end);
    case DType::bf16:
      return fold<float, Eigen::bfloat16>(p, b, scratch, begin, end);
    default:
      return fold<float, float>(p, b, scratch, begin, end);
  }
}

/// from (f16 or bf16) to a contiguous float array.
struct WidenProblem {
  TensorDesc from;
  ArrayRef from_ref, to;
  int64_t from_offset;
};
const WidenProblem& as_widen(const void* p) { return *static_cast<const WidenProblem*>(p); }

int64_t n_lines(const void* p) noexcept {
  const TensorDesc& d = as_widen(p).from;
  const int64_t last = d.shape[d.rank - 1];
  return last == 0 ? 0 : d.n_elements() / last;
}

template <class S>
void widen(const WidenProblem& p, const Buffers& b, int64_t begin, int64_t end) {
  const int last = p.from.rank - 1;
  const int64_t n = p.from.shape[last];
  for (int64_t line = begin; line < end; ++line) {
    const S* from = static_cast<const S*>(b.read(p.from_ref)) + p.from_offset;
    int64_t rest = line;
    for (int i = last - 1; i >= 0; --i) {
      from += rest % p.from.shape[i] * p.from.strides[i];
      rest /= p.from.shape[i];
    }
    float* to = static_cast<float*>(b.write(p.to)) + line * n;
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i * p.from.strides[last]]);
  }
}

void run_widen(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
               int64_t end) noexcept {
  const WidenProblem& p = as_widen(problem);
  if (p.from.dtype == DType::f16) {
    widen<Eigen::half>(p, b, begin, end);
  } else {
    widen<Eigen::bfloat16>(p, b, begin, end);
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kFoldFns{reject, no_bytes, no_pack, scratch_bytes, n_tasks, run};
const KernelRecord kFold{"fold", "fold", DType::f32, Cluster::baseline, DeviceType::cpu, &kFoldFns};
const KernelFns kWidenFns{reject, no_bytes, no_pack, no_bytes, n_lines, run_widen};
const KernelRecord kWiden{"widen",           "widen",         DType::f32,
                          Cluster::baseline, DeviceType::cpu, &kWidenFns};

}  // namespace

void add_fold(PlanImpl& plan, const AxisMap& map, int ndim, const Operand& from, const Operand& to,
              const std::array<int64_t, 3>& pad_before, PaddingMode mode, bool accumulate) {
  const TensorDesc &f = *from.desc, &t = *to.desc;
  FoldProblem p{.to_dtype = t.dtype,
                .mode = mode,
                .accumulate = accumulate,
                .from = from.ref,
                .to = to.ref,
                .from_offset = from.offset,
                .to_offset = to.offset,
                .n_batch = map.n >= 0 ? t.shape[map.n] : 1,
                .n_channels = t.shape[map.c],
                .from_batch_stride = map.n >= 0 ? f.strides[map.n] : 0,
                .from_channel_stride = f.strides[map.c],
                .to_batch_stride = map.n >= 0 ? t.strides[map.n] : 0,
                .to_channel_stride = t.strides[map.c],
                .axis = {}};
  for (int i = 0; i < ndim; ++i) {
    const int at = map.spatial[i];
    p.axis[3 - ndim + i] = {t.shape[at], f.shape[at], pad_before[i], f.strides[at], t.strides[at]};
  }
  const double bytes = static_cast<double>(f.n_elements()) * item_bytes(f.dtype) * 2;
  add_step(plan, kFold, std::make_shared<FoldProblem>(p), bytes / 4e9);
}

OwnOperand add_widened(PlanImpl& plan, const Operand& x) {
  const OwnOperand wide = reserve_like(plan, *x.desc, DType::f32);
  add_step(plan, kWiden,
           std::make_shared<WidenProblem>(WidenProblem{*x.desc, x.ref, wide.ref, x.offset}),
           static_cast<double>(x.desc->n_elements()) * 6 / 4e9);
  return wide;
}

}  // namespace swath
