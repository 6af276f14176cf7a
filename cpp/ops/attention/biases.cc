// describe of attention: what is added to the logits, and extra keys.
#include <algorithm>

#include "ops/attention/describe.h"

namespace swath {

void AttentionDescribe::broadcast(const TensorDesc& x, std::initializer_list<int64_t> shape,
                                  int64_t* strides, const char* arg, const char* needed) const {
  const auto n = static_cast<int>(shape.size());
  bool fits = x.rank <= n;
  for (int i = 0; i < n && fits; ++i) {
    const int axis = i - (n - x.rank);
    const int64_t want = shape.begin()[i];
    strides[i] = 0;
    if (axis < 0) continue;
    fits = x.shape[axis] == want || x.shape[axis] == 1;
    if (x.shape[axis] != 1) strides[i] = x.strides[axis];
  }
  if (fits) return;
  site.fail(ErrorCode::shape, arg,
            format("{} has shape {}, needed is {} = {}", arg, shape_text(x), needed,
                   shape_text(shape.begin(), n)));
}

void AttentionDescribe::need_rank(const TensorDesc& x, int rank, const char* arg,
                                  const char* needed) const {
  if (x.rank == rank) return;
  site.fail(ErrorCode::shape, arg,
            format("{} has shape {}, needed is {}", arg, shape_text(x), needed));
}

void AttentionDescribe::read_biases() {
  AttentionProblem& p = problem();
  if (in.bias != nullptr && params.bias == AttentionBias::pairs) {
    check_same_kind(site, *in.q, *in.bias, "bias", "q");
    broadcast(*in.bias, {p.n_batch, p.n_heads, p.n_q, p.n_k}, p.bias_stride, "bias",
              "what broadcasts to (B, H, N_q, N_k)");
    p.has_bias = true;
    p.bias = input_ref(3);
  }
  if (in.low_a != nullptr) {
    const char* arg = "bias_lowrank";
    check_same_kind(site, *in.q, *in.low_a, arg, "q");
    check_same_kind(site, *in.q, *in.low_b, arg, "q");
    need_rank(*in.low_a, 4, arg, "a (B|1, H|1, N_q, R)");
    need_rank(*in.low_b, 4, arg, "b (B|1, H|1, N_k, R)");
    p.rank = in.low_a->shape[3];
    if (in.low_b->shape[3] != p.rank) {
      site.fail(
          ErrorCode::shape, arg,
          format("bias_lowrank has ranks {} and {}, needed is one", p.rank, in.low_b->shape[3]));
    }
    const auto exact = [&](const TensorDesc& x, int64_t tokens) {
      if (x.shape[2] == tokens) return;
      site.fail(ErrorCode::shape, arg,
                format("bias_lowrank has shape {}, there are {} tokens", shape_text(x), tokens));
    };
    exact(*in.low_a, p.n_q);
    exact(*in.low_b, p.n_k);
    broadcast(*in.low_a, {p.n_batch, p.n_heads, p.n_q, p.rank}, p.low_a_stride, arg,
              "(B|1, H|1, N_q, R)");
    broadcast(*in.low_b, {p.n_batch, p.n_heads, p.n_k, p.rank}, p.low_b_stride, arg,
              "(B|1, H|1, N_k, R)");
    p.has_low_rank = p.rank > 0;
    p.low_a = input_ref(4);
    p.low_b = input_ref(5);
  }
  int64_t strides[2];
  if (in.key_bias != nullptr) {
    check_same_kind(site, *in.q, *in.key_bias, "key_bias", "q");
    read_per_key(*in.key_bias, p.n_k, strides, "key_bias");
    p.has_key_bias = true;
    p.key_bias = input_ref(6);
    p.key_bias_batch = strides[0];
    p.key_bias_key = strides[1];
  }
  if (in.key_mask != nullptr) {
    if (in.key_mask->dtype != DType::b8) {
      site.fail(
          ErrorCode::dtype, "key_mask",
          format("key_mask is {}, needed is bool (True: attend)", name_of(in.key_mask->dtype)));
    }
    read_per_key(*in.key_mask, p.n_k, strides, "key_mask");
    p.has_key_mask = true;
    p.key_mask = input_ref(7);
    p.key_mask_batch = strides[0];
    p.key_mask_key = strides[1];
  }
  if (in.sink != nullptr) {
    check_same_kind(site, *in.q, *in.sink, "sink", "q");
    if (in.sink->rank != 1 || in.sink->shape[0] != p.n_heads) {
      site.fail(
          ErrorCode::shape, "sink",
          format("sink has shape {}, needed is (H,) = ({},)", shape_text(*in.sink), p.n_heads));
    }
    p.has_sink = true;
    p.sink = input_ref(8);
    p.sink_stride = in.sink->strides[0];
  }
}

void AttentionDescribe::read_per_key(const TensorDesc& x, int64_t n, int64_t* strides,
                                     const char* arg) const {
  const int64_t batch = problem_batch();
  const bool fits = x.rank == 2 && x.shape[1] == n && (x.shape[0] == batch || x.shape[0] == 1);
  if (!fits) {
    site.fail(
        ErrorCode::shape, arg,
        format("{} has shape {}, needed is (B|1, N) = ({}, {})", arg, shape_text(x), batch, n));
  }
  strides[0] = x.shape[0] == 1 ? 0 : x.strides[0];
  strides[1] = x.strides[1];
}

void AttentionDescribe::read_extras() {
  AttentionProblem& p = problem();
  if (in.extras.size() > kMaxExtras) {
    site.fail(
        ErrorCode::param, "extra_kv",
        format("extra_kv has {} entries, needed are at most {}", in.extras.size(), kMaxExtras));
  }
  for (const AttentionExtra& given : in.extras) {
    const int slot = extra_slot(p.n_extras);
    ExtraKeys& e = p.extras[p.n_extras++];
    const HeadAxes a = read_kv(*given.k, "extra_kv"), b = read_kv(*given.v, "extra_kv");
    check_pair(*given.k, *given.v, a, b, "extra_kv", "extra_kv");
    if (a.heads != k.heads || b.size != v.size) {
      site.fail(ErrorCode::shape, "extra_kv",
                format("extra_kv has shapes {} and {}, needed are the heads and sizes of k and v",
                       shape_text(*given.k), shape_text(*given.v)));
    }
    e.k = token_array(*given.k, params.heads_last, input_ref(slot));
    e.v = token_array(*given.v, params.heads_last, input_ref(slot + 1));
    e.n = a.n_tokens();
    e.log_weight = given.log_weight;
    e.grid_only = given.grid_only;
    if (given.log_weights == nullptr) continue;
    check_same_kind(site, *in.q, *given.log_weights, "extra_kv", "q");
    int64_t strides[2];
    read_per_key(*given.log_weights, e.n, strides, "extra_kv");
    e.has_weights = true;
    e.weights = input_ref(slot + 2);
    e.weights_batch = strides[0];
    e.weights_key = strides[1];
  }
}

}  // namespace swath
