// Where results are written: a new array of the caller's library, or the caller's own `out`.
#pragma once

#include "tensor_caster.h"

namespace swath::python {

/// A result under construction.
struct Result {
  TensorView view;
  py::object object;  // what the caller gets; for other libraries still the Buffer
};

/// A new array of `desc`'s shape and dtype, and of the library of `like`.
Result allocate_result(const TensorDesc& desc, const ArrayArg& like, ArgName name);
/// Turns a Buffer into an array of `like`'s library; NumPy and torch results are ready already.
py::object finish_result(Result&& result, const ArrayArg& like);

/// Refuses an `out` of another kind of dtype than `like`, or whose elements share memory with each
/// other. Its shape, dtype and device are checked by the operator's describe.
void check_out(const ArrayArg& out, const ArrayArg& like, ArgName name);
/// Whether two arrays have bytes in common; exact but for views too intricate to decide.
bool overlaps(const TensorView& a, const TensorView& b);
/// Same memory, shape and strides.
bool is_same_array(const TensorView& a, const TensorView& b) noexcept;

}  // namespace swath::python
