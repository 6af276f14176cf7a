#define SWATH_HOLDS_NUMPY_API
#include "numpy_api.h"

namespace swath::python {

bool import_numpy() noexcept { return _import_array() == 0; }

}  // namespace swath::python
