// info.explain: the next call on this thread is planned and described instead of run.
#pragma once

#include <string>
#include <vector>

#include <swath/plan.h>

namespace swath::python {

bool is_explaining() noexcept;
void record_explanation(const char* op, const Plan& plan, std::vector<std::string> copies,
                        int n_threads);

}  // namespace swath::python
