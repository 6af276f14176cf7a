// The step that turns an image into pixels of the accumulator's type, or back.
#include <memory>

#include "ops/image_pixels/compose.h"

namespace swath {

ImageView view_image(const AxisMap& map, const Operand& image) {
  const TensorDesc& d = *image.desc;
  return {.ref = image.ref,
          .offset = image.offset,
          .sample_stride = map.n >= 0 ? d.strides[map.n] : 0,
          .channel_stride = d.strides[map.c],
          .row_stride = d.strides[map.spatial[0]],
          .col_stride = d.strides[map.spatial[1]]};
}

PixelsProblem pixels_of(const AxisMap& map, const Operand& image) {
  const TensorDesc& d = *image.desc;
  PixelsProblem p;
  p.dtype = d.dtype;
  p.image = view_image(map, image);
  p.n_batch = map.n >= 0 ? d.shape[map.n] : 1;
  p.n_channels = p.block = p.pixel_pitch = d.shape[map.c];
  p.n_rows = d.shape[map.spatial[0]];
  p.n_cols = d.shape[map.spatial[1]];
  p.sample_pitch = p.n_rows * p.n_cols * p.n_channels;
  return p;
}

void add_pixels_step(PlanImpl& plan, const PixelsProblem& problem, const std::string& op) {
  constexpr double kValuesPerSecond = 1e9;
  static const Operator& table = find_operator("image_pixels");
  const double values =
      static_cast<double>(problem.n_tasks()) * problem.n_cols * problem.n_channels;
  add_step(plan, table, problem.dtype, std::make_shared<PixelsProblem>(problem),
           values / kValuesPerSecond, op);
}

}  // namespace swath
