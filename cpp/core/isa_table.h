// Macros for the generated kernel tables: one line of kernels.def becomes one record per cluster.
#pragma once

#include "core/kernel.h"

#define SWATH_TEXT_(x) #x
#define SWATH_TEXT(x) SWATH_TEXT_(x)

#define SWATH_DECLARE_KERNEL(op, variant, dtype) extern const KernelFns op##_##variant##_##dtype;

#define SWATH_KERNEL_RECORD(op, variant, dtype)                                            \
  {SWATH_TEXT(op) "_" SWATH_TEXT(dtype) "_" SWATH_TEXT(SWATH_ISA) "_" SWATH_TEXT(variant), \
   SWATH_TEXT(variant),                                                                    \
   DType::dtype,                                                                           \
   Cluster::SWATH_ISA,                                                                     \
   DeviceType::cpu,                                                                        \
   &op##_##variant##_##dtype},
