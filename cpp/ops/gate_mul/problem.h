// What the gate kernels see: products of an array with a factor that may be the same along some
// axes, and the gradients of such products.
#pragma once

#include <cstdint>

#include <swath/ops/common.h>

#include "core/kernel.h"
#include "ops/common/walk.h"

namespace swath {

/// The arrays of a walk. kGateC is what is added (forward) or dy (backward), kGateY the result or
/// da.
enum GateArray : int { kGateA, kGateB, kGateC, kGateY, kGateDb, kGateArrays };
using GateAxis = WalkAxis<kGateArrays>;
using GateWalk = Walk<kGateArrays>;

/// gate(b), a function of one number: an activation plus `shift`, or the asymmetric Gaussian
///   b < mu: height exp(-left (b - mu)^2), else 1 + (height - 1) exp(-right (b - mu)^2).
struct GateFunction {
  Activation kind = Activation::none;
  double value = 0, shift = 0;
  bool is_asym_gauss = false;
  double height = 1, mu = 0, left = 1, right = 1;
};

/// Forward:  y = sum over terms of phi(a) g + offset + c, with g = gate(b); where has_slope, c
///           is (c - centre) slope.
/// Backward: da = dy phi'(a) g, db = gate'(b) sum of dy phi(a) over the repeats, and for the
///           asymmetric Gaussian one row (d height, d mu, d left, d right) of partial sums a task.
/// b does not move along the axes of `repeat`; offset, centre and slope lie like b, in
/// accumulators. If is_splat, `run` is such an axis and `rows` the one along which gates are made
/// in vectors; else gates are made along `run`.
struct GateProblem {
  DType dtype = DType::f32;
  bool is_backward = false, is_splat = false;
  Activation activation = Activation::none;
  double activation_value = 0;
  GateFunction gate;
  bool b_is_acc = false, db_is_acc = false;  // accumulators instead of the storage type
  bool has_c = false, has_offset = false, has_slope = false;  // forward
  bool has_da = false, has_db = false, has_params = false;    // backward
  ArrayRef a, b, c, y, db, offset, centre, slope, params;
  int64_t n_terms = 1, a_term_stride = 0, b_term_stride = 0;
  GateAxis run, rows;
  GateWalk repeat, outer;
  int64_t run_block = 1, rows_block = 1, repeat_block = 1;
  int64_t chunk = 1;  // elements of a run that are worked on at once where scratch rows are needed

  __attribute__((always_inline)) int64_t n_run_blocks() const {
    return (run.n + run_block - 1) / run_block;
  }
  __attribute__((always_inline)) int64_t n_rows_blocks() const {
    return (rows.n + rows_block - 1) / rows_block;
  }
  __attribute__((always_inline)) int64_t n_repeat_blocks() const {
    return (repeat.count() + repeat_block - 1) / repeat_block;
  }
  __attribute__((always_inline)) int64_t n_tasks() const {
    return outer.count() * n_rows_blocks() * n_repeat_blocks() * n_run_blocks();
  }
};

}  // namespace swath
