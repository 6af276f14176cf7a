// Thread limits of Python calls.
#pragma once

namespace swath::python {

/// The smaller of a call's own limit and that of swath.num_threads on this thread; 0: none.
int combined_thread_limit(int n_threads) noexcept;

}  // namespace swath::python
