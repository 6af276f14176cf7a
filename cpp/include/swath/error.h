#pragma once

#include <stdexcept>
#include <string>

#include <swath/export.h>

namespace swath {

enum class ErrorCode {
#define SWATH_ERROR(code, python_class, python_base) code,
#include <swath/errors.def>
#undef SWATH_ERROR
};

/// What every failure throws: "<op>: <sentence that names the argument, what was found and
/// needed>".
class SWATH_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string op, std::string arg, const std::string& message)
      : std::runtime_error(op + ": " + message),
        code_(code),
        op_(std::move(op)),
        arg_(std::move(arg)) {}
  ErrorCode code() const noexcept { return code_; }
  const std::string& op() const noexcept { return op_; }
  const std::string& arg() const noexcept { return arg_; }

 private:
  ErrorCode code_;
  std::string op_, arg_;
};

}  // namespace swath
