// Images to pixels and back. One task is one row of one sample.
#include "ops/common/carver.h"
#include "ops/common/rows.h"
#include "ops/image_pixels/problem.h"

namespace swath::SWATH_ISA {
namespace {

/// Channels that are turned together.
inline constexpr int64_t kTurned = 16;

const PixelsProblem& as_pixels(const void* p) { return *static_cast<const PixelsProblem*>(p); }

SWATH_ALWAYS_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/// lines[c][j] <-> pixels[j][c] for a full set of channels, or n of them.
template <bool kToPixels, int kFixed, class A>
SWATH_ALWAYS_INLINE void turn(A* lines, A* pixels, int64_t pitch, int64_t n_cols, int64_t n) {
  for (int64_t j = 0; j < n_cols; ++j) {
    A* to = pixels + j * pitch;
    const int64_t end = kFixed > 0 ? kFixed : n;
#pragma GCC unroll 16
    for (int64_t c = 0; c < end; ++c) {
      if constexpr (kToPixels) {
        to[c] = lines[c * kPixelRun + j];
      } else {
        lines[c * kPixelRun + j] = to[c];
      }
    }
  }
}

template <bool kToPixels, class A>
__attribute__((noinline)) void turn_block(A* lines, A* pixels, int64_t pitch, int64_t n_cols,
                                          int64_t n) {
  if (n == kTurned) {
    turn<kToPixels, kTurned>(lines, pixels, pitch, n_cols, n);
  } else {
    turn<kToPixels, 0>(lines, pixels, pitch, n_cols, n);
  }
}

template <class S>
struct Row {
  using A = typename AccOf<S>::type;
  const PixelsProblem& p;
  S* image;   // of the row
  A* pixels;  // of the row, without the block
  A* lines;

  A* pixel(int64_t col, int64_t c) const {
    return pixels + c / p.block * p.block_pitch + col * p.pixel_pitch + c % p.block;
  }
  S* element(int64_t col, int64_t c) const {
    return image + col * p.image.col_stride + c * p.image.channel_stride;
  }

  /// Channels [c, c + n) of one block lie side by side on both sides.
  void move_along_channels(int64_t c, int64_t n) const {
    for (int64_t col = 0; col < p.n_cols; ++col) {
      A* at = pixel(col, c);
      S* from = element(col, c);
      if (p.to_image) {
        for_lanes<A>(n,
                     [&](int64_t j, int m) { store_part(from + j, load_part<A>(at + j, m), m); });
      } else {
        for_lanes<A>(n,
                     [&](int64_t j, int m) { store_part(at + j, load_part<A>(from + j, m), m); });
      }
    }
  }

  void turn_channels(int64_t c, int64_t n, int64_t col, int64_t n_cols) const {
    const int64_t stride = p.image.col_stride;
    if (p.to_image) {
      turn_block<false>(lines, pixel(col, c), p.pixel_pitch, n_cols, n);
      for (int64_t i = 0; i < n; ++i) {
        narrow_row(lines + i * kPixelRun, element(col, c + i), stride, n_cols);
      }
      return;
    }
    for (int64_t i = 0; i < n; ++i) {
      widen_row(static_cast<const S*>(element(col, c + i)), stride, lines + i * kPixelRun, n_cols);
    }
    turn_block<true>(lines, pixel(col, c), p.pixel_pitch, n_cols, n);
  }

  void run() const {
    for (int64_t first = 0; first < p.n_channels; first += p.block) {
      const int64_t n = least(p.block, p.n_channels - first);
      if (p.image.channel_stride == 1 || n == 1) {
        move_along_channels(first, n);
        continue;
      }
      for (int64_t col = 0; col < p.n_cols; col += kPixelRun) {
        for (int64_t c = 0; c < n; c += kTurned) {
          turn_channels(first + c, least(kTurned, n - c), col, least(kPixelRun, p.n_cols - col));
        }
      }
    }
  }
};

template <class S>
size_t scratch_bytes(const void*) noexcept {
  Carver carver{nullptr};
  carver.take<typename AccOf<S>::type>(kTurned * kPixelRun + kLanes<typename AccOf<S>::type>);
  return static_cast<size_t>(carver.used);
}

template <class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  using A = typename AccOf<S>::type;
  const PixelsProblem& p = as_pixels(problem);
  const void* image = p.to_image ? b.write(p.image.ref) : b.read(p.image.ref);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t n = task / p.n_rows, row = task % p.n_rows;
    const Row<S> r{
        p,
        static_cast<S*>(const_cast<void*>(image)) + p.image.offset + n * p.image.sample_stride +
            row * p.image.row_stride,
        static_cast<A*>(b.write(p.pixels)) + n * p.sample_pitch + row * p.n_cols * p.pixel_pitch,
        static_cast<A*>(memory)};
    r.run();
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_pixels(problem).n_tasks(); }

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)          \
  extern const KernelFns image_pixels_##variant##_##dtype; \
  const KernelFns image_pixels_##variant##_##dtype{        \
      reject, no_bytes, no_pack, scratch_bytes<dtype>, n_tasks, run<dtype>};
#include "ops/image_pixels/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
