// What protects the classes of plans and states from objects whose constructor never ran.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>

namespace swath::python {

namespace py = pybind11;

class Made {
 public:
  /// pybind11 hands methods raw memory from here when no constructor has finished (an object of
  /// Conv2d.__new__): zeros, so that `checked` can tell.
  __attribute__((noinline)) static void* operator new(size_t n);
  __attribute__((noinline)) static void operator delete(void* p) noexcept;

  /// Throws TypeError if no constructor has finished.
  template <class P>
  static P& checked(P& object) {
    if (!object.is_made_) throw py::type_error("this object's constructor has not finished");
    return object;
  }

 protected:
  void set_made() { is_made_ = true; }

 private:
  bool is_made_ = false;
};

}  // namespace swath::python
