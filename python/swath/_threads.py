"""How many threads calls may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from swath import _core


def set_num_threads(n: int) -> None:
    """Set the number of threads that calls in this process may use, from 1 on.

    The default is what the affinity mask and the container's quota allow. Results do not depend on
    it: they are bitwise the same for any number of threads.

    Examples
    --------
    >>> import swath
    >>> swath.set_num_threads(2)
    """
    _core.set_num_threads(n)


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Limit the calls of the calling thread to ``n`` threads within a ``with`` block.

    It lowers the number of `set_num_threads`, never raises it; other threads are not touched.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 1, 8, 8), np.float32), np.ones((1, 1, 3, 3), np.float32)
    >>> with swath.num_threads(1):
    ...     y = swath.conv2d(x, weight)
    """
    previous = _core.set_thread_limit(_core.check_threads(n))
    try:
        yield
    finally:
        _core.set_thread_limit(previous)
