// Gradients of long_conv. Those of the inputs are forwards with the taps reversed:
//   dc = dy post,  dv = corr(dc, k) + skip dc,  du = pre dv,  dpre = u dv,
//   dpost = dy (conv(v, k) + skip v + bias).
#include <memory>

#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/long_conv/call.h"
#include "ops/long_conv/method.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc* x) {
  return x == nullptr ? 0 : item_bytes(x->dtype) * x->n_elements();
}

class Backward {
 public:
  Backward(const LongCall& call, PlanImpl& plan) : call_(call), plan_(plan), steps_(plan, call) {}

  void add(const LongConvNeeds& needs) {
    const LongConvArrays& a = call_.arrays;
    const TensorDesc& u = *a.u;
    const int rank = u.rank;
    const TensorDesc like_u = contiguous_desc(u.dtype, u.shape.data(), rank);
    const auto shape = call_.output_shape();
    const TensorDesc like_y = contiguous_desc(u.dtype, shape.data(), rank);
    const TensorDesc like_k = contiguous_desc(u.dtype, a.k->shape.data(), 2);
    const TensorDesc per_channel = contiguous_desc(u.dtype, {call_.n_channels});
    const RowArray du = needs.u ? output_rows(like_u) : RowArray{};
    RowArray dk;
    if (needs.k) dk.ref = output(like_k);
    const RowArray dpre = needs.pre_gate ? output_rows(like_u) : RowArray{};
    const RowArray dpost = needs.post_gate ? output_rows(like_y) : RowArray{};
    RowArray dskip, dbias;
    if (needs.skip) dskip = {.ref = output(per_channel), .is_present = true};
    if (needs.bias) dbias = {.ref = output(per_channel), .is_present = true};
    if (needs.k) zero(dk.ref, like_k);
    if (u.n_elements() == 0 || like_y.n_elements() == 0) {
      return add_without_elements(du, dpre, dpost, dskip, dbias, like_u, like_y, per_channel);
    }
    is_direct_ = is_forward_direct();
    if (du.is_present || dpre.is_present || dpost.is_present || needs.k) taps_ = steps_.taps();
    if (du.is_present || dpre.is_present) add_input(du, dpre);
    if (dpost.is_present) add_post(dpost);
    if (needs.k) add_taps(dk, like_k);
    if (dskip.is_present || dbias.is_present) add_sums(dskip, dbias);
  }

 private:
  ArrayRef output(const TensorDesc& desc) {
    plan_.outputs.push_back(desc);
    plan_.bytes += bytes_of(&desc);
    return output_ref(static_cast<int>(plan_.outputs.size()) - 1);
  }
  RowArray output_rows(const TensorDesc& desc) {
    RowArray r = call_.rows(&desc, 0);
    r.ref = output(desc);
    return r;
  }
  void zero(const ArrayRef& to, const TensorDesc& desc) {
    if (desc.n_elements() > 0) add_zero_step(plan_, to, bytes_of(&desc));
  }

  /// No element of u or y: what is there at all is zero, but for the part of y that is the bias.
  void add_without_elements(const RowArray& du, const RowArray& dpre, const RowArray& dpost,
                            const RowArray& dskip, const RowArray& dbias, const TensorDesc& like_u,
                            const TensorDesc& like_y, const TensorDesc& per_channel) {
    if (du.is_present) zero(du.ref, like_u);
    if (dpre.is_present) zero(dpre.ref, like_u);
    if (dskip.is_present) zero(dskip.ref, per_channel);
    if (like_y.n_elements() > 0) {
      if (dpost.is_present) {
        taps_ = steps_.taps();
        add_post(dpost);
      }
      if (dbias.is_present) add_sums({}, dbias);
    } else if (dbias.is_present) {
      zero(dbias.ref, per_channel);
    }
  }

  int64_t first_output() const { return call_.is_masked ? call_.length - 1 : call_.first_output; }
  RowSource output_gradient() const {
    return {call_.rows(call_.arrays.dy, kLongDy), call_.rows(call_.arrays.post_gate, kLongPostGate),
            call_.n_out, call_.is_periodic};
  }

  void add_input(const RowArray& du, const RowArray& dpre) {
    LongProblem p = steps_.base();
    p.u = output_gradient();
    p.taps = taps_;
    p.taps.x.first += (taps_.n - 1) * taps_.x.step;
    p.taps.x.step = -taps_.x.step;
    p.first_output = taps_.n - 1 - first_output();
    p.n_out = call_.length;
    p.skip = call_.per_channel(call_.arrays.skip, kLongSkip);
    const RowArray pre = call_.rows(call_.arrays.pre_gate, kLongPreGate);
    const RowArray u = call_.rows(call_.arrays.u, kLongU);
    if (du.is_present) {
      p.y = du;
      p.post = pre;
      p.y2 = dpre;
      p.post2 = u;
    } else {
      p.y = dpre;
      p.post = u;
    }
    choose_method_like(p, call_.params.method, is_direct_);
    steps_.add_rows(p);
  }

  void add_post(const RowArray& dpost) {
    LongProblem p = steps_.base();
    p.u = call_.input();
    p.taps = taps_;
    p.first_output = first_output();
    p.n_out = call_.n_out;
    p.y = dpost;
    p.post = call_.rows(call_.arrays.dy, kLongDy);
    p.skip = call_.per_channel(call_.arrays.skip, kLongSkip);
    p.bias = call_.per_channel(call_.arrays.bias, kLongBias);
    choose_method_like(p, call_.params.method, is_direct_);
    steps_.add_rows(p);
  }

  bool is_forward_direct() const {
    LongProblem p = steps_.base();
    p.u = call_.input();
    p.taps.n = call_.is_masked ? 2 * call_.length - 1 : call_.n_taps;
    p.first_output = first_output();
    p.n_out = call_.n_out;
    choose_method(p, call_.params.method);
    return p.is_direct;
  }

  void add_taps(RowArray dk, const TensorDesc& like_k) {
    dk.is_present = true;
    dk.channel_stride = like_k.strides[0];
    dk.step = call_.is_reversed ? -1 : 1;
    dk.first = call_.is_reversed ? call_.n_given_taps - 1 - call_.first_tap : call_.first_tap;
    LongProblem p = steps_.base();
    p.u = call_.input();
    p.dc = output_gradient();
    p.taps = taps_;
    p.first_output = first_output();
    p.n_out = call_.n_out;
    p.dk = dk;
    const int64_t item = item_bytes(accumulator_of(p.dtype));
    const int64_t n = taps_.n;
    if (call_.is_masked) {
      p.dk = {.ref = reserve_temp(plan_, call_.n_heads * n * item),
              .is_present = true,
              .is_acc = true,
              .channel_stride = n};
    }
    choose_tap_method(p, call_.params.method, is_direct_);
    steps_.add_tap_gradient(p);
    if (call_.is_masked) add_mask_adjoint(p.dk, dk);
  }

  /// k reached the masked taps through the response: so does the gradient on its way back.
  void add_mask_adjoint(const RowArray& of_masked, RowArray dk) {
    LongProblem p = steps_.base();
    p.n_batch = 1;
    p.n_channels = call_.n_heads;
    p.is_interleaved = false;
    p.u = {{.ref = input_ref(kLongResponse), .is_present = true, .is_acc = true},
           {},
           call_.params.n_fft,
           true};
    p.dc = {of_masked, {}, taps_.n};
    p.first_output = 1 - call_.length;
    p.n_out = taps_.n;
    p.taps.n = call_.n_given_taps;
    dk.first = 0;
    p.dk = dk;
    choose_tap_method(p, LongMethod::fft, is_direct_);
    steps_.add_tap_gradient(p);
  }

  void add_sums(const RowArray& dskip, const RowArray& dbias) {
    LongProblem p = steps_.base();
    p.kind = LongKind::row_sums;
    p.u = call_.input();
    p.dc = output_gradient();
    p.dc.is_periodic = false;
    p.u.is_periodic = false;
    p.n_out = call_.n_out;
    p.dskip = dskip;
    p.dbias = dbias;
    p.taps.n = 1;
    p.is_direct = is_direct_;
    p.ring = 0;
    const double n = static_cast<double>(p.n_rows() * p.n_out);
    steps_.add(p, n * 0.3e-9);
  }

  const LongCall& call_;
  PlanImpl& plan_;
  LongSteps steps_;
  RowSource taps_{};
  bool is_direct_ = false;
};

}  // namespace

Plan plan_long_conv_backward(const LongConvArrays& arrays, const LongConvParams& params,
                             const LongConvNeeds& needs, const PlanOptions& options) {
  const LongCall call(arrays, params);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  for (const TensorDesc* x : {arrays.dy, arrays.u, arrays.k, arrays.skip, arrays.bias,
                              arrays.pre_gate, arrays.post_gate}) {
    plan->bytes += bytes_of(x);
  }
  Backward(call, *plan).add(needs);
  return Plan(std::move(plan));
}

}  // namespace swath
