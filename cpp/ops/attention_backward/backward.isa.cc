// Attention over runs of keys: the backward pass.
#include "ops/attention_backward/tile.h"

namespace swath::SWATH_ISA {
namespace {

const AttentionGradProblem& as_backward(const void* problem) {
  return *static_cast<const AttentionGradProblem*>(problem);
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_backward(problem).n_tasks(); }

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(GradMemory<S>(as_backward(problem), nullptr).used);
}

/// Rows of sums, all of them where there is one part, as the gradient; those not filled are zero.
template <class S, class A>
void write_keys(const KeyGrad& out, const Buffers& b, const A* rows, int64_t width, int64_t begin,
                int64_t end, int64_t n, int64_t batch, int64_t head) {
  if (!out.is_wanted) return;
  S* base =
      static_cast<S*>(b.write(out.to.ref)) + out.offset + batch * out.to.batch + head * out.to.head;
  for (int64_t key = 0; key < n; ++key) {
    S* to = base + out.to.at(key);
    if (key >= begin && key < end) {
      narrow_row(rows + key * width, to, out.to.unit, out.n_d);
      continue;
    }
    for (int64_t d = 0; d < out.n_d; ++d) to[d * out.to.unit] = S{};
  }
}

/// One part of the tiles of one head of k and v, with all heads of q that read it.
template <class S>
void run_unit(const AttentionGradProblem& g, const Buffers& b, const GradMemory<S>& memory,
              int64_t group, int64_t head_group, int64_t part, int64_t batch, int64_t kv_head) {
  using A = typename AccOf<S>::type;
  const AttentionProblem& p = g.walk;
  const int64_t unit = (batch * g.n_kv_heads + kv_head) * g.n_parts + part;
  OwnRows<A> own[kMaxExtras + 1];
  if (g.needs_kv) {
    A* next = memory.own;
    const auto sums_at = [&](const ArrayRef& sums, int64_t n) {
      if (!g.own_in_scratch()) return static_cast<A*>(b.write(sums)) + unit * n;
      A* at = next;
      next += n;
      return at;
    };
    for (int s = 0; s <= p.n_extras; ++s) {
      const KeySums& sums = g.keys[s];
      A* dk = sums_at(sums.dk, sums.n * g.k_width);
      A* dv = sums_at(sums.dv, sums.n * g.v_width);
      own[s] = {dk, dv, g.k_width, g.v_width, 0, 0};
    }
  }
  const int64_t n_tiles = p.n_tiles();
  const int64_t begin = cut_at(n_tiles, g.n_parts, part);
  const int64_t end = cut_at(n_tiles, g.n_parts, part + 1);
  for (int64_t i = 0; i < p.heads_per_kv; ++i) {
    const int64_t head = batch * p.n_heads + kv_head * p.heads_per_kv + i;
    for (int64_t t = begin; t < end; ++t) {
      GradTile<S> tile(g, b, memory, own, group, head_group, part, head * n_tiles + t);
      tile.run();
    }
  }
  if (!g.needs_kv) return;
  for (int s = 0; s <= p.n_extras; ++s) {
    auto* range = static_cast<int64_t*>(b.write(g.keys[s].range)) + 2 * unit;
    range[0] = own[s].begin;
    range[1] = own[s].end;
    write_keys<S>(g.keys[s].k_grad, b, own[s].dk, g.k_width, own[s].begin, own[s].end, g.keys[s].n,
                  batch, kv_head);
    write_keys<S>(g.keys[s].v_grad, b, own[s].dv, g.v_width, own[s].begin, own[s].end, g.keys[s].n,
                  batch, kv_head);
  }
}

template <class S>
void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t task,
         int64_t end) noexcept {
  const AttentionGradProblem& g = as_backward(problem);
  const GradMemory<S> memory(g, scratch);
  for (; task < end; ++task) {
    const int64_t part = task % g.n_parts, rest = task / g.n_parts;
    const int64_t head_group = rest % g.n_head_groups, group = rest / g.n_head_groups;
    const int64_t b_end = cut_at(g.walk.n_batch, g.n_groups, group + 1);
    const int64_t h_end = cut_at(g.n_kv_heads, g.n_head_groups, head_group + 1);
    for (int64_t i = cut_at(g.walk.n_batch, g.n_groups, group); i < b_end; ++i) {
      for (int64_t h = cut_at(g.n_kv_heads, g.n_head_groups, head_group); h < h_end; ++h) {
        run_unit<S>(g, b, memory, group, head_group, part, i, h);
      }
    }
  }
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)                \
  extern const KernelFns attention_backward_##variant##_##dtype; \
  const KernelFns attention_backward_##variant##_##dtype{        \
      reject, no_bytes, no_pack, scratch_bytes<dtype>, n_tasks, run<dtype>};
#include "ops/attention_backward/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
