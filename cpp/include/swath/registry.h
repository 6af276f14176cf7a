#pragma once

#include <string>
#include <vector>

#include <swath/export.h>

namespace swath {

/// Names of the operators in this build, in manifest order.
SWATH_API std::vector<std::string> operator_names();
/// Kernels of an operator that this machine can run, best first; throws ParamError if unknown.
SWATH_API std::vector<std::string> kernel_names(const std::string& op);
/// Instruction-set clusters that this machine can run, best first.
SWATH_API std::vector<std::string> cluster_names();

/// Restricts selection on the calling thread: a kernel name, a cluster or a variant; "" lifts it.
/// Returns the previous restriction.
SWATH_API std::string force_kernel(const std::string& pattern);

SWATH_API const char* version() noexcept;

}  // namespace swath
