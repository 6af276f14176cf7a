#include "core/cpu_features.h"

#include <cstdlib>
#include <cstring>

namespace swath {
namespace {

bool machine_has(Cluster cluster) noexcept {
  switch (cluster) {
    case Cluster::reference:
    case Cluster::baseline:
      return true;
#if defined(__x86_64__)
    case Cluster::avx2:
      // Every CPU with AVX2 has F16C, which clang 14 does not know by name here.
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Cluster::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             machine_has(Cluster::avx2);
#elif defined(__aarch64__)
    case Cluster::neon:
      return true;
#endif
    default:
      return false;
  }
}

/// SWATH_MAX_ISA names the best cluster that may be used; anything unknown is ignored.
Cluster max_cluster() noexcept {
  const char* limit = std::getenv("SWATH_MAX_ISA");
  if (limit != nullptr) {
    for (Cluster c :
         {Cluster::reference, Cluster::baseline, Cluster::neon, Cluster::avx2, Cluster::avx512}) {
      if (std::strcmp(limit, name_of(c)) == 0) return c;
    }
  }
  return Cluster::avx512;
}

}  // namespace

const char* name_of(Cluster cluster) noexcept {
  switch (cluster) {
    case Cluster::reference:
      return "reference";
    case Cluster::baseline:
      return "baseline";
    case Cluster::neon:
      return "neon";
    case Cluster::avx2:
      return "avx2";
    case Cluster::avx512:
      return "avx512";
  }
  return "?";
}

bool cluster_enabled(Cluster cluster) noexcept {
  static const Cluster limit = max_cluster();
  return cluster <= limit && machine_has(cluster);
}

std::vector<Cluster> enabled_clusters() {
  std::vector<Cluster> found;
  for (Cluster c : {
#define SWATH_CLUSTER(name) Cluster::name,
#include "clusters.def"
#undef SWATH_CLUSTER
       }) {
    if (cluster_enabled(c)) found.push_back(c);
  }
  return found;
}

std::vector<std::pair<std::string, std::string>> cpu_facts() {
  std::vector<std::pair<std::string, std::string>> facts;
#if defined(__x86_64__)
  facts.emplace_back("architecture", "x86-64");
#define SWATH_FEATURE(name) facts.emplace_back(#name, __builtin_cpu_supports(#name) ? "yes" : "no");
  SWATH_FEATURE(avx2)
  SWATH_FEATURE(fma)
  SWATH_FEATURE(avx512f)
  SWATH_FEATURE(avx512bw)
  SWATH_FEATURE(avx512dq)
  SWATH_FEATURE(avx512vl)
  SWATH_FEATURE(avx512vnni)
  SWATH_FEATURE(avx512bf16)
#undef SWATH_FEATURE
#elif defined(__aarch64__)
  facts.emplace_back("architecture", "aarch64");
#endif
  std::string names;
  for (Cluster c : enabled_clusters())
    names += (names.empty() ? "" : " ") + std::string(name_of(c));
  facts.emplace_back("clusters", names);
  return facts;
}

}  // namespace swath
