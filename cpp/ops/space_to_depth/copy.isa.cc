// Strided copies by item size; blocks of 2 and 4 are (de)interleaved in registers.
#include <cstdint>

#include "core/kernel.h"
#include "ops/space_to_depth/problem.h"

namespace swath::SWATH_ISA {
namespace {

const SpaceToDepthProblem& as_blocks(const void* problem) {
  return *static_cast<const SpaceToDepthProblem*>(problem);
}

/// y[k][i] = x[kBlock i + k]. The rows are named one by one so that the compiler vectorises.
template <int kBlock, class T>
void split(const T* __restrict x, T* y, int64_t y_stride, int64_t n) {
  T* __restrict y0 = y;
  T* __restrict y1 = y + y_stride;
  if constexpr (kBlock == 2) {
    for (int64_t i = 0; i < n; ++i) {
      y0[i] = x[2 * i];
      y1[i] = x[2 * i + 1];
    }
  } else {
    T* __restrict y2 = y + 2 * y_stride;
    T* __restrict y3 = y + 3 * y_stride;
    for (int64_t i = 0; i < n; ++i) {
      y0[i] = x[4 * i];
      y1[i] = x[4 * i + 1];
      y2[i] = x[4 * i + 2];
      y3[i] = x[4 * i + 3];
    }
  }
}

/// y[kBlock i + k] = x[k][i].
template <int kBlock, class T>
void join(const T* x, int64_t x_stride, T* __restrict y, int64_t n) {
  const T* __restrict x0 = x;
  const T* __restrict x1 = x + x_stride;
  if constexpr (kBlock == 2) {
    for (int64_t i = 0; i < n; ++i) {
      y[2 * i] = x0[i];
      y[2 * i + 1] = x1[i];
    }
  } else {
    const T* __restrict x2 = x + 2 * x_stride;
    const T* __restrict x3 = x + 3 * x_stride;
    for (int64_t i = 0; i < n; ++i) {
      y[4 * i] = x0[i];
      y[4 * i + 1] = x1[i];
      y[4 * i + 2] = x2[i];
      y[4 * i + 3] = x3[i];
    }
  }
}

template <class T>
void copy_runs(const BlockAxis& run, const BlockAxis& across, const T* __restrict x,
               T* __restrict y) {
  for (int64_t j = 0; j < across.n; ++j) {
    const T* from = x + j * across.x_stride;
    T* to = y + j * across.y_stride;
    for (int64_t i = 0; i < run.n; ++i) to[i] = from[i];
  }
}

/// The shorter axis inside, so that both arrays are walked once.
template <class T>
void copy_strided(const BlockAxis& run, const BlockAxis& across, const T* __restrict x,
                  T* __restrict y) {
  for (int64_t i = 0; i < run.n; ++i) {
    const T* from = x + i * run.x_stride;
    T* to = y + i * run.y_stride;
    for (int64_t j = 0; j < across.n; ++j) to[j * across.y_stride] = from[j * across.x_stride];
  }
}

template <class T>
void copy_pair(const SpaceToDepthProblem& p, const T* x, T* y) {
  const BlockAxis &run = p.run, &across = p.across;
  const bool is_split = run.y_stride == 1 && across.x_stride == 1 && run.x_stride == across.n;
  const bool is_join = run.x_stride == 1 && across.y_stride == 1 && run.y_stride == across.n;
  if (run.x_stride == 1 && run.y_stride == 1) {
    copy_runs(run, across, x, y);
  } else if (is_split && across.n == 2) {
    split<2>(x, y, across.y_stride, run.n);
  } else if (is_split && across.n == 4) {
    split<4>(x, y, across.y_stride, run.n);
  } else if (is_join && across.n == 2) {
    join<2>(x, across.x_stride, y, run.n);
  } else if (is_join && across.n == 4) {
    join<4>(x, across.x_stride, y, run.n);
  } else {
    copy_strided(run, across, x, y);
  }
}

const char* no_reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_blocks(problem).n_outer_elements(); }

/// One task is one element of the outer axes.
template <class T>
void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const SpaceToDepthProblem& p = as_blocks(problem);
  const T* x = static_cast<const T*>(buffers.in[0]);
  T* y = static_cast<T*>(buffers.out[0]);
  int64_t digit[kMaxRank] = {};
  int64_t rest = begin;
  for (int i = p.n_outer - 1; i >= 0; --i) {
    digit[i] = rest % p.outer[i].n;
    rest /= p.outer[i].n;
    x += digit[i] * p.outer[i].x_stride;
    y += digit[i] * p.outer[i].y_stride;
  }
  for (int64_t task = begin; task < end; ++task) {
    copy_pair(p, x, y);
    for (int i = p.n_outer - 1; i >= 0; --i) {
      const BlockAxis& axis = p.outer[i];
      x += axis.x_stride;
      y += axis.y_stride;
      if (++digit[i] < axis.n) break;
      digit[i] = 0;
      x -= axis.n * axis.x_stride;
      y -= axis.n * axis.y_stride;
    }
  }
}

using f32 = uint32_t;
using i32 = uint32_t;
using f64 = uint64_t;
using i64 = uint64_t;
using f16 = uint16_t;
using bf16 = uint16_t;
using u8 = uint8_t;
using b8 = uint8_t;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)                                     \
  extern const KernelFns space_to_depth_##variant##_##dtype;                          \
  const KernelFns space_to_depth_##variant##_##dtype = {no_reject, no_bytes, no_pack, \
                                                        no_bytes,  n_tasks,  run<dtype>};
#include "ops/space_to_depth/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
