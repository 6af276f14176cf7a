#include "arguments.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/format.h"
#include "numpy_api.h"

namespace swath::python {
namespace {

/// Wider values mean nothing here and would overflow the shape arithmetic.
constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();

bool is_bool(PyObject* o) noexcept { return PyBool_Check(o) || PyArray_IsScalar(o, Bool); }

bool is_sequence(PyObject* o) noexcept {
  if (PyTuple_Check(o) || PyList_Check(o)) return true;
  if (PyArray_Check(o)) return PyArray_NDIM(as_ndarray(o)) > 0;
  return PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o) && !PyIndex_Check(o);
}

/// The items of a sequence, as a list or tuple.
py::object items_of(py::handle object, ArgName name) {
  PyObject* fast = PySequence_Fast(object.ptr(), "");
  if (fast == nullptr) {
    PyErr_Clear();
    refuse(name, object, "a sequence of integers");
  }
  return py::reinterpret_steal<py::object>(fast);
}

py::handle item(const py::object& items, py::ssize_t i) {
  return PySequence_Fast_GET_ITEM(items.ptr(), i);
}
py::ssize_t length(const py::object& items) { return PySequence_Fast_GET_SIZE(items.ptr()); }

std::string_view read_string(py::handle object) {
  py::ssize_t n = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object.ptr(), &n);
  if (text == nullptr) {  // lone surrogates
    PyErr_Clear();
    return "?";
  }
  return {text, static_cast<size_t>(n)};
}

std::string list_of(std::span<const std::string_view> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += format("'{}'", names[i]);
  }
  return text;
}

constexpr std::string_view kActivationNames[] = {
#define SWATH_ACTIVATION(name, value) #name,
#include <swath/activation.def>
#undef SWATH_ACTIVATION
};
constexpr double kActivationValues[] = {
#define SWATH_ACTIVATION(name, value) value,
#include <swath/activation.def>
#undef SWATH_ACTIVATION
};

}  // namespace

std::string short_repr(py::handle object) {
  constexpr size_t kMaxLength = 60;
  try {
    auto text = py::cast<std::string>(py::repr(object));
    std::replace(text.begin(), text.end(), '\n', ' ');
    if (text.size() <= kMaxLength) return text;
    size_t cut = kMaxLength;
    while (cut > 0 && (text[cut] & 0xC0) == 0x80) --cut;  // not inside a UTF-8 character
    return text.substr(0, cut) + "...";
  } catch (const std::exception&) {  // its __repr__ failed
    return "?";
  }
}

void refuse(ErrorCode code, ArgName name, const std::string& text) {
  throw Error(code, name.op, name.arg, text);
}

void refuse(ArgName name, py::handle found, std::string_view needed) {
  refuse(ErrorCode::param, name,
         format("{} is {}, needed is {}", name.arg, short_repr(found), needed));
}

int64_t read_int(py::handle object, ArgName name) {
  PyObject* o = object.ptr();
  const bool is_array = PyArray_Check(o) && PyArray_NDIM(as_ndarray(o)) > 0;
  if (is_bool(o) || is_array || !PyIndex_Check(o)) refuse(name, object, "an integer");
  const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(o));
  if (!index) {
    PyErr_Clear();
    refuse(name, object, "an integer");
  }
  int overflow = 0;
  const int64_t value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0 || value > kMaxInt || value < -kMaxInt) {
    refuse(ErrorCode::param, name,
           format("{} is {}, needed is an integer below 2**31", name.arg, short_repr(index)));
  }
  return value;
}

int read_threads(py::handle object, ArgName name) {
  if (object.is_none()) return 0;
  const int64_t n = read_int(object, name);
  if (n < 1) refuse(name, object, "a positive number of threads or None");
  return static_cast<int>(n);
}

bool read_bool(py::handle object, ArgName name) {
  if (!is_bool(object.ptr())) refuse(name, object, "True or False");
  return PyObject_IsTrue(object.ptr()) == 1;
}

double read_number(py::handle object, ArgName name) {
  PyObject* o = object.ptr();
  const bool is_number = PyFloat_Check(o) || PyLong_Check(o) || PyArray_IsScalar(o, Floating) ||
                         PyArray_IsScalar(o, Integer);
  const double value = is_number && !is_bool(o) ? PyFloat_AsDouble(o) : std::nan("");
  if (PyErr_Occurred() != nullptr) PyErr_Clear();
  if (!std::isfinite(value)) refuse(name, object, "a finite number");
  return value;
}

Extents read_extents(py::handle object, int ndim, ArgName name) {
  Extents extents{1, 1, 1};
  if (!is_sequence(object.ptr())) {
    const int64_t value = read_int(object, name);
    for (int d = 0; d < ndim; ++d) extents[d] = value;
    return extents;
  }
  const py::object items = items_of(object, name);
  if (length(items) != ndim) {
    refuse(name, object, format("an integer or {} of them, one per spatial axis", ndim));
  }
  for (int d = 0; d < ndim; ++d) extents[d] = read_int(item(items, d), name);
  return extents;
}

std::array<int64_t, 2> read_pair(py::handle object, ArgName name) {
  if (!is_sequence(object.ptr())) refuse(name, object, "a pair of integers");
  const py::object items = items_of(object, name);
  if (length(items) != 2) refuse(name, object, "a pair of integers");
  return {read_int(item(items, 0), name), read_int(item(items, 1), name)};
}

Padding read_padding(py::handle object, int ndim, ArgName name) {
  static constexpr std::string_view kRules[] = {"valid", "same", "same_tf", "causal"};
  Padding padding;
  if (PyUnicode_Check(object.ptr())) {
    padding.rule = static_cast<PaddingRule>(read_choice(object, kRules, name) + 1);
    return padding;
  }
  if (!is_sequence(object.ptr())) {
    const int64_t value = read_int(object, name);
    for (int d = 0; d < ndim; ++d) padding.pairs[d] = {value, value};
    return padding;
  }
  const py::object items = items_of(object, name);
  if (ndim == 1 && length(items) == 2 && !is_sequence(item(items, 0).ptr())) {
    padding.pairs[0] = read_pair(object, name);
    return padding;
  }
  if (length(items) != ndim) {
    refuse(name, object,
           format("an integer, {} integers or pairs (one per spatial axis), or the name of a rule",
                  ndim));
  }
  for (int d = 0; d < ndim; ++d) {
    if (is_sequence(item(items, d).ptr())) {
      padding.pairs[d] = read_pair(item(items, d), name);
    } else {
      const int64_t value = read_int(item(items, d), name);
      padding.pairs[d] = {value, value};
    }
  }
  return padding;
}

/// The array of an argument that is one, or a list of lists, with two axes; null for all others.
py::object read_table(py::handle object, ArgName name) {
  py::object array = py::reinterpret_borrow<py::object>(object);
  if (!PyArray_Check(object.ptr())) {
    if (!py::hasattr(object, "__array__")) {
      if (!is_sequence(object.ptr())) return {};
      const py::object items = items_of(object, name);
      if (length(items) == 0 || !is_sequence(item(items, 0).ptr())) return {};
    }
    array =
        py::reinterpret_steal<py::object>(PyArray_FromAny(object.ptr(), nullptr, 0, 0, 0, nullptr));
    if (!array) {  // ragged
      PyErr_Clear();
      return {};
    }
  }
  return PyArray_NDIM(as_ndarray(array.ptr())) == 2 ? array : py::object();
}

Dilation read_dilation(py::handle object, int ndim, ArgName name) {
  Dilation dilation;
  const py::object table = read_table(object, name);
  if (!table) {
    dilation.all = read_extents(object, ndim, name);
    return dilation;
  }
  PyArrayObject* given = as_ndarray(table.ptr());
  if (!PyArray_ISINTEGER(given)) refuse(name, object, "an integer array");
  if (PyArray_DIM(given, 1) != ndim) {
    refuse(ErrorCode::shape, name,
           format("{} has shape ({}, {}), needed is (C_out, {})", name.arg, PyArray_DIM(given, 0),
                  PyArray_DIM(given, 1), ndim));
  }
  // NPY_ARRAY_FORCECAST: uint64 too; what it wraps is negative and refused by describe
  const py::object array = py::reinterpret_steal<py::object>(PyArray_FromArray(
      given, PyArray_DescrFromType(NPY_INT64), NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST));
  if (!array) throw py::error_already_set();
  const auto* values = static_cast<const int64_t*>(PyArray_DATA(as_ndarray(array.ptr())));
  dilation.n_rows = PyArray_DIM(given, 0);
  dilation.per_channel.assign(values, values + dilation.n_rows * ndim);
  for (int64_t value : dilation.per_channel) {
    if (value < 1 || value > kMaxInt) refuse(name, object, "positive integers below 2**31");
  }
  return dilation;
}

ActivationChoice read_activation(py::handle object, ArgName name) {
  if (object.is_none()) return {};
  const bool is_pair = PyTuple_Check(object.ptr()) && PyTuple_GET_SIZE(object.ptr()) == 2;
  const py::handle kind = is_pair ? py::handle(PyTuple_GET_ITEM(object.ptr(), 0)) : object;
  if (!PyUnicode_Check(kind.ptr())) refuse(name, object, "None, a name or (name, value)");
  const std::span names = std::span(kActivationNames).subspan(1);  // "none" is written None
  const int index = read_choice(kind, names, name) + 1;
  ActivationChoice choice{static_cast<Activation>(index), kActivationValues[index]};
  if (is_pair) {
    if (choice.value == 0) refuse(name, object, format("'{}' without a value", names[index - 1]));
    choice.value = read_number(PyTuple_GET_ITEM(object.ptr(), 1), name);
  }
  return choice;
}

int read_choice(py::handle object, std::span<const std::string_view> names, ArgName name) {
  if (PyUnicode_Check(object.ptr())) {
    const std::string_view text = read_string(object);
    for (size_t i = 0; i < names.size(); ++i) {
      if (text == names[i]) return static_cast<int>(i);
    }
  }
  refuse(name, object, list_of(names));
}

namespace {

/// A finite number, or an array of one element (a learned parameter).
double read_scalar(py::handle object, ArgName name) {
  PyObject* o = object.ptr();
  if (PyUnicode_Check(o) || PyBytes_Check(o) || is_bool(o) || !PyNumber_Check(o)) {
    refuse(name, object, "a finite number");
  }
  const py::object value = py::reinterpret_steal<py::object>(PyNumber_Float(o));
  if (!value) {
    PyErr_Clear();
    refuse(name, object, "a finite number");
  }
  return read_number(value, name);
}

}  // namespace

std::vector<double> read_numbers(py::handle object, int n, ArgName name) {
  const bool is_given = is_sequence(object.ptr());
  const py::object items = is_given ? items_of(object, name) : py::object();
  if (!is_given) refuse(name, object, n < 0 ? "a sequence of numbers" : format("{} numbers", n));
  if (n >= 0 && length(items) != n) refuse(name, object, format("{} numbers", n));
  std::vector<double> numbers;
  for (py::ssize_t i = 0; i < length(items); ++i) {
    numbers.push_back(read_scalar(item(items, i), name));
  }
  return numbers;
}

std::vector<bool> read_needs(py::handle object, std::span<const std::string_view> inputs,
                             const char* op) {
  const ArgName name{op, "needs"};
  std::vector<bool> found(inputs.size(), object.is_none());
  if (object.is_none()) return found;
  if (PyUnicode_Check(object.ptr()) || !is_sequence(object.ptr())) {
    refuse(name, object, format("None or a sequence of {}", list_of(inputs)));
  }
  const py::object items = items_of(object, name);
  for (py::ssize_t i = 0; i < length(items); ++i) {
    const py::handle text = item(items, i);
    if (PyUnicode_Check(text.ptr())) {
      const auto is_named = [given = read_string(text)](std::string_view input) {
        return given == input || (given.starts_with('d') && given.substr(1) == input);
      };
      const auto at = std::find_if(inputs.begin(), inputs.end(), is_named);
      if (at != inputs.end()) {
        found[static_cast<size_t>(at - inputs.begin())] = true;
        continue;
      }
    }
    refuse(name, object, format("None or a sequence of {}", list_of(inputs)));
  }
  return found;
}

Layout read_layout(py::handle object, const char* op) {
  static constexpr std::string_view kNames[] = {"channels_first", "channels_last"};
  return static_cast<Layout>(read_choice(object, kNames, {op, "layout"}));
}

PaddingMode read_padding_mode(py::handle object, const char* op) {
  static constexpr std::string_view kNames[] = {"zeros", "reflect", "replicate", "circular",
                                                "partial"};
  return static_cast<PaddingMode>(read_choice(object, kNames, {op, "padding_mode"}));
}

}  // namespace swath::python
