// The C struct of every operator that is a convolution over windows.
#pragma once

#include <swath/ops/sliding_conv.h>
#include <swath/swath.h>

namespace swath::c {

SlidingConvParams read_conv_params(const char* op, const swath_conv_params* given);

}  // namespace swath::c
