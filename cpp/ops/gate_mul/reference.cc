// The products and their gradients one element at a time, in double.
#include <cmath>
#include <iterator>

#include "ops/common/scalar.h"
#include "ops/gate_mul/problem.h"

namespace swath {
namespace {

const GateProblem& as_gate(const void* p) { return *static_cast<const GateProblem*>(p); }

struct GateValue {
  double value, slope;  // gate(b) and its derivative
  double by[4];         // derivatives by height, mu, left, right
};

GateValue gate_value(const GateFunction& g, double b) {
  if (!g.is_asym_gauss) {
    return {
        activate_scalar(b, g.kind, g.value) + g.shift, activation_slope(b, g.kind, g.value), {}};
  }
  const double d = b - g.mu;
  const bool is_left = d < 0;
  const double rate = is_left ? g.left : g.right, height = is_left ? g.height : g.height - 1;
  const double e = std::exp(-rate * d * d);
  const double slope = e == 0 ? 0 : -2 * rate * d * height * e;
  const double by_rate = e == 0 ? 0 : -d * d * height * e;
  return {(is_left ? 0 : 1) + height * e + g.shift,
          slope,
          {e, -slope, is_left ? by_rate : 0, is_left ? 0 : by_rate}};
}

struct Reference {
  const GateProblem& p;
  const Buffers& b;
  DType acc;

  double storage(const ArrayRef& array, int64_t at) const {
    return load_scalar(p.dtype, b.read(array), at);
  }
  double gate_input(int64_t at) const {
    return load_scalar(p.b_is_acc ? acc : p.dtype, b.read(p.b), at);
  }
  double beside_b(const ArrayRef& array, int64_t at) const {
    return load_scalar(acc, b.read(array), at);
  }

  void forward(const int64_t* at) const {
    ScalarSum sum;
    for (int64_t t = 0; t < p.n_terms; ++t) {
      const double a = storage(p.a, at[kGateA] + t * p.a_term_stride);
      const double g = gate_value(p.gate, gate_input(at[kGateB] + t * p.b_term_stride)).value;
      sum.add(activate_scalar(a, p.activation, p.activation_value) * g);
    }
    double y = sum.value();
    if (p.has_offset) y += beside_b(p.offset, at[kGateB]);
    if (p.has_c) {
      double c = storage(p.c, at[kGateC]);
      if (p.has_slope) c = (c - beside_b(p.centre, at[kGateB])) * beside_b(p.slope, at[kGateB]);
      y += c;
    }
    store_scalar(p.dtype, b.write(p.y), at[kGateY], y);
  }

  /// Writes da and returns dy phi(a).
  double backward(const int64_t* at, double g) const {
    const double a = storage(p.a, at[kGateA]), dy = storage(p.c, at[kGateC]);
    if (p.has_da) {
      const double slope = activation_slope(a, p.activation, p.activation_value);
      store_scalar(p.dtype, b.write(p.y), at[kGateY], slope == 0 ? 0 : dy * slope * g);
    }
    return dy * activate_scalar(a, p.activation, p.activation_value);
  }

  void finish(int64_t at_db, double db, const GateValue& g, double* params) const {
    for (int k = 0; k < 4; ++k) params[k] += db == 0 ? 0 : db * g.by[k];
    if (!p.has_db) return;
    store_scalar(p.db_is_acc ? acc : p.dtype, b.write(p.db), at_db,
                 g.slope == 0 ? 0 : db * g.slope);
  }
};

/// One task is one position of the outer axes.
int64_t n_tasks(const void* problem) noexcept { return as_gate(problem).outer.count(); }

void move(int64_t* at, const int64_t* from, const GateAxis& axis, int64_t i) {
  for (int k = 0; k < kGateArrays; ++k) at[k] = from[k] + i * axis.stride[k];
}

void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const GateProblem& p = as_gate(problem);
  const Reference reference{p, buffers, accumulator_of(p.dtype)};
  // The gates are along one axis, and each is the same for all of `spread` and the repeats.
  const GateAxis& gates = p.is_splat ? p.rows : p.run;
  const GateAxis& spread = p.is_splat ? p.run : p.rows;
  for (int64_t task = begin; task < end; ++task) {
    const WalkPosition<kGateArrays> outer(p.outer, task);
    double params[4] = {};
    for (int64_t i = 0; i < gates.n; ++i) {
      int64_t at_gate[kGateArrays], at[kGateArrays];
      move(at_gate, outer.at, gates, i);
      const GateValue g =
          p.is_backward ? gate_value(p.gate, reference.gate_input(at_gate[kGateB])) : GateValue{};
      ScalarSum db;
      WalkPosition<kGateArrays> repeat(p.repeat, 0);
      for (int64_t r = 0; r < p.repeat.count(); ++r, repeat.advance()) {
        for (int64_t j = 0; j < spread.n; ++j) {
          move(at, at_gate, spread, j);
          for (int k = 0; k < kGateArrays; ++k) at[k] += repeat.at[k];
          if (p.is_backward) {
            db.add(reference.backward(at, g.value));
          } else {
            reference.forward(at);
          }
        }
      }
      if (p.is_backward) reference.finish(at_gate[kGateDb], db.value(), g, params);
    }
    if (!p.has_params) continue;
    // The kernels' tasks are finer: the rows of sums of one outer position are one and zeros.
    const int64_t n_rows = p.n_tasks() / p.outer.count();
    void* sums = buffers.write(p.params);
    for (int64_t k = 0; k < 4 * n_rows; ++k) {
      store_scalar(reference.acc, sums, 4 * n_rows * task + k, k < 4 ? params[k] : 0);
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)      \
  {"gate_mul_" #dtype "_reference", \
   "reference",                     \
   DType::dtype,                    \
   Cluster::reference,              \
   DeviceType::cpu,                 \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable gate_mul_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
