# The one table of instruction-set clusters: best first, name and flags. What a machine must have to
# run a cluster is in core/cpu_features.cc.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(SWATH_CLUSTERS avx512 avx2 baseline)
  set(SWATH_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
                         -mprefer-vector-width=512)
  set(SWATH_FLAGS_avx2 -mavx2 -mfma -mf16c -mno-avx512f)
  set(SWATH_FLAGS_baseline -march=x86-64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(SWATH_CLUSTERS neon)
  set(SWATH_FLAGS_neon "")
else()
  set(SWATH_CLUSTERS baseline)
  set(SWATH_FLAGS_baseline "")
endif()

set(SWATH_SKIP_CLUSTERS "" CACHE STRING "Clusters to leave out, separated by ';'")
list(REMOVE_ITEM SWATH_CLUSTERS ${SWATH_SKIP_CLUSTERS})

# -O2: the kernels are written in vectors, -O3 made the objects 10 to 45 % larger and none faster.
# No exceptions, no contraction (mul_add says where to fuse), no link-time optimisation: an inlined
# copy of one cluster's code must never reach a machine that lacks the cluster.
set(SWATH_ISA_FLAGS -O2 -ffp-contract=off -fno-exceptions -fno-rtti -fno-lto -fno-math-errno
                    -fno-trapping-math -fno-stack-protector -fno-asynchronous-unwind-tables -Wall -Wextra -Wno-unknown-pragmas -Wno-psabi)
set(SWATH_DTYPES "" CACHE STRING "Floating dtypes to build kernels for, separated by ';'; empty: all")
# Sections, so that a program's linker drops what it does not call.
list(APPEND SWATH_ISA_FLAGS -ffunction-sections -fdata-sections)
foreach(dtype IN LISTS SWATH_DTYPES)
  # Nothing reads it: it tells a compiler cache that another kernels.def comes first.
  list(APPEND SWATH_ISA_FLAGS -DSWATH_ONLY_${dtype})
endforeach()
if(SWATH_SANITIZE)
  list(APPEND SWATH_ISA_FLAGS -O1)  # instrumented code takes four times as long to compile at -O3
endif()

# swath_add_isa_sources(target source...): compiles each source once per cluster into the target.
function(swath_add_isa_sources target)
  foreach(isa IN LISTS SWATH_CLUSTERS)
    set(objects ${target}_${isa})
    if(NOT TARGET ${objects})
      add_library(${objects} OBJECT)
      target_compile_definitions(${objects} PRIVATE SWATH_ISA=${isa} SWATH_ISA_IS_${isa})
      target_compile_options(${objects} PRIVATE ${SWATH_ISA_FLAGS} ${SWATH_FLAGS_${isa}})
      target_include_directories(${objects} PRIVATE ${SWATH_INCLUDE_DIRS})
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
    endif()
    target_sources(${objects} PRIVATE ${ARGN})
  endforeach()
endfunction()
