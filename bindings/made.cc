#include "made.h"

#include <cstdlib>
#include <new>

namespace swath::python {

void* Made::operator new(size_t n) {
  void* p = std::calloc(1, n);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

void Made::operator delete(void* p) noexcept { std::free(p); }

}  // namespace swath::python
