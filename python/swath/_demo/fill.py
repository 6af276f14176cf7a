"""Fills the holes of a picture by masked convolutions from coarse to fine; NumPy and swath only.

Down: partial convolutions of stride 2 average the valid pixels of each 4 x 4 window until a level
has no hole left. Up: the holes of each finer level take the enlarged coarser one, and some steps
of smoothing inside the holes alone bend it into the pixels around them. Nothing is learned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import swath
from swath._demo.steps import Image, depthwise

Valid = npt.NDArray[np.bool_]  # (H, W), False in the holes

# Laplacian of nine points. Smoothing descends the bending energy of a thin plate, whose stencil is
# the Laplacian of the Laplacian: a membrane (the Laplacian alone) has a crease along every hole.
LAPLACIAN = np.array([[1, 4, 1], [4, -20, 4], [1, 4, 1]], np.float32) / 20
LARGEST_EIGENVALUE = 1.6**2  # of the plate: the Laplacian's is 1.6, on the chessboard pattern

# Mean PSNR in five patterns of holes in the astronaut: 19.3 dB with 4 steps, 19.5 with 8, 19.6 with
# 16; OpenCV's two methods 18.1.
N_STEPS = 8
EIGENVALUE_RANGE = 300  # patterns with eigenvalues above 1/300 of the largest are damped


class Filler:
    """The convolutions of `__call__`, packed once for pictures of `n_channels`."""

    def __init__(self, n_channels: int) -> None:
        # The window has even sides, so that a coarse pixel lies between four fine ones; with one
        # more row and column of padding at the end odd lengths are rounded up.
        self._shrink = swath.PartialConv2d(
            depthwise(np.full((4, 4), 1 / 16), n_channels),
            stride=2,
            padding=((1, 2), (1, 2)),
            groups=n_channels,
        )
        tent = np.array([1, 3, 3, 1]) / 4
        self._tent = depthwise(np.outer(tent, tent), n_channels)
        self._smooth = [
            swath.Conv2d(
                depthwise(stencil, n_channels),
                padding="same",
                padding_mode="replicate",
                groups=n_channels,
            )
            for stencil in smoothing_stencils()
        ]

    def __call__(self, picture: Image, valid: Valid) -> Image:
        """A copy of (C, H, W) with values of 0 to 1 in the holes; what they held is not read.

        Raises
        ------
        ValueError
            If no pixel is valid.
        """
        *finer, (filled, _) = self.levels(picture, valid)
        for level, known in reversed(finer):
            filled = self._enlarge(filled, level.shape)
            np.copyto(filled, level, where=known)
            for smooth in self._smooth:
                np.copyto(filled, smooth(filled), where=~known)
        np.clip(filled, 0, 1, out=filled, where=~valid)  # a plate overshoots beside steep edges
        return filled

    def levels(self, picture: Image, valid: Valid) -> list[tuple[Image, Valid]]:
        """The picture and its mask (1, H, W), each next one of half the size; the last is whole."""
        if not valid.any():
            raise ValueError("no pixel is valid")
        levels = [(picture, valid[None])]
        while not levels[-1][1].all():
            levels.append(self._shrink(*levels[-1]))
        # Without a hole there is one level: the caller's array, which must not be written to.
        return levels if len(levels) > 1 else [(picture.copy(), valid[None])]

    def _enlarge(self, coarse: Image, shape: tuple[int, ...]) -> Image:
        """Linear interpolation to `shape`, twice the size or one less."""
        around = np.pad(coarse, ((0, 0), (1, 1), (1, 1)), mode="edge")
        fine = swath.conv_transpose2d(
            around, self._tent, stride=2, padding=1, groups=coarse.shape[0]
        )
        return np.array(fine[:, 2 : 2 + shape[1], 2 : 2 + shape[2]])


def smoothing_stencils() -> list[Image]:
    """Stencils 1 - plate / r, one per step, with the roots r of a Chebyshev polynomial.

    Together they damp all patterns of the range alike, which equal steps would need many times
    as many of for.
    """
    plate = swath.conv2d(np.pad(LAPLACIAN, 2)[None], LAPLACIAN[None, None])[0]
    least = LARGEST_EIGENVALUE / EIGENVALUE_RANGE
    angles = np.pi * (2 * np.arange(N_STEPS) + 1) / (2 * N_STEPS)
    middle, half = (LARGEST_EIGENVALUE + least) / 2, (LARGEST_EIGENVALUE - least) / 2
    one = np.zeros_like(plate)
    one[2, 2] = 1
    return [one - plate / r for r in (middle + half * np.cos(angles))[steady_order(N_STEPS)]]


def steady_order(n: int) -> list[int]:
    """0 .. n-1 for a power of two, small and large roots in turn.

    A small root alone amplifies the fine patterns several hundred times; in this order the steps
    before it have damped them.
    """
    order = [0]
    while len(order) < n:
        order = [j for i in order for j in (i, 2 * len(order) - 1 - i)]
    return order


def irregular_holes(h: int, w: int, share: float = 0.2, seed: int = 2) -> Valid:
    """Thick strokes that wander, and a few blobs, over about `share` of the picture."""
    rng = np.random.default_rng(seed)
    valid = np.ones((h, w), np.bool_)
    unit = np.sqrt(h * w) / 512
    for _ in range(4):
        centre = rng.random(2) * (h, w)
        for _ in range(6):
            punch(valid, centre + rng.normal(0, 10 * unit, 2), rng.uniform(6, 14) * unit)
    while 1 - valid.mean() < share:
        at, angle = rng.random(2) * (h, w), rng.uniform(0, 2 * np.pi)
        radius = rng.uniform(2.5, 8)
        for _ in range(rng.integers(30, 90)):
            punch(valid, at, radius * unit)
            angle += rng.normal(0, 0.25)
            radius = np.clip(radius + rng.normal(0, 0.3), 2.5, 9)
            at = at + 3 * unit * np.array([np.sin(angle), np.cos(angle)])
    return valid


def punch(valid: Valid, centre: Image, radius: float) -> None:
    """Make a disk invalid; only the part of it that lies inside the picture."""
    y, x = (
        np.arange(max(int(c - radius), 0), min(max(int(c + radius) + 2, 0), n))
        for c, n in zip(centre, valid.shape, strict=True)
    )
    inside = np.add.outer((y - centre[0]) ** 2, (x - centre[1]) ** 2) <= radius**2
    valid[y[:, None], x[None, :]] &= ~inside
