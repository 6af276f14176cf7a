"""OpenCV: filters of one-channel pictures, written into a given picture."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from peers.base import Geometry, Peer, Prepared, Unsupported, geometry, reject, single_plane
from workload import Array, Workload


class OpenCV(Peer):
    name = "opencv"
    version = cv2.__version__

    def set_threads(self, n_threads: int) -> None:
        cv2.setNumThreads(n_threads)

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        reject(workload, "bias", "scale", "shift", "residual", "activation", "channels")
        if workload.function not in ("conv2d", "max_pool2d", "avg_pool2d"):
            raise Unsupported("no such operator")
        if workload.dtype not in ("f32", "f64"):
            raise Unsupported(workload.dtype)
        plane, g = single_plane(workload, values), geometry(workload)
        if not g.is_plain:
            raise Unsupported("stride or dilation")
        if workload.function != "conv2d":
            return pool(workload, g, plane)
        if not g.is_same:
            raise Unsupported("padding")
        kernel, target = values["weight"][0, 0], np.empty_like(plane)
        return Prepared(
            lambda: cv2.filter2D(plane, -1, kernel, target, borderType=cv2.BORDER_CONSTANT),
            lambda y: y[None, None],
        )


def pool(workload: Workload, g: Geometry, plane: Array) -> Prepared:
    """Filters of the whole picture; the windows that reach outside are cut off as a view."""
    if any(pair != (0, 0) for pair in g.pads):
        raise Unsupported("padding")
    target, size = np.empty_like(plane), g.kernel[::-1]
    top, left = ((k - 1) // 2 for k in g.kernel)
    bottom, right = (n - k // 2 for n, k in zip(plane.shape, g.kernel, strict=True))
    anchor = (left, top)
    if workload.function == "avg_pool2d":

        def call() -> Array:
            return cv2.boxFilter(plane, -1, size, target, anchor)
    else:
        window = np.ones(g.kernel, np.uint8)

        def call() -> Array:
            return cv2.dilate(plane, window, target, anchor)

    return Prepared(call, lambda y: y[None, None, top:bottom, left:right])
