// The plan object behind LongConv.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "buffer.h"
#include "ops/long_conv.h"

namespace swath::python {

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

  LongConvArrays describe(const TensorDesc& u) const;
  int64_t length_of(const TensorDesc& u) const;
  void set_constants(Call& call) const;
  /// Kept or new ones for rows like those of u.
  Spectra spectra_for(const TensorDesc& u) const;
  Spectra make_spectra(const TensorDesc& u) const;

  LongConvParams params_;
  Constant k_, skip_, bias_, response_;
  int n_threads_;
  mutable std::mutex mutex_;
  mutable std::vector<Spectra> kept_;
};

}  // namespace swath::python
