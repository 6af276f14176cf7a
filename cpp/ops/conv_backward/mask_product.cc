// The factor that a mask is in the gradient of x.
#include "ops/conv_backward/steps.h"
#include "ops/partial_conv/mask.h"
#include "ops/partial_conv/planes.h"

namespace swath {

void add_mask_product(PlanImpl& plan, const ConvCall& call, const MaskCall& mask,
                      const Operand& x) {
  if (!call.mask.has_values || x.desc->n_elements() == 0) return;
  const int ndim = call.params.ndim;
  if (!mask.has_channels) {
    ConvMask factors;
    factors.has_keep = true;
    factors.keep = call.mask.values;
    factors.is_shared = mask.n_batch == 1;
    return add_position_product(plan, call.xmap, ndim, x, factors, call.params.op);
  }
  MaskProductProblem p;
  p.x = p.mask = {};
  p.x_ref = x.ref;
  p.x_offset = x.offset;
  p.mask_ref = mask.ref;
  p.x.dtype = x.desc->dtype;
  p.mask.dtype = mask.desc->dtype;
  p.x.rank = p.mask.rank = 5;
  p.x.shape = {call.n_batch, call.n_in, 1, 1, 1};
  const auto strides = [&](const TensorDesc& from, TensorDesc& to) {
    to.strides[0] = call.xmap.n >= 0 && from.shape[call.xmap.n] > 1 ? from.strides[call.xmap.n] : 0;
    to.strides[1] = from.strides[call.xmap.c];
    for (int i = 0; i < ndim; ++i) to.strides[5 - ndim + i] = from.strides[call.xmap.spatial[i]];
  };
  for (int i = 0; i < ndim; ++i) p.x.shape[5 - ndim + i] = call.x.shape[call.xmap.spatial[i]];
  strides(*x.desc, p.x);
  strides(*mask.desc, p.mask);
  add_mask_product_step(plan, p);
}

}  // namespace swath
