// Long convolution and its gradients in plain loops and in double. Takes the taps as they are, so
// that the steps which make spectra and partial sums have nothing to do.
#include <algorithm>
#include <iterator>

#include "ops/common/scalar.h"
#include "ops/long_conv/problem.h"

namespace swath {
namespace {

const LongProblem& as_long(const void* p) { return *static_cast<const LongProblem*>(p); }

struct Reference {
  const LongProblem& p;
  const Buffers& b;

  DType dtype_of(const RowArray& a) const { return a.is_acc ? accumulator_of(p.dtype) : p.dtype; }
  double get(const RowArray& a, int64_t batch, int64_t channel, int64_t i) const {
    return load_scalar(dtype_of(a), b.read(a.ref), a.at(batch, channel) + i * a.step);
  }
  void put(const RowArray& a, int64_t batch, int64_t channel, int64_t i, double value) const {
    store_scalar(dtype_of(a), b.write(a.ref), a.at(batch, channel) + i * a.step, value);
  }
  double value(const RowSource& s, int64_t batch, int64_t channel, int64_t i) const {
    if (s.is_periodic) i = (i % s.n + s.n) % s.n;
    const double x = get(s.x, batch, channel, i);
    return s.gate.is_present ? x * get(s.gate, batch, channel, i) : x;
  }
  bool is_inside(int64_t i) const { return p.u.is_periodic || (i >= 0 && i < p.u.n); }

  void output(int64_t batch, int64_t channel, int64_t t) const {
    const int64_t head = p.head_of(channel);
    ScalarSum c;
    for (int64_t j = 0; j < p.taps.n; ++j) {
      const int64_t i = t + p.first_output - j;
      if (is_inside(i)) c.add(value(p.taps, 0, head, j) * value(p.u, batch, channel, i));
    }
    double y = c.value();
    if (p.add.is_present) y += get(p.add, batch, channel, t);
    if (p.skip.is_present) {
      y += get(p.skip, 0, 0, channel) * value(p.u, batch, channel, t);
    }
    if (p.bias.is_present) y += get(p.bias, 0, 0, channel);
    put(p.y, batch, channel, t, p.post.is_present ? y * get(p.post, batch, channel, t) : y);
    if (!p.y2.is_present) return;
    put(p.y2, batch, channel, t, p.post2.is_present ? y * get(p.post2, batch, channel, t) : y);
  }

  void keep(int64_t batch, int64_t channel) const {
    for (int64_t t = 0; t < p.n_out; ++t) {
      put(p.y, batch, channel, t, value(p.u, batch, channel, t));
    }
  }

  /// See TokenRow.
  void tokens(int64_t batch, int64_t channel) const {
    const int64_t time = *static_cast<const int64_t*>(b.read(p.time));
    const int64_t before = time % kStreamBlock, first = (time - before) % p.span;
    const DType acc = accumulator_of(p.dtype);
    for (int64_t i = 0; before == 0 && i < kStreamBlock; ++i) {
      put(p.block, batch, channel, i, 0);
      put(p.block, batch, channel, kStreamBlock + i, get(p.add, batch, channel, first + i));
      put(p.add, batch, channel, first + i, 0);
    }
    const int64_t taps = (p.head_of(channel) + 1) * kStreamBlock - 1;
    for (int64_t t = 0; t < p.n_out; ++t) {
      const int64_t at = before + t;
      const double v = value(p.u, batch, channel, t);
      put(p.block, batch, channel, at, v);
      double y = get(p.block, batch, channel, kStreamBlock + at);
      for (int64_t i = std::max<int64_t>(0, at - (p.taps.n - 1)); i <= at; ++i) {
        y += get(p.block, batch, channel, i) * load_scalar(acc, b.read(p.spectrum), taps - at + i);
      }
      if (p.skip.is_present) y += get(p.skip, 0, 0, channel) * v;
      if (p.bias.is_present) y += get(p.bias, 0, 0, channel);
      put(p.y, batch, channel, t, p.post.is_present ? y * get(p.post, batch, channel, t) : y);
    }
    for (int64_t i = 0; before + p.n_out == kStreamBlock && i < kStreamBlock; ++i) {
      put(p.kept, batch, channel, first + i, get(p.block, batch, channel, i));
    }
  }

  void tap(int64_t head, int64_t j) const {
    ScalarSum total;
    for (int64_t row = 0; row < p.rows_per_head(); ++row) {
      const int64_t batch = row % p.n_batch, channel = p.channel_of(head, row / p.n_batch);
      for (int64_t t = 0; t < p.n_out; ++t) {
        const int64_t i = t + p.first_output - j;
        if (is_inside(i)) total.add(value(p.dc, batch, channel, t) * value(p.u, batch, channel, i));
      }
    }
    put(p.dk, 0, head, j, total.value());
  }

  void sums(int64_t channel) const {
    ScalarSum skip, bias;
    for (int64_t batch = 0; batch < p.n_batch; ++batch) {
      for (int64_t t = 0; t < p.n_out; ++t) {
        const double dc = value(p.dc, batch, channel, t);
        bias.add(dc);
        if (p.dskip.is_present) skip.add(dc * value(p.u, batch, channel, t));
      }
    }
    if (p.dskip.is_present) put(p.dskip, 0, 0, channel, skip.value());
    if (p.dbias.is_present) put(p.dbias, 0, 0, channel, bias.value());
  }
};

int64_t n_tasks(const void* problem) noexcept {
  const LongProblem& p = as_long(problem);
  switch (p.kind) {
    case LongKind::last_pass:
      return p.n_shared;
    case LongKind::rows:
    case LongKind::stage:
    case LongKind::token:
      return p.n_rows();
    case LongKind::taps:
      return p.n_heads;
    case LongKind::row_sums:
      return p.n_channels;
    default:
      return 0;
  }
}

void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const LongProblem& p = as_long(problem);
  const Reference r{p, buffers};
  for (int64_t task = begin; task < end; ++task) {
    if (p.kind == LongKind::taps) {
      for (int64_t j = 0; j < p.taps.n; ++j) r.tap(task, j);
    } else if (p.kind == LongKind::stage) {
      r.keep(task % p.n_batch, task / p.n_batch);
    } else if (p.kind == LongKind::token) {
      r.tokens(task % p.n_batch, task / p.n_batch);
    } else if (p.kind == LongKind::row_sums) {
      r.sums(task);
    } else {
      const int64_t row = p.first_row + task;
      for (int64_t t = 0; t < p.n_out; ++t) r.output(row % p.n_batch, row / p.n_batch, t);
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)       \
  {"long_conv_" #dtype "_reference", \
   "reference",                      \
   DType::dtype,                     \
   Cluster::reference,               \
   DeviceType::cpu,                  \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable long_conv_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
