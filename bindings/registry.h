#pragma once

namespace swath::python {

/// Whether testing.force_kernel is in force on this thread; plans then bypass their cache.
bool is_kernel_forced() noexcept;

}  // namespace swath::python
