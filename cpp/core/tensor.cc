#include <swath/tensor.h>

#include "core/format.h"

namespace swath {

const char* name_of(DType dtype) noexcept {
  switch (dtype) {
#define SWATH_DTYPE(name, bytes) \
  case DType::name:              \
    return #name;
#include <swath/dtypes.def>
#undef SWATH_DTYPE
  }
  return "?";
}

int64_t item_bytes(DType dtype) noexcept {
  switch (dtype) {
#define SWATH_DTYPE(name, bytes) \
  case DType::name:              \
    return bytes;
#include <swath/dtypes.def>
#undef SWATH_DTYPE
  }
  return 0;
}

TensorDesc contiguous_desc(DType dtype, const int64_t* shape, int rank) {
  TensorDesc desc;
  desc.dtype = dtype;
  desc.rank = rank;
  int64_t stride = 1;
  for (int i = rank - 1; i >= 0; --i) {
    desc.shape[i] = shape[i];
    desc.strides[i] = stride;
    stride *= shape[i] > 0 ? shape[i] : 1;
  }
  return desc;
}

TensorDesc contiguous_desc(DType dtype, std::initializer_list<int64_t> shape) {
  return contiguous_desc(dtype, shape.begin(), static_cast<int>(shape.size()));
}

std::string shape_text(const int64_t* shape, int rank) {
  std::ostringstream out;
  out << '(';
  for (int i = 0; i < rank; ++i) out << (i ? ", " : "") << shape[i];
  out << (rank == 1 ? ",)" : ")");
  return out.str();
}

}  // namespace swath
