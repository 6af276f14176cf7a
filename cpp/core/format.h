#pragma once

#include <sstream>
#include <string>
#include <string_view>

#include <swath/tensor.h>

namespace swath {

inline void format_rest(std::ostringstream& out, std::string_view text) { out << text; }

template <class First, class... Rest>
void format_rest(std::ostringstream& out, std::string_view text, const First& first,
                 const Rest&... rest) {
  const size_t at = text.find("{}");
  if (at == std::string_view::npos) {
    out << text;
    return;
  }
  out << text.substr(0, at) << first;
  format_rest(out, text.substr(at + 2), rest...);
}

/// Replaces each "{}" by the next argument (std::format is not in GCC 12).
template <class... Args>
std::string format(std::string_view text, const Args&... args) {
  std::ostringstream out;
  format_rest(out, text, args...);
  return out.str();
}

/// "(2, 8, 9, 9)", as Python prints a shape.
std::string shape_text(const int64_t* shape, int rank);
inline std::string shape_text(const TensorDesc& d) { return shape_text(d.shape.data(), d.rank); }

}  // namespace swath
