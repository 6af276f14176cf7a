// Python classes for every line of errors.def, and the translation of C++ exceptions into them.
#include <swath/error.h>

#include <array>
#include <new>

#include "bindings.h"

namespace swath::python {
namespace {

constexpr int kErrorKinds = 0
#define SWATH_ERROR(code, python_class, python_base) +1
#include <swath/errors.def>
#undef SWATH_ERROR
    ;

/// The class of each ErrorCode. Never released: they must outlive every translated exception.
std::array<PyObject*, kErrorKinds> g_classes{};

py::object make_class(const char* name, const char* doc, const py::object& bases) {
  py::dict attributes;
  attributes["op"] = "";
  attributes["arg"] = "";
  return py::reinterpret_steal<py::object>(
      PyErr_NewExceptionWithDoc(name, doc, bases.ptr(), attributes.ptr()));
}

void raise(const Error& error) {
  const py::handle cls = g_classes[static_cast<size_t>(error.code())];
  py::object instance = cls(py::str(error.what()));
  instance.attr("op") = error.op();
  instance.attr("arg") = error.arg();
  PyErr_SetObject(cls.ptr(), instance.ptr());
}

void translate(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const Error& error) {
    raise(error);
  } catch (const std::bad_alloc&) {
    raise(Error(ErrorCode::out_of_memory, "swath", "", "cannot allocate memory"));
  }
}

}  // namespace

void bind_errors(py::module_& m) {
  const py::object base = make_class(
      "swath.Error", "Base of all errors of swath; .op and .arg name the function and argument.",
      py::reinterpret_borrow<py::object>(PyExc_Exception));
  m.attr("Error") = base;
#define SWATH_ERROR(code, python_class, python_base)                                             \
  {                                                                                              \
    const py::handle builtin = PyExc_##python_base;                                              \
    py::object cls = make_class("swath." #python_class, nullptr, py::make_tuple(base, builtin)); \
    m.attr(#python_class) = cls;                                                                 \
    g_classes[static_cast<size_t>(ErrorCode::code)] = cls.release().ptr();                       \
  }
#include <swath/errors.def>
#undef SWATH_ERROR
  py::register_local_exception_translator(translate);
}

}  // namespace swath::python
