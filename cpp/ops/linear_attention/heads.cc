#include "ops/linear_attention/heads.h"

#include "core/format.h"
#include "ops/tokens/compose.h"

namespace swath {
namespace {

void check_channels(const CallSite& site, const TensorDesc& x, const char* arg) {
  const int64_t n = x.shape[x.rank - 1];
  if (n >= 1 && n <= kMaxHeadChannels) return;
  site.fail(ErrorCode::shape, arg,
            format("{} has {} channels a head, needed are 1 to {} ({}.shape={})", arg, n,
                   kMaxHeadChannels, arg, shape_text(x)));
}

}  // namespace

HeadAxes head_axes(const CallSite& site, const TensorDesc& x, HeadLayout layout, const char* arg) {
  const bool is_first = layout == HeadLayout::heads_first;
  if (x.rank < 4) {
    site.fail(ErrorCode::shape, arg,
              format("{} has shape {}, needed is {}", arg, shape_text(x),
                     is_first ? "(B, H, *tokens, D)" : "(B, *tokens, H, D)"));
  }
  HeadAxes axes;
  axes.head = is_first ? 1 : x.rank - 2;
  for (int i = is_first ? 2 : 1; i < x.rank - (is_first ? 1 : 2); ++i) axes.tokens.push_back(i);
  check_channels(site, x, arg);
  return axes;
}

int64_t n_tokens(const TensorDesc& x, const HeadAxes& axes) {
  int64_t n = 1;
  for (int a : axes.tokens) n *= x.shape[a];
  return n;
}

HeadArray head_array(const TensorDesc& x, const HeadAxes& axes, const ArrayRef& ref) {
  return {ref, x.strides[0], x.strides[axes.head], x.strides[x.rank - 1],
          token_rows(x, axes.tokens)};
}

void check_keys(const CallSite& site, const TensorDesc& q, const HeadAxes& q_axes,
                const TensorDesc& k, const HeadAxes& k_axes) {
  check_same_kind(site, q, k, "k", "q");
  const int64_t n_heads = q.shape[q_axes.head], n_kv = k.shape[k_axes.head];
  const bool divides = n_kv > 0 ? n_heads % n_kv == 0 : n_heads == 0;
  if (k.shape[0] == q.shape[0] && k.shape[k.rank - 1] == q.shape[q.rank - 1] && divides) return;
  site.fail(ErrorCode::shape, "k",
            format("k has shape {}, needed are batch {}, {} channels and a number of heads that "
                   "divides {} (q.shape={})",
                   shape_text(k), q.shape[0], q.shape[q.rank - 1], n_heads, shape_text(q)));
}

}  // namespace swath
