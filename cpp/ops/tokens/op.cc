// describe of the functions that move, sum and pool tokens by tables of indices.
#include <swath/ops/tokens.h>

#include <algorithm>
#include <memory>

#include "core/format.h"
#include "ops/common/geometry.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/common/walk_axes.h"
#include "ops/tokens/compose.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

int64_t n_tokens(const TensorDesc& x, const TokenAxes& axes) {
  int64_t n = 1;
  for (int a : axes) n *= x.shape[a];
  return n;
}

/// The axes that are neither tokens nor the last `n_last`.
std::vector<int> leading_axes(const TensorDesc& x, const TokenAxes& tokens, int n_last) {
  std::vector<int> lead;
  for (int i = 0; i < x.rank - n_last; ++i) {
    if (std::find(tokens.begin(), tokens.end(), i) == tokens.end()) lead.push_back(i);
  }
  return lead;
}

struct TokensCall {
  CallSite site;
  const TensorDesc& x;
  const CombineTokensParams& params;
  TensorDesc y;
  std::vector<int> x_lead, y_lead;
  int64_t n_rows = 0, n_sources = 0, n_tables = 1;
  bool is_dot() const { return params.mode == TokenMode::dot; }
};

void check_table(const TokensCall& call, const TensorDesc& table, int64_t needed, const char* arg) {
  if (table.dtype != DType::i64 || table.rank != 1 || (needed >= 0 && table.shape[0] != needed) ||
      (table.shape[0] > 1 && table.strides[0] != 1)) {
    call.site.fail(ErrorCode::internal, arg,
                   format("{} has shape {} and dtype {}, needed are {} contiguous int64", arg,
                          shape_text(table), name_of(table.dtype), needed));
  }
}

TokensCall describe(const CallSite& site, const TensorDesc& x, const TensorDesc* offsets,
                    const TensorDesc& sources, const CombineTokensParams& params) {
  check_floating(site, x);
  TokensCall call{site, x, params, {}, {}, {}};
  const bool is_dot = params.mode == TokenMode::dot;
  std::vector<int64_t> shape = params.y_shape;
  if (!is_dot) shape.push_back(x.shape[x.rank - 1]);
  call.y = contiguous_desc(is_dot ? accumulator_of(x.dtype) : x.dtype, shape.data(),
                           static_cast<int>(shape.size()));
  call.x_lead = leading_axes(x, params.x_axes, 1);
  call.y_lead = leading_axes(call.y, params.y_axes, is_dot ? 0 : 1);
  const bool is_max_grad = params.mode == TokenMode::max_grad;
  call.n_sources = n_tokens(x, params.x_axes);
  call.n_rows = n_tokens(call.y, params.y_axes);
  if (is_max_grad && params.has_offsets) {
    call.n_rows = offsets->shape[0] - 1;
  }
  for (size_t i = 0; i < params.table_strides.size(); ++i) {
    if (params.table_strides[i] > 0) {
      call.n_tables = std::max(call.n_tables, params.table_strides[i] * x.shape[call.x_lead[i]]);
    }
  }
  if (params.has_offsets) {
    check_table(call, *offsets, call.n_tables * (call.n_rows + 1), "offsets");
    check_table(call, sources, -1, "sources");
  } else {
    check_table(call, sources, call.n_tables * call.n_rows, "idx");
  }
  return call;
}

/// Every index is of a token, and the rows' ranges are within the list.
void add_checks(PlanImpl& plan, const TokensCall& call, int64_t n_listed, int64_t n_sources) {
  const bool has_offsets = call.params.has_offsets;
  const int64_t n_offsets = has_offsets ? call.n_tables * (call.n_rows + 1) : 0;
  const bool needs_one = call.params.mode == TokenMode::max || call.params.mode == TokenMode::dot ||
                         call.params.mode == TokenMode::max_grad;
  plan.checks.push_back([op = call.site.op, n_listed, n_sources, n_offsets, needs_one,
                         n_rows = call.n_rows](const Buffers& b) {
    const CallSite site{op};
    const auto* sources = static_cast<const int64_t*>(b.in[2]);
    for (int64_t i = 0; i < n_listed; ++i) {
      if (sources[i] >= 0 && sources[i] < n_sources) continue;
      site.fail(ErrorCode::param, "idx",
                format("idx has {} at position {}, needed are numbers from 0 to {}", sources[i], i,
                       n_sources - 1));
    }
    const auto* offsets = static_cast<const int64_t*>(b.in[1]);
    for (int64_t i = 0; i < n_offsets; ++i) {
      const bool is_last = i % (n_rows + 1) == n_rows;
      const int64_t next = is_last ? n_listed : offsets[i + 1];
      if (offsets[i] >= 0 && offsets[i] <= next && next <= n_listed &&
          (is_last || !needs_one || offsets[i] < next)) {
        continue;
      }
      site.fail(ErrorCode::internal, "offsets", "the rows' ranges are not in order");
    }
  });
}

/// Strides of the weights along the leading axes of x, aligned at the right.
std::vector<int64_t> weight_lead_strides(const TokensCall& call, const TensorDesc& w) {
  const int n_lead = static_cast<int>(call.x_lead.size());
  const int n_given = w.rank - call.params.n_weight_axes;
  std::vector<int64_t> strides(call.x_lead.size(), 0);
  for (int i = 0; i < n_given; ++i) {
    const int at = n_lead - n_given + i;
    if (at < 0 || (w.shape[i] != 1 && w.shape[i] != call.x.shape[call.x_lead[at]])) {
      call.site.fail(ErrorCode::shape, "weights",
                     format("weights has shape {}, needed is one that broadcasts to the tokens of "
                            "x (x.shape={})",
                            shape_text(w), shape_text(call.x)));
    }
    if (w.shape[i] != 1) strides[at] = w.strides[i];
  }
  return strides;
}

TokenRows weight_rows(const TensorDesc& w, int n_axes) {
  TokenAxes axes;
  for (int i = w.rank - n_axes; i < w.rank; ++i) axes.push_back(i);
  return token_rows(w, axes);
}

/// The tokens whose products are added into each place of dw's last axis.
struct PlaceTokens {
  std::vector<int64_t> offsets, tokens;  // place after place
};

PlaceTokens tokens_of_places(const std::vector<int64_t>& places, int64_t n_tokens, int64_t n) {
  PlaceTokens found{std::vector<int64_t>(n + 1, 0), std::vector<int64_t>(n_tokens)};
  const auto place_of = [&](int64_t token) { return places.empty() ? token : places[token]; };
  for (int64_t i = 0; i < n_tokens; ++i) ++found.offsets[place_of(i) + 1];
  for (int64_t p = 0; p < n; ++p) found.offsets[p + 1] += found.offsets[p];
  std::vector<int64_t> next = found.offsets;
  for (int64_t i = 0; i < n_tokens; ++i) found.tokens[next[place_of(i)]++] = i;
  return found;
}

/// dw in x's dtype: the products summed over the axes along which the weights are broadcast, and
/// over the tokens that share a weight.
void add_weight_sum(PlanImpl& plan, const TokensCall& call, const ArrayRef& from,
                    const ArrayRef& to) {
  const std::vector<int64_t>& shape = call.params.weights_result;
  TensorDesc dw = contiguous_desc(call.x.dtype, shape.data(), static_cast<int>(shape.size()));
  const std::vector<int64_t> lead = weight_lead_strides(call, dw);
  const int64_t n_rows = call.n_rows, n = dw.n_elements();
  const int64_t n_places = call.params.places.empty() ? n_rows : shape.back();
  WalkAxes<1> kept, summed;  // of the products, whose order is lead, tokens
  int64_t stride = n_rows;
  for (int i = static_cast<int>(lead.size()) - 1; i >= 0; --i) {
    const int64_t extent = call.x.shape[call.x_lead[i]];
    auto& axes = lead[i] == 0 ? summed : kept;
    axes.insert(axes.begin(), {extent, {stride}});
    stride *= extent;
  }
  const DType acc = accumulator_of(call.x.dtype), dtype = call.x.dtype;
  const auto sum = [=, of = tokens_of_places(call.params.places, n_rows, n_places),
                    kept = make_walk(kept),
                    summed = make_walk(summed)](const Buffers& b, int64_t begin, int64_t end) {
    const int64_t n_summed = summed.count();
    for (int64_t i = begin; i < end; ++i) {
      ScalarSum total;
      if (n_summed == 0) {
        store_scalar(dtype, b.write(to), i, 0);
        continue;
      }
      const WalkPosition<1> at(kept, i / n_places);
      WalkPosition<1> inner(summed, 0);
      for (int64_t k = 0; k < n_summed; ++k, inner.advance()) {
        for (int64_t t = of.offsets[i % n_places]; t < of.offsets[i % n_places + 1]; ++t) {
          total.add(load_scalar(acc, b.read(from), at.at[0] + inner.at[0] + of.tokens[t]));
        }
      }
      store_scalar(dtype, b.write(to), i, total.value());
    }
  };
  add_plain_step(plan, {sum, n}, static_cast<double>(stride) * 2e-9);
}

void add_lead(TokensProblem& p, const TokensCall& call, const TensorDesc* weights,
              const TensorDesc* g) {
  std::vector<int64_t> w_strides(call.x_lead.size(), 0);
  if (weights != nullptr) w_strides = weight_lead_strides(call, *weights);
  std::vector<int> g_lead = call.x_lead;
  if (g != nullptr) g_lead = leading_axes(*g, call.params.g_axes, 1);
  WalkAxes<kTokenArrays> axes;
  for (size_t i = 0; i < call.x_lead.size(); ++i) {
    const int64_t table = i < call.params.table_strides.size() ? call.params.table_strides[i] : 0;
    axes.push_back({call.x.shape[call.x_lead[i]],
                    {call.x.strides[call.x_lead[i]], call.y.strides[call.y_lead[i]], w_strides[i],
                     g != nullptr ? g->strides[g_lead[i]] : 0, table}});
  }
  merge_walk(axes);
  p.lead = make_walk(axes);
}

}  // namespace

TokenRows token_rows(const TensorDesc& x, const TokenAxes& axes) {
  TokenRows rows;
  for (int a : axes) {
    const int64_t n = x.shape[a], stride = x.strides[a];
    if (n == 1) continue;
    const int last = rows.n_axes - 1;
    if (last >= 0 && rows.stride[last] == n * stride) {
      rows.n[last] *= n;
      rows.stride[last] = stride;
    } else {
      rows.n[rows.n_axes] = n;
      rows.stride[rows.n_axes++] = stride;
    }
  }
  if (rows.n_axes == 0) {  // one token
    rows.n_axes = 1;
    rows.n[0] = 1;
  }
  return rows;
}

void add_tokens_step(PlanImpl& plan, const std::string& op, const TokensProblem& problem,
                     int64_t n_sources) {
  constexpr double kSecondsPerElement = 3e-10;  // an order of magnitude
  static const Operator& table = find_operator("tokens");
  add_step(plan, table, problem.dtype, std::make_shared<TokensProblem>(problem),
           static_cast<double>(n_sources * problem.n_channels) * kSecondsPerElement, op);
}

Plan plan_combine_tokens(const TensorDesc& x, const TensorDesc* offsets, const TensorDesc& sources,
                         const TensorDesc* weights, const TensorDesc* g,
                         const CombineTokensParams& params, const PlanOptions& options) {
  const CallSite site{params.name};
  const TokensCall call = describe(site, x, offsets, sources, params);
  if (weights != nullptr && !params.weights_are_sums) {
    check_same_kind(site, x, *weights, "weights");
  }
  if (g != nullptr) check_same_kind(site, x, *g, "dy");
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  const std::vector<int64_t>& dw = params.weights_result;
  plan->outputs = {call.is_dot() ? contiguous_desc(x.dtype, dw.data(), static_cast<int>(dw.size()))
                                 : call.y};
  const int64_t n_listed = sources.shape[0], n_channels = x.shape[x.rank - 1];
  int64_t n_places = 1;
  for (int i : call.x_lead) n_places *= x.shape[i];
  const int64_t n_read = n_places * (n_listed / std::max<int64_t>(call.n_tables, 1));
  plan->bytes = item_bytes(x.dtype) * n_read * n_channels + bytes_of(call.y);
  plan->flops = (weights != nullptr || call.is_dot() ? 2 : 1) * n_read * n_channels;
  add_checks(*plan, call, n_listed, call.is_dot() ? n_tokens(*g, params.g_axes) : call.n_sources);
  if (plan->outputs[0].n_elements() == 0) return Plan(std::move(plan));
  TokensProblem p;
  p.dtype = x.dtype;
  p.mode = params.mode;
  p.weight = params.weight;
  p.has_offsets = params.has_offsets;
  p.w_is_acc = params.weights_are_sums;
  p.y_is_acc = call.is_dot();
  p.x = input_ref(0);
  p.offsets = input_ref(1);
  p.sources = input_ref(2);
  p.w = input_ref(3);
  p.g = input_ref(4);
  p.x_rows = token_rows(x, params.x_axes);
  p.y_rows = token_rows(call.y, params.y_axes);
  if (weights != nullptr) p.w_rows = weight_rows(*weights, params.n_weight_axes);
  if (g != nullptr) {
    p.g_rows = token_rows(*g, params.g_axes);
    p.g_step = g->strides[g->rank - 1];
  }
  p.n_rows = call.n_rows;
  p.n_channels = n_channels;
  p.x_step = x.strides[x.rank - 1];
  add_lead(p, call, weights, g);
  p.y = output_ref(0);
  if (call.is_dot()) p.y = reserve_temp(*plan, bytes_of(call.y));
  if (call.n_rows > 0 && n_places > 0) add_tokens_step(*plan, site.op, p, n_read);
  if (call.is_dot()) add_weight_sum(*plan, call, p.y, output_ref(0));
  return Plan(std::move(plan));
}

}  // namespace swath
