#include "ops/dynamic_conv/stage.h"

namespace swath::SWATH_ISA {
namespace {

template <class S, class A>
SWATH_ALWAYS_INLINE void copy_window(const DynamicProblem& p, const Buffers& b, int64_t n,
                                     int64_t g, int64_t m, int64_t n_members, const Window& w,
                                     A* to, int64_t lines, int64_t pitch) {
  const int64_t n_rows = w.n_in_rows(), step = w.w.in_stride, member = n_rows * lines * pitch;
  const bool together = p.in.m == 1 && p.in.w != 1 && p.n_history == 0;
  for (int64_t j = 0; j < n_members; j += together ? n_members : 1) {
    A* row_to = to + j * member;
    for (int64_t row = 0; row < n_rows; ++row) {
      const Line<S> line = input_line<S>(p, b, n, g, m + j, w.in_row(row));
      for (int64_t f = 0; f < lines; ++f, row_to += pitch) {
        const int64_t first = w.first_col() + f, n_line = (w.n_in_cols() - 1 - f) / step + 1;
        if (together) {
          stage_lines(line, n_members, first, step, n_line, row_to, member, pitch);
        } else {
          stage_line(line, first, step, n_line, row_to, pitch);
        }
      }
    }
  }
}

template <class T, class A>
SWATH_ALWAYS_INLINE void copy_taps(const DynamicProblem& p, const T* taps, int64_t n, int64_t g,
                                   const Window& w, int64_t row, A* tile, int64_t pitch) {
  const bool moves = p.role == DynamicRole::input_grad;
  if (!moves && !p.renormalize && p.taps.m == 1 && p.taps.w != 1) {
    const Line<T> line{taps + p.taps.at(n, g, 0, row, 0), p.taps.w, p.cols().y};
    return stage_lines(line, p.n_taps(), w.col, 1, w.n_cols, tile, pitch, pitch);
  }
  for (int64_t a = 0; a < w.h.n_taps; ++a) {
    const int64_t tap_row = row + (moves ? w.h.shift(a) : 0);
    for (int64_t c = 0; c < w.w.n_taps; ++c, tile += pitch) {
      Line<T> line;
      if (tap_row >= 0 && tap_row < p.rows().y) {
        const int64_t k = w.h.tap(a) * p.cols().kernel + w.w.tap(c);
        line.x = taps + p.taps.at(n, g, k, tap_row, 0);
        line.stride = p.taps.w;
        line.length = p.cols().y;
      }
      stage_line(line, w.col + (moves ? w.w.shift(c) : 0), 1, w.n_cols, tile, pitch);
      if (!p.renormalize) continue;
      const Inside inside(p, w.w, c, w.col, w.n_cols);
      for (int64_t i = 0; i < inside.first; ++i) tile[i] = -__builtin_inf();
      for (int64_t i = inside.end; i < w.n_cols; ++i) tile[i] = -__builtin_inf();
    }
  }
}
template <class S>
SWATH_ALWAYS_INLINE void pack(const DynamicProblem& p, const Buffers& b, void* packed) {
  using A = typename AccOf<S>::type;
  const int64_t n_taps = p.n_taps();
  A* to = static_cast<A*>(packed);
  A* tile = to + n_taps * padded(p.n_groups);  // one vector a tap
  A* scale = tile + n_taps * 16;
  const S* taps = static_cast<const S*>(b.read(p.taps.ref));
  for (int64_t g = 0; g < p.n_groups; ++g) {
    for (int64_t k = 0; k < n_taps; ++k) {
      for (int64_t i = 0; i < 16; ++i) tile[k * 16 + i] = to_acc(taps[p.taps.at(0, g, k, 0, 0)]);
    }
    if (p.softmax) exponentiate(tile, n_taps, 16, 16, scale, false);
    for (int64_t k = 0; k < n_taps; ++k) {
      const A value = p.softmax ? tile[k * 16] * scale[0] : tile[k * 16];
      to[p.lanes_are_groups ? k * padded(p.n_groups) + g : g * n_taps + k] = value;
    }
  }
}
}  // namespace

void stage_window(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, int64_t m,
                  int64_t n_members, const Window& w, float* to, int64_t lines,
                  int64_t pitch) noexcept {
  switch (p.dtype) {
    case DType::f16:
      return copy_window<f16>(p, b, n, g, m, n_members, w, to, lines, pitch);
    case DType::bf16:
      return copy_window<bf16>(p, b, n, g, m, n_members, w, to, lines, pitch);
    default:
      return copy_window<float>(p, b, n, g, m, n_members, w, to, lines, pitch);
  }
}
void stage_window(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, int64_t m,
                  int64_t n_members, const Window& w, double* to, int64_t lines,
                  int64_t pitch) noexcept {
  copy_window<double>(p, b, n, g, m, n_members, w, to, lines, pitch);
}

void stage_taps(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, const Window& w,
                int64_t row, float* tile, int64_t pitch) noexcept {
  const void* taps = b.read(p.taps.ref);
  if (p.dtype == DType::f16 && !p.taps_are_acc) {
    copy_taps(p, static_cast<const f16*>(taps), n, g, w, row, tile, pitch);
  } else if (p.dtype == DType::bf16 && !p.taps_are_acc) {
    copy_taps(p, static_cast<const bf16*>(taps), n, g, w, row, tile, pitch);
  } else {
    copy_taps(p, static_cast<const float*>(taps), n, g, w, row, tile, pitch);
  }
}
void stage_taps(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, const Window& w,
                int64_t row, double* tile, int64_t pitch) noexcept {
  copy_taps(p, static_cast<const double*>(b.read(p.taps.ref)), n, g, w, row, tile, pitch);
}

void pack_taps(const void* problem, const Buffers& b, void* packed) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (!p.is_packed) return;
  switch (p.dtype) {
    case DType::f16:
      return pack<f16>(p, b, packed);
    case DType::bf16:
      return pack<bf16>(p, b, packed);
    case DType::f64:
      return pack<double>(p, b, packed);
    default:
      return pack<float>(p, b, packed);
  }
}
size_t packed_bytes(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (!p.is_packed) return 0;
  const int64_t n = p.n_taps() * padded(p.n_groups) + p.n_taps() * 16 + 16;
  return static_cast<size_t>(n) * (p.dtype == DType::f64 ? sizeof(double) : sizeof(float));
}

}  // namespace swath::SWATH_ISA
