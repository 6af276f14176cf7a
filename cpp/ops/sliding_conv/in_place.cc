#include "ops/sliding_conv/in_place.h"

#include <algorithm>
#include <vector>

#include "ops/sliding_conv/ratio.h"

namespace swath {
namespace {

/// Bytes of one copy: what stays in a second-level cache until it is read.
constexpr int64_t kCopyBytes = 512 * 1024;

/// Outputs [begin, end) of the first spatial axis and the inputs [first, last) that they see.
struct RowBlock {
  int64_t begin, end, first, last;
};

struct Halo {
  int64_t before = 0, after = 0;
};

Halo halo_of(const std::vector<ConvProblem>& problems, int axis) {
  Halo halo;
  for (const ConvProblem& p : problems) {
    const ConvAxis& a = p.axis[axis];
    halo.before = std::max(halo.before, a.pad);
    halo.after = std::max(halo.after, (a.kernel - 1) * a.dilation - a.pad);
  }
  return halo;
}

std::vector<RowBlock> cut_rows(int64_t n, int64_t row_bytes, const Halo& halo, bool wraps) {
  // A block must hold the rows that its border reflects; a circular border needs the other end.
  const int64_t least = std::max<int64_t>({halo.before + 1, halo.after + 1, 4});
  const int64_t rows = std::max(kCopyBytes / std::max<int64_t>(row_bytes, 1), least);
  const int64_t n_blocks = wraps ? 1 : std::max<int64_t>(n / rows, 1);
  std::vector<RowBlock> blocks;
  for (int64_t i = 0; i < n_blocks; ++i) {
    const int64_t begin = n * i / n_blocks, end = n * (i + 1) / n_blocks;
    blocks.push_back(
        {begin, end, std::max<int64_t>(begin - halo.before, 0), std::min(end + halo.after, n)});
  }
  return blocks;
}

TempCopy add_block_copy(PlanImpl& plan, const ConvCall& call, const RowBlock& block,
                        const ArrayRef& to) {
  const int row = call.xmap.spatial[0], c = call.xmap.c;
  TempCopy copy{call.x, to};
  copy.desc.shape[c] = call.n_in;
  copy.desc.shape[row] = block.last - block.first;
  CopyProblem problem{.from = copy.desc,
                      .to = {},
                      .from_offset = call.arrays.x.offset + call.first_channel * call.x.strides[c] +
                                     block.first * call.x.strides[row],
                      .to_offset = 0,
                      .from_ref = call.arrays.x.ref,
                      .to_ref = to};
  copy.desc = contiguous_desc(call.x.dtype, copy.desc.shape.data(), call.x.rank);
  problem.to = copy.desc;
  add_copy_step(plan, problem);
  return copy;
}

}  // namespace

void add_in_place_conv(PlanImpl& plan, const ConvCall& call, const Operand& y) {
  const int axis = 3 - call.params.ndim, row = call.xmap.spatial[0];
  const auto whole = conv_problems(call, y, 0, y);
  const Halo halo = halo_of(whole, axis);
  const int64_t n = call.x.shape[row];
  const int64_t row_bytes =
      call.x.n_elements() / call.x.shape[call.xmap.c] * call.n_in / n * item_bytes(call.x.dtype);
  const bool wraps = call.params.padding_mode == PaddingMode::circular;
  const auto blocks = cut_rows(n, row_bytes, halo, wraps);
  int64_t longest = 0;
  for (const RowBlock& b : blocks) longest = std::max(longest, b.last - b.first);
  ArrayRef memory[2];
  for (size_t i = 0; i < std::min<size_t>(blocks.size(), 2); ++i) {
    memory[i] = reserve_temp(plan, longest * row_bytes);
  }
  TempCopy copies[2];
  std::vector<int> first_steps;  // of the first block, by problem: they own the packed weights
  std::vector<ConvMask> ratios;  // of all positions, by problem
  for (const ConvProblem& p : whole) {
    const bool is_partial = call.params.padding_mode == PaddingMode::partial;
    ratios.push_back(is_partial ? add_ratio_plane(plan, p.dtype, p.axis) : ConvMask{});
  }
  copies[0] = add_block_copy(plan, call, blocks[0], memory[0]);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const RowBlock& block = blocks[i];
    if (i + 1 < blocks.size()) {
      copies[(i + 1) % 2] = add_block_copy(plan, call, blocks[i + 1], memory[(i + 1) % 2]);
    }
    const TempCopy& copy = copies[i % 2];
    const auto problems = conv_problems(call, {&copy.desc, copy.ref}, call.first_channel, y);
    for (size_t j = 0; j < problems.size(); ++j) {
      ConvProblem p = problems[j];
      ConvAxis& a = p.axis[axis];
      p.mask = ratios[j];
      p.mask.ratio.temp_byte +=
          block.begin * (p.n_positions() / a.out) * (p.dtype == DType::f64 ? 8 : 4);
      a.in = block.last - block.first;
      a.out = block.end - block.begin;
      a.pad += block.first - block.begin;
      p.y_offset += block.begin * a.y_stride;
      p.epilogue.residual_offset += block.begin * a.residual_stride;
      if (i == 0) first_steps.push_back(static_cast<int>(plan.steps.size()));
      add_conv_step(plan, p, call.params.op, i == 0 ? kOwnWeights : first_steps[j]);
    }
  }
}

}  // namespace swath
