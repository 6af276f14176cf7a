// What the files of the C interface share: no exception leaves them, arrays and structs are read by
// one rule.
#pragma once

#include <swath/error.h>
#include <swath/ops/common.h>
#include <swath/plan.h>
#include <swath/swath.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/format.h"

struct swath_plan {
  struct Input {
    const char* name;
    int slot;       // of the plan's run()
    bool is_given;  // it had a description
  };
  swath::Plan plan;
  std::vector<Input> inputs;
};

namespace swath::c {

/// Inside a catch block: makes the exception the calling thread's last error.
swath_status note_exception(const char* op) noexcept;

/// Runs `body`; what it throws becomes the status.
template <class F>
swath_status guarded(const char* op, const F& body) noexcept {
  try {
    body();
    return SWATH_OK;
  } catch (...) {
    return note_exception(op);
  }
}

/// The arrays of a call in the order of the C function's arguments.
class Arrays {
 public:
  explicit Arrays(const char* op) : op_(op) { descs_.reserve(kMost); }
  /// Null stays null, unless it is needed.
  const TensorDesc* optional(const char* name, const swath_array* array, int slot);
  const TensorDesc& needed(const char* name, const swath_array* array, int slot);
  std::vector<swath_plan::Input> inputs;

 private:
  static constexpr size_t kMost = 8;  // descriptions must not move
  const char* op_;
  std::vector<TensorDesc> descs_;
};

/// Makes *plan of what `body` plans.
swath_status make_plan(const char* op, swath_plan** plan,
                       const std::function<Plan(Arrays&)>& body) noexcept;

/// A caller's struct as this version knows it: fields that the caller's version lacks are zero.
template <class T>
T read_struct(const char* op, const char* name, const T* given) {
  T found{};
  if (given == nullptr) return found;
  size_t size = 0;
  std::memcpy(&size, given, sizeof(size));
  if (size < sizeof(size)) {
    throw Error(ErrorCode::param, op, name,
                format("struct_size of {} is {}, needed is sizeof({})", name, size, name));
  }
  std::memcpy(&found, given, std::min(size, sizeof(T)));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] == 0) continue;
    throw Error(ErrorCode::unsupported, op, name,
                format("{} has a field that this version of swath does not know", name));
  }
  return found;
}

/// A number of a C enumeration, of which there are `n`.
template <class E>
E read_enum(const char* op, const char* name, int32_t value, int n) {
  if (value < 0 || value >= n) {
    throw Error(ErrorCode::param, op, name,
                format("{} is {}, needed is a number from 0 to {}", name, value, n - 1));
  }
  return static_cast<E>(value);
}

constexpr int kActivations = 0
#define SWATH_ACTIVATION(name, value) +1
#include <swath/activation.def>
#undef SWATH_ACTIVATION
    ;
/// `value`, or the activation's usual one for 0.
double activation_value(Activation activation, double value) noexcept;

inline Layout read_layout(const char* op, swath_layout layout) {
  return read_enum<Layout>(op, "layout", layout, 2);
}

/// Numbers per axis where 0 stands for 1.
template <size_t kN>
Extents read_extents(const int64_t (&given)[kN]) {
  Extents found{1, 1, 1};
  for (size_t i = 0; i < kN; ++i) found[i] = given[i] == 0 ? 1 : given[i];
  return found;
}

template <size_t kN>
Padding read_padding(const char* op, swath_padding_rule rule, const int64_t (&pairs)[kN][2]) {
  Padding found{read_enum<PaddingRule>(op, "padding_rule", rule, 5), {}};
  for (size_t i = 0; i < kN; ++i) found.pairs[i] = {pairs[i][0], pairs[i][1]};
  return found;
}

}  // namespace swath::c
