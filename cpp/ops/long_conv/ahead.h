// Memory that will be needed soon, asked for while a row is computed. Included by *.isa.cc only.
#pragma once

#include "ops/long_conv/stage.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Rows that the next task reads and this one writes, fetched into the second cache by pieces, one
/// for each tile of the middle. Without it the transforms wait for each new row: at (2, 256, 4096)
/// a row took 1.15 times as long.
class Ahead {
 public:
  explicit Ahead(int64_t n_tiles) : n_tiles_(n_tiles) {}

  __attribute__((always_inline)) void add(const void* first, int64_t bytes) {
    const char* at = static_cast<const char*>(first);
    streams_[n_++] = {at, at, (bytes + n_tiles_ - 1) / n_tiles_};
  }
  /// Elements [from, from + n) of a row whose elements are side by side.
  template <class S>
  __attribute__((always_inline)) void add_row(const Buffers& b, const RowArray& array,
                                              int64_t batch, int64_t channel, int64_t from,
                                              int64_t n) {
    if (!array.is_present || array.is_acc || array.step != 1 || n <= 0) return;
    add(static_cast<const S*>(b.read(array.ref)) + array.at(batch, channel) + from,
        n * static_cast<int64_t>(sizeof(S)));
  }
  __attribute__((always_inline)) void touch() {
    for (int i = 0; i < n_; ++i) {
      Stream& s = streams_[i];
      for (s.due += s.per_tile; s.at < s.due; s.at += 64) __builtin_prefetch(s.at, 0, 2);
    }
  }

 private:
  struct Stream {
    const char *at, *due;
    int64_t per_tile;
  };
  int64_t n_tiles_;
  int n_ = 0;
  Stream streams_[5];
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
