// Memory of our own that other libraries take over by DLPack.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include <swath/tensor.h>

namespace swath::python {

namespace py = pybind11;

/// A C-contiguous array on the cpu; immutable once handed out.
struct Buffer {
  std::shared_ptr<std::byte[]> memory;
  TensorDesc desc;
  uint8_t kind =
      0;  // as ArrayArg::kind: what the elements are where `desc.dtype` only says their size

  /// Uninitialised. Aligned as jax wants it to take the memory without a copy.
  explicit Buffer(const TensorDesc& shape_and_dtype, uint8_t kind = 0);
  /// A copy of a view's elements.
  explicit Buffer(const TensorView& source);

  TensorView view() const noexcept { return {memory.get(), desc}; }
  size_t n_bytes() const noexcept;
};

}  // namespace swath::python
