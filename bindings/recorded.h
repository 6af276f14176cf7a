// Recorded calls: the plan that a Python function ran, kept to be run again without Python on other
// arrays of the same shapes. Compiled programs of JAX call these.
#pragma once

#include <span>

#include <swath/plan.h>

namespace swath::python {

bool is_recording() noexcept;
/// Notes a run of the function that this thread records.
void note_run(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs,
              int max_threads);
/// The function does what no plan holds.
void refuse_recording() noexcept;

}  // namespace swath::python
