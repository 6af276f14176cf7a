// Everything public, for programs that do not count includes.
#pragma once

#include <swath/error.h>
#include <swath/executor.h>
#include <swath/plan.h>
#include <swath/registry.h>
#include <swath/tensor.h>

#include <swath/ops/attention.h>
#include <swath/ops/attention_backward.h>
#include <swath/ops/band_split.h>
#include <swath/ops/conv_backward.h>
#include <swath/ops/dynamic_conv.h>
#include <swath/ops/gated_conv.h>
#include <swath/ops/gates.h>
#include <swath/ops/linear_attention.h>
#include <swath/ops/long_conv.h>
#include <swath/ops/long_conv2d.h>
#include <swath/ops/merge_attention.h>
#include <swath/ops/partial_conv.h>
#include <swath/ops/pooling.h>
#include <swath/ops/select_blocks.h>
#include <swath/ops/sliding_conv.h>
#include <swath/ops/space_to_depth.h>
#include <swath/ops/tokens.h>
