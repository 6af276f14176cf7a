// Constants of the ring transform, made once for each size and kept.
#pragma once

#include <memory>

#include "ops/long_conv/problem.h"

namespace swath {

/// The smallest size that is a multiple of kMinRing and of the form 2^a {1, 3, 5}, at least n.
int64_t next_ring(int64_t n);
/// Every cluster's transform ends in tiles of lanes x lanes elements; 16 lanes are the most.
inline constexpr int64_t kMinRing = 256;

/// `dtype` f32 or f64; `lanes` of the vectors that the kernel computes with.
std::shared_ptr<const RingTables> ring_tables(int64_t n, int lanes, DType dtype);

}  // namespace swath
