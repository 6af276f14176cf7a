// The plan object behind LongConv.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <swath/ops/long_conv.h>

#include "buffer.h"
#include "ops/long_conv.h"

namespace swath::python {

/// What a stream remembers: the last inputs and the sums that they give to the next outputs.
struct LongConvState {
  LongConvState(int64_t batch, int64_t channels, int64_t n_span, DType acc);
  LongConvState(const Buffer& kept_inputs, const Buffer& kept_sums, const Buffer& of_block,
                int64_t inputs_so_far, bool has_open_channels = false);
  LongConvState copy() const;

  int64_t n_batch() const noexcept { return inputs.desc.shape[0]; }
  int64_t n_channels() const noexcept { return inputs.desc.shape[1]; }
  int64_t span() const noexcept { return inputs.desc.shape[2]; }

  Buffer inputs, sums;  // (batch, channels, span)
  Buffer block;         // (batch, channels, 2 kLongStreamBlock): those of the current block
  int64_t time = 0;
  bool channels_are_open = false;  // the first chunk says how many they are
};

/// A long convolution with constant taps. Immutable but for the spectra that it keeps, one for each
/// length of u that it met last; safe from many threads.
class LongConvPlan {
 public:
  struct Constants {
    py::handle k, skip, bias, response;
  };
  /// `length` 0: not known.
  LongConvPlan(LongConvParams params, const Constants& constants, int64_t length, int n_threads);

  py::object run(py::handle u, py::handle pre_gate, py::handle post_gate, py::handle out,
                 py::handle threads) const;
  /// Streaming, of causal plans and, with a tail, of full ones.
  LongConvState init_state(py::handle batch, py::handle channels) const;
  py::object step(py::handle u, LongConvState& state, py::handle pre_gate, py::handle post_gate,
                  py::handle threads) const;
  /// The K - 1 outputs of mode "full" behind the last input; none of a causal plan.
  py::object flush(LongConvState& state, py::handle post_gate, py::handle threads) const;
  /// A plan for a contiguous u of this shape, with its spectra at hand.
  Plan plan_for(const std::vector<int64_t>& shape) const;
  size_t workspace_bytes(const std::vector<int64_t>& shape) const;
  /// The constant arrays by argument name; None where absent.
  py::dict arrays() const;

 private:
  using Constant = std::optional<Buffer>;
  /// The spectra for one length; without a buffer where the taps are used as they are.
  struct Spectra {
    int64_t length;
    std::shared_ptr<const Buffer> buffer;
  };

  struct Piece;
  /// Plans of the steps that a stream repeats, so that it does not make them again.
  struct StepPlans {
    TensorDesc u, pre_gate, post_gate;  // of rank 0: absent
    Plan whole, tokens;                 // the latter of chunks inside a block
  };
  struct TilePlan {
    int64_t size, n_batch, n_channels;
    std::shared_ptr<const Buffer> spectra;
    Plan plan;
  };
  /// A state whose channels are not known takes those of its first chunk.
  void settle_channels(const LongConvArrays& a, LongConvState& state) const;
  void check_state(const TensorDesc& u, const LongConvState& state) const;
  StepPlans step_plans(const LongConvArrays& arrays, const LongConvState& state) const;
  StepPlans make_step_plans(const LongConvArrays& arrays, const LongConvState& state) const;
  TilePlan tile_plan(const LongConvState& state, int64_t size) const;
  void add_tokens(const Piece& piece, const Plan* plan, LongConvState& state, int n_threads) const;
  void add_block(const Piece& piece, LongConvState& state, int n_threads) const;
  void keep_block_taps();
  LongStream stream_of(const LongConvState& state) const;
  void add_tile(LongConvState& state, int n_threads) const;
  Spectra tile_spectra(const LongStream& stream, int64_t size) const;
  LongConvArrays describe(const TensorDesc& u) const;
  int64_t length_of(const TensorDesc& u) const;
  void set_constants(Call& call) const;
  /// Kept or new ones for rows like those of u.
  Spectra spectra_for(const LongConvArrays& arrays) const;
  std::optional<Spectra> known_spectra(int64_t length) const;
  Spectra make_spectra(const TensorDesc& u) const;

  LongConvParams params_;
  Constant k_, skip_, bias_, response_;
  std::optional<Buffer> block_taps_;  // (heads, kLongStreamBlock) accumulators, the last one first
  int n_threads_;
  mutable std::mutex mutex_;
  mutable std::vector<Spectra> kept_, tiles_;
  mutable std::vector<StepPlans> step_plans_;
  mutable std::vector<TilePlan> tile_plans_;
};

}  // namespace swath::python
