#include "ops/attention/arrays.h"

#include <array>

#include "core/format.h"

namespace swath {

HeadAxes head_axes(const CallSite& site, const TensorDesc& x, bool heads_last, const char* arg) {
  if (x.rank < 4 || x.rank > 3 + kMaxTokenAxes) {
    site.fail(
        ErrorCode::shape, arg,
        format("{} has shape {}, needed is {} with 1 to {} axes of tokens", arg, shape_text(x),
               heads_last ? "(B, *tokens, H, D)" : "(B, H, *tokens, D)", kMaxTokenAxes));
  }
  HeadAxes axes;
  axes.batch = x.shape[0];
  axes.heads = x.shape[heads_last ? x.rank - 2 : 1];
  axes.size = x.shape[x.rank - 1];
  const int first = heads_last ? 1 : 2;
  axes.tokens.assign(x.shape.begin() + first, x.shape.begin() + first + x.rank - 3);
  return axes;
}

TokenArray token_array(const TensorDesc& x, bool heads_last, ArrayRef ref) {
  TokenArray a;
  a.ref = ref;
  a.batch = x.strides[0];
  a.head = x.strides[heads_last ? x.rank - 2 : 1];
  a.unit = x.strides[x.rank - 1];
  a.n_axes = 0;
  const int first = heads_last ? 1 : 2;
  for (int i = first; i < first + x.rank - 3; ++i) {
    const int64_t n = x.shape[i], stride = x.strides[i];
    if (n == 1 && a.n_axes > 0) continue;
    const int last = a.n_axes - 1;
    const bool is_one_before = last >= 0 && a.extent[last] == 1;
    if (is_one_before || (last >= 0 && a.stride[last] == n * stride)) {
      a.extent[last] *= n;
      a.stride[last] = stride;
      continue;
    }
    a.extent[a.n_axes] = n;
    a.stride[a.n_axes++] = stride;
  }
  return a;
}

namespace {

/// One row of lists: `at(name)` gives its entries.
struct Row {
  const int32_t *index, *level;
  int64_t index_stride, level_stride, n;
  int64_t level_at(int64_t i) const { return level == nullptr ? 1 : level[i * level_stride]; }
  int64_t at(int64_t i) const { return index[i * index_stride]; }
};

/// What is wrong with a row, or nothing.
std::string complaint(const Row& row, int64_t n_blocks, int64_t most_level) {
  for (int64_t i = 0; i < row.n; ++i) {
    const int64_t index = row.at(i), level = row.level_at(i);
    if (index < 0 || index >= n_blocks) {
      return format("the index {}, needed is one of {} key blocks", index, n_blocks);
    }
    if (level < 1 || level > most_level) {
      return format("the level {}, needed is 1 to {}", level, most_level);
    }
    if (i > 0 && row.at(i - 1) > index) {
      return format("the index {} after {}, needed are ascending ones", index, row.at(i - 1));
    }
    for (int64_t j = i - 1; j >= 0 && row.at(j) == index; --j) {
      if (row.level_at(j) == level) return format("the index {} twice", index);
    }
  }
  return {};
}

}  // namespace

std::function<void(const Buffers&)> block_check(const std::string& op,
                                                const AttentionPattern& given,
                                                const KeyPattern& pattern, int64_t n_blocks) {
  const TensorDesc shape = *given.indices;
  const KeyPattern k = pattern;
  return [op, shape, k, n_blocks](const Buffers& b) {
    const auto* list = static_cast<const int32_t*>(b.read(k.list));
    const auto* counts = static_cast<const int32_t*>(b.read(k.counts));
    const int32_t* levels = k.has_levels ? static_cast<const int32_t*>(b.read(k.levels)) : nullptr;
    for (int64_t i = 0; i < shape.shape[0] * shape.shape[1] * shape.shape[2]; ++i) {
      const int64_t row = i % shape.shape[2], bh = i / shape.shape[2];
      const int64_t at[3] = {bh / shape.shape[1], bh % shape.shape[1], row};
      const auto offset = [&](const int64_t* s) {
        return at[0] * s[0] + at[1] * s[1] + at[2] * s[2];
      };
      const int64_t n = counts[offset(k.count_stride)];
      std::string text;
      if (n < 0 || n > shape.shape[3]) {
        text = format("the count {}, needed is 0 to {}", n, shape.shape[3]);
      } else {
        text = complaint({list + offset(k.list_stride),
                          levels == nullptr ? nullptr : levels + offset(k.level_stride),
                          k.list_stride[3], k.level_stride[3], n},
                         n_blocks, k.block_k);
      }
      if (text.empty()) continue;
      throw Error(ErrorCode::param, op, "pattern",
                  format("pattern has in query block {} of sample {} and head {} {}", at[2], at[0],
                         at[1], text));
    }
  };
}

}  // namespace swath
