#include "ops/common/copy.h"

#include <cstring>

namespace swath {
namespace {

const CopyProblem& as_copy(const void* p) { return *static_cast<const CopyProblem*>(p); }

int64_t n_rows(const void* p) noexcept {
  const TensorDesc& d = as_copy(p).from;
  int64_t n = 1;
  for (int i = 0; i + 1 < d.rank; ++i) n *= d.shape[i];
  return d.rank > 0 && d.shape[d.rank - 1] == 0 ? 0 : n;
}

template <class T>
void copy_row(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t n) {
  if (from_stride == 1 && to_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
}

template <class T>
void copy_rows(const CopyProblem& p, const T* from, T* to, int64_t begin, int64_t end) {
  const int last = p.from.rank - 1;
  from += p.from_offset;
  to += p.to_offset;
  for (int64_t row = begin; row < end; ++row) {
    int64_t rest = row, from_at = 0, to_at = 0;
    for (int i = last - 1; i >= 0; --i) {
      const int64_t index = rest % p.from.shape[i];
      rest /= p.from.shape[i];
      from_at += index * p.from.strides[i];
      to_at += index * p.to.strides[i];
    }
    copy_row(from + from_at, p.from.strides[last], to + to_at, p.to.strides[last],
             p.from.shape[last]);
  }
}

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const CopyProblem& p = as_copy(problem);
  const void* from = b.read(p.from_ref);
  void* to = b.write(p.to_ref);
  switch (item_bytes(p.from.dtype)) {
    case 2:
      return copy_rows(p, static_cast<const uint16_t*>(from), static_cast<uint16_t*>(to), begin,
                       end);
    case 4:
      return copy_rows(p, static_cast<const uint32_t*>(from), static_cast<uint32_t*>(to), begin,
                       end);
    case 8:
      return copy_rows(p, static_cast<const uint64_t*>(from), static_cast<uint64_t*>(to), begin,
                       end);
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kCopyFns{reject, no_bytes, no_pack, no_bytes, n_rows, run};
const KernelRecord kCopy{"copy", "copy", DType::f32, Cluster::baseline, DeviceType::cpu, &kCopyFns};

/// Drops axes of length 1 and merges those that stay contiguous in both arrays, so that rows are
/// as long as they can be.
CopyProblem merge_axes(const CopyProblem& p) {
  CopyProblem merged = p;
  merged.from.rank = 0;
  for (int i = 0; i < p.from.rank; ++i) {
    const int64_t n = p.from.shape[i];
    if (n == 1) continue;
    const int j = merged.from.rank - 1;
    if (j >= 0 && merged.from.strides[j] == n * p.from.strides[i] &&
        merged.to.strides[j] == n * p.to.strides[i]) {
      merged.from.shape[j] *= n;
      merged.from.strides[j] = p.from.strides[i];
      merged.to.strides[j] = p.to.strides[i];
      continue;
    }
    merged.from.shape[j + 1] = n;
    merged.from.strides[j + 1] = p.from.strides[i];
    merged.to.strides[j + 1] = p.to.strides[i];
    ++merged.from.rank;
  }
  if (merged.from.rank == 0) {
    merged.from.rank = 1;
    merged.from.shape[0] = 1;
    merged.from.strides[0] = merged.to.strides[0] = 1;
  }
  return merged;
}

}  // namespace

void add_copy_step(PlanImpl& plan, const CopyProblem& problem) {
  const double seconds = 2.0 * problem.from.n_elements() * item_bytes(problem.from.dtype) / 10e9;
  add_step(plan, kCopy, std::make_shared<CopyProblem>(merge_axes(problem)), seconds);
}

TempCopy add_temp_copy(PlanImpl& plan, const TensorDesc& x, const ArrayRef& ref, int64_t offset) {
  const TensorDesc to = contiguous_desc(x.dtype, x.shape.data(), x.rank);
  const ArrayRef temp = reserve_temp(plan, to.n_elements() * item_bytes(to.dtype));
  add_copy_step(plan, {.from = x,
                       .to = to,
                       .from_offset = offset,
                       .to_offset = 0,
                       .from_ref = ref,
                       .to_ref = temp});
  return {to, temp};
}

}  // namespace swath
