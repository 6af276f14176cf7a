// Python arguments that are not arrays -> the operators' parameter types. What cannot be read at
// all is refused here, by name; what it must fit together with is checked by the operator's
// describe.
#pragma once

#include <pybind11/pybind11.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <swath/error.h>
#include <swath/ops/common.h>

namespace swath::python {

namespace py = pybind11;

/// Whose argument is being read: for error texts.
struct ArgName {
  const char* op;
  const char* arg;
};

[[noreturn]] void refuse(ArgName name, py::handle found, std::string_view needed);
[[noreturn]] void refuse(ErrorCode code, ArgName name, const std::string& text);

/// repr(object), cut to a length that fits an error text; "?" if it has none.
std::string short_repr(py::handle object);

/// Anything with __index__ but bool, in the range of int32.
int64_t read_int(py::handle object, ArgName name);
/// None or a positive integer; 0 for None.
int read_threads(py::handle object, ArgName name);
bool read_bool(py::handle object, ArgName name);
/// A finite number.
double read_number(py::handle object, ArgName name);
/// A sequence of n finite numbers, or of any count if n is kAnyCount.
inline constexpr int kAnyCount = -1;
std::vector<double> read_numbers(py::handle object, int n, ArgName name);
/// Which gradients `needs` asks for: a sequence of the inputs' names ("x") or of those of the
/// gradients ("dx"); None: all.
std::vector<bool> read_needs(py::handle object, std::span<const std::string_view> inputs,
                             const char* op);
/// One integer for all axes, or one per axis.
Extents read_extents(py::handle object, int ndim, ArgName name);
/// A pair of integers.
std::array<int64_t, 2> read_pair(py::handle object, ArgName name);
/// int, ints per axis, pairs per axis, a flat pair if ndim == 1, or the name of a rule.
Padding read_padding(py::handle object, int ndim, ArgName name);

struct Dilation {
  Extents all{1, 1, 1};
  std::vector<int64_t> per_channel;  // (n_rows, ndim); empty if the same for all channels
  int64_t n_rows = 0;
};
Dilation read_dilation(py::handle object, int ndim, ArgName name);

struct ActivationChoice {
  Activation kind = Activation::none;
  double value = 0;
};
/// None, a name or (name, value).
ActivationChoice read_activation(py::handle object, ArgName name);

/// The index of a string among `names`.
int read_choice(py::handle object, std::span<const std::string_view> names, ArgName name);

Layout read_layout(py::handle object, const char* op);
PaddingMode read_padding_mode(py::handle object, const char* op);

}  // namespace swath::python
