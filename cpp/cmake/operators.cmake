# Reads the manifest ops/ops.def and generates the kernel tables: per cluster one .isa.cc that lists
# the cluster's kernels of every operator, and one header that lists every operator's tables.
set(manifest ${CMAKE_CURRENT_SOURCE_DIR}/ops/ops.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})
file(STRINGS ${manifest} manifest_lines REGEX "^SWATH_OPERATOR")

set(SWATH_OPERATORS "" CACHE STRING "Operators to build, separated by ';'; empty: all")
set(operators)
foreach(line IN LISTS manifest_lines)
  string(REGEX REPLACE "^SWATH_OPERATOR\\(([^)]*)\\).*" "\\1" entry "${line}")
  string(REPLACE "," ";" entry "${entry}")
  string(REPLACE " " "" entry "${entry}")
  list(POP_FRONT entry name)
  list(APPEND operators ${name})
  set(needs_${name} ${entry})
endforeach()
set(wanted ${SWATH_OPERATORS})
set(unseen ${SWATH_OPERATORS})
while(unseen)
  list(POP_FRONT unseen name)
  if(NOT name IN_LIST operators)
    message(FATAL_ERROR "SWATH_OPERATORS names ${name}, which is none of: ${operators}")
  endif()
  foreach(needed IN LISTS needs_${name})
    if(NOT needed IN_LIST wanted)
      list(APPEND wanted ${needed})
      list(APPEND unseen ${needed})
    endif()
  endforeach()
endwhile()

set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
# With SWATH_DTYPES a shorter kernels.def comes before the operator's own in the include path.
file(REMOVE_RECURSE ${generated}/ops)
set(table_header "#pragma once\n\n#include \"core/kernel.h\"\n\n")
set(table_list "")
set(isa_tables "")
set(operator_sources)
set(isa_sources)
foreach(name IN LISTS operators)
  if(wanted AND NOT name IN_LIST wanted)
    continue()
  endif()
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/ops/${name})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cc)
  set(op_isa ${sources})
  list(FILTER op_isa INCLUDE REGEX "\\.isa\\.cc$")
  list(FILTER sources EXCLUDE REGEX "\\.isa\\.cc$")
  list(APPEND operator_sources ${sources})
  list(APPEND isa_sources ${op_isa})
  set(entry "make_operator(\"${name}\", {")
  if(EXISTS ${folder}/kernels.def)
    if(SWATH_DTYPES)
      string(REPLACE ";" "|" kept "${SWATH_DTYPES}")
      file(STRINGS ${folder}/kernels.def lines REGEX "^SWATH_KERNEL\\([^,]*, *(${kept}|u8|b8|i32|i64),")
      string(REPLACE ";" "\n" lines "${lines}")
      file(CONFIGURE OUTPUT ${generated}/ops/${name}/kernels.def CONTENT "${lines}\n" @ONLY)
    endif()
    foreach(isa IN LISTS SWATH_CLUSTERS)
      string(APPEND table_header
             "namespace swath::${isa} { KernelTable ${name}_kernels() noexcept; }\n")
      string(APPEND entry "${isa}::${name}_kernels(), ")
    endforeach()
    string(APPEND table_header "namespace swath { KernelTable ${name}_reference_kernels() noexcept; }\n")
    string(APPEND entry "${name}_reference_kernels()")
    file(CONFIGURE OUTPUT ${generated}/${name}_table.isa.cc CONTENT [[
#include "core/isa_table.h"

#define SWATH_TABLE_OPERATOR @name@
namespace swath::SWATH_ISA {
#define SWATH_KERNEL(variant, dtype, min_cluster) SWATH_DECLARE_KERNEL(@name@, variant, dtype)
#include "ops/@name@/kernels.def"
#undef SWATH_KERNEL
namespace {
constexpr KernelRecord kRecords[] = {
#define SWATH_KERNEL(variant, dtype, min_cluster) SWATH_KERNEL_RECORD(@name@, variant, dtype)
#include "ops/@name@/kernels.def"
#undef SWATH_KERNEL
};
}  // namespace
KernelTable @name@_kernels() noexcept {
  return {kRecords, static_cast<int>(sizeof(kRecords) / sizeof(kRecords[0]))};
}
}  // namespace swath::SWATH_ISA
]] @ONLY)
    list(APPEND isa_sources ${generated}/${name}_table.isa.cc)
  endif()
  string(APPEND entry "})")
  string(APPEND table_list "  ${entry}, \\\n")
endforeach()
file(CONFIGURE OUTPUT ${generated}/operator_tables.h
     CONTENT "${table_header}\n#define SWATH_OPERATOR_TABLES \\\n${table_list}\n" @ONLY)
set(clusters_def "")
foreach(isa IN LISTS SWATH_CLUSTERS)
  string(APPEND clusters_def "SWATH_CLUSTER(${isa})\n")
endforeach()
file(CONFIGURE OUTPUT ${generated}/clusters.def CONTENT "${clusters_def}" @ONLY)
