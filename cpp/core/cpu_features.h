#pragma once

#include <string>
#include <vector>

#include "core/kernel.h"

namespace swath {

const char* name_of(Cluster cluster) noexcept;
/// Whether this machine, and SWATH_MAX_ISA if set, allow the cluster.
bool cluster_enabled(Cluster cluster) noexcept;
/// Clusters in this build that are enabled, best first, without the reference.
std::vector<Cluster> enabled_clusters();
/// Human-readable facts: cpu features that matter and the cache sizes used for blocking.
std::vector<std::pair<std::string, std::string>> cpu_facts();

}  // namespace swath
