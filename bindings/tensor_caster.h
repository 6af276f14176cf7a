// Any Python array -> TensorView, without a copy where strides allow.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include <swath/tensor.h>

#include "arguments.h"

namespace swath::python {

/// Where results go back to.
enum class Library : uint8_t { numpy, torch, other };

/// `floats`: the four floating dtypes. `masks`: those, bool and uint8. `any`: every plain element
/// of 1, 2, 4 or 8 bytes, for operators that only move elements; kinds that DType has no name for
/// get one of the same size.
enum class Accept : uint8_t { floats, masks, any };

/// How an argument was given, for info.explain: "" when its own memory is read.
using CopyReason = const char*;
inline constexpr CopyReason kNotAligned = "not aligned to its items";
inline constexpr CopyReason kNegated = "a view of torch whose sign is still to be flipped";

/// Gives a consumed DLPack tensor back to its producer.
class DlpackOwner {
 public:
  DlpackOwner() = default;
  DlpackOwner(void* tensor, void (*release)(void*)) : tensor_(tensor), release_(release) {}
  DlpackOwner(const DlpackOwner&) = delete;
  DlpackOwner(DlpackOwner&& other) noexcept : tensor_(other.tensor_), release_(other.release_) {
    other.release_ = nullptr;
  }
  DlpackOwner& operator=(DlpackOwner&& other) noexcept {
    std::swap(tensor_, other.tensor_);
    std::swap(release_, other.release_);
    return *this;
  }
  ~DlpackOwner() {
    if (release_ != nullptr) release_(tensor_);
  }

 private:
  void* tensor_ = nullptr;
  void (*release_)(void*) = nullptr;
};

/// One array argument, alive until this object is gone.
struct ArrayArg {
  TensorView view;
  py::object object;  // what the caller passed
  py::object array;   // NumPy: the ndarray that `view` looks at, which may be a copy of `object`
  DlpackOwner dlpack;
  Library library = Library::numpy;
  bool is_writable = false;
  uint8_t kind = 0;  // with Accept::any: tells dtypes apart that share one DType
  CopyReason copied = "";
};

/// Reads an input: NumPy arrays, DLPack producers, and what numpy.asarray understands.
void read_array(py::handle object, ArgName name, Accept accept, ArrayArg& into);
/// Reads an array to write into: the same without copies, and it must be writable.
void read_output(py::handle object, ArgName name, Accept accept, ArrayArg& into);

/// A NumPy array of plain integers over memory that somebody else owns and keeps.
py::object borrow_as_numpy(const TensorView& view);
/// NumPy's bfloat16 dtype, from ml_dtypes; a DTypeError if that is not installed.
py::object numpy_bfloat16(ArgName name);

/// tensor_caster_dlpack.cc: false if `object` is no DLPack producer.
bool read_dlpack(py::handle object, ArgName name, Accept accept, ArrayArg& into);
[[noreturn]] void refuse_dtype(ArgName name, Accept accept, const std::string& found,
                               const char* hint);
/// Refuses arrays whose shape arithmetic could overflow or that have too many axes.
void check_extents(ArgName name, int64_t rank, const int64_t* shape);

}  // namespace swath::python
