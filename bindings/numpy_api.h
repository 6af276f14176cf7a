// NumPy's C API. Exactly one file (numpy_api.cc) holds the table of its functions.
#pragma once

#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL swath_numpy_api
#ifndef SWATH_HOLDS_NUMPY_API
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

namespace swath::python {

/// Loads the table; called once, before anything else of NumPy. False with a Python error set.
bool import_numpy() noexcept;

inline PyArrayObject* as_ndarray(PyObject* object) noexcept {
  return reinterpret_cast<PyArrayObject*>(object);
}

}  // namespace swath::python
