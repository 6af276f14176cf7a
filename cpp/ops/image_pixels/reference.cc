// Images to pixels and back by plain loops.
#include <iterator>

#include "ops/common/scalar.h"
#include "ops/image_pixels/problem.h"

namespace swath {
namespace {

const PixelsProblem& as_pixels(const void* p) { return *static_cast<const PixelsProblem*>(p); }
int64_t n_tasks(const void* problem) noexcept { return as_pixels(problem).n_tasks(); }

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const PixelsProblem& p = as_pixels(problem);
  const DType acc = accumulator_of(p.dtype);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t n = task / p.n_rows, row = task % p.n_rows;
    for (int64_t col = 0; col < p.n_cols; ++col) {
      for (int64_t c = 0; c < p.n_channels; ++c) {
        const ImageView& v = p.image;
        const int64_t image = v.offset + n * v.sample_stride + row * v.row_stride +
                              col * v.col_stride + c * v.channel_stride;
        const int64_t pixel = n * p.sample_pitch + c / p.block * p.block_pitch +
                              (row * p.n_cols + col) * p.pixel_pitch + c % p.block;
        if (p.to_image) {
          store_scalar(p.dtype, b.write(v.ref), image, load_scalar(acc, b.read(p.pixels), pixel));
        } else {
          store_scalar(acc, b.write(p.pixels), pixel, load_scalar(p.dtype, b.read(v.ref), image));
        }
      }
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)          \
  {"image_pixels_" #dtype "_reference", \
   "reference",                         \
   DType::dtype,                        \
   Cluster::reference,                  \
   DeviceType::cpu,                     \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable image_pixels_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
