#include "ops/attention_backward/combine.h"

#include <Eigen/Core>
#include <algorithm>

#include "ops/common/plain_step.h"

namespace swath {
namespace {

constexpr int64_t kTaskRows = 64;
constexpr int64_t kMaxWidth = 256;

template <class S, class A>
void add_row(const CombineRows& c, const Buffers& b, int64_t bh, int64_t key) {
  const auto* from = static_cast<const A*>(b.read(c.from));
  const auto* range = static_cast<const int64_t*>(b.read(c.range));
  A sum[kMaxWidth];
  std::fill_n(sum, c.n_d, A{0});
  for (int64_t part = 0; part < c.n_parts; ++part) {
    const int64_t unit = bh * c.n_parts + part;
    if (key < range[2 * unit] || key >= range[2 * unit + 1]) continue;
    const A* row = from + (unit * c.n + key) * c.width;
    for (int64_t d = 0; d < c.n_d; ++d) sum[d] += row[d];
  }
  S* to = static_cast<S*>(b.write(c.to.ref)) + c.offset + bh / c.n_heads * c.to.batch +
          bh % c.n_heads * c.to.head + c.to.at(key);
  for (int64_t d = 0; d < c.n_d; ++d) to[d * c.to.unit] = static_cast<S>(sum[d]);
}

template <class S, class A>
void add_rows(const CombineRows& c, const Buffers& b, int64_t begin, int64_t end) {
  const int64_t per_head = (c.n + kTaskRows - 1) / kTaskRows;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t bh = task / per_head, first = task % per_head * kTaskRows;
    const int64_t last = std::min(c.n, first + kTaskRows);
    for (int64_t key = first; key < last; ++key) add_row<S, A>(c, b, bh, key);
  }
}

}  // namespace

void add_combine_step(PlanImpl& plan, const CombineRows& c) {
  const int64_t n_tasks = c.n_batch * c.n_heads * ((c.n + kTaskRows - 1) / kTaskRows);
  const auto run = [c](const Buffers& b, int64_t begin, int64_t end) {
    switch (c.dtype) {
      case DType::f64:
        return add_rows<double, double>(c, b, begin, end);
      case DType::f16:
        return add_rows<Eigen::half, float>(c, b, begin, end);
      case DType::bf16:
        return add_rows<Eigen::bfloat16, float>(c, b, begin, end);
      default:
        return add_rows<float, float>(c, b, begin, end);
    }
  };
  const double bytes = 8.0 * static_cast<double>(c.n_batch * c.n_heads * c.n * c.width);
  add_plain_step(plan, {run, n_tasks}, bytes / 5e9);
}

}  // namespace swath
