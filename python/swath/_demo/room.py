"""Impulse response of a box-shaped room by the image-source method (Allen and Berkley 1979)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[Any]  # (channels, time)
SPEED_OF_SOUND = 343.0  # metres per second, in air of 20 degrees
DECAY = 10**-6  # of the energy, after the reverberation time
RESPONSE_CUT_HZ = 20.0  # images of one sign add up to an offset that no microphone would record


@dataclass(frozen=True)
class Room:
    """Metres and seconds; the defaults are a small hall heard from its middle.

    Attributes
    ----------
    reverberation : float
        Seconds in which a sound falls by 60 dB.
    """

    size: tuple[float, float, float] = (11.0, 16.0, 6.5)
    source: tuple[float, float, float] = (4.1, 3.2, 1.5)
    left: tuple[float, float, float] = (5.6, 9.7, 1.6)
    right: tuple[float, float, float] = (5.8, 9.7, 1.6)
    reverberation: float = 1.4

    @property
    def reflection(self) -> float:
        """Share of the pressure that a wall gives back, by Eyring's formula."""
        x, y, z = self.size
        volume, surface = x * y * z, 2 * (x * y + y * z + z * x)
        absorbed_log = 24 * np.log(10) * volume / (SPEED_OF_SOUND * surface * self.reverberation)
        return float(np.exp(-absorbed_log / 2))


def impulse_response(room: Room, rate: int) -> Samples:
    """What two microphones record of a click: float32 (2, rate * reverberation).

    A wall is a mirror: each reflection is a copy of the source behind the walls, at distance d,
    heard d / c later and 1/d as loud, times the wall's reflection for each wall in between. All
    copies that are heard within the reverberation time are added, between samples linearly.
    """
    n = int(rate * room.reverberation)
    response = np.stack([_at(np.array(ear), room, rate, n) for ear in (room.left, room.right)])
    frequency = np.fft.rfftfreq(n, 1 / rate)
    high_pass = 1 / (1 + (RESPONSE_CUT_HZ / np.maximum(frequency, 1e-9)) ** 4)
    response = np.fft.irfft(np.fft.rfft(response) * high_pass, n)
    return np.asarray(response / np.abs(response).max(), np.float32)


def _at(ear: Samples, room: Room, rate: int, n: int) -> Samples:
    """The click at one place, by rows of images along x."""
    reach = n / rate * SPEED_OF_SOUND
    size, source = np.array(room.size), np.array(room.source)
    counts = [int(reach // (2 * length)) + 1 for length in size]
    # image 2m of an axis lies at 2 m L + s behind |2m| walls, image 2m - 1 at 2 m L - s
    axes = []
    for length, at, count, place in zip(size, source, counts, ear, strict=True):
        m = np.arange(-count, count + 1)
        offset = np.concatenate([2 * m * length + at, 2 * m * length - at]) - place
        axes.append((offset, np.concatenate([abs(2 * m), abs(2 * m - 1)])))
    (dx, walls_x), (dy, walls_y), (dz, walls_z) = axes
    response = np.zeros(n + 2)
    for offset, walls in zip(dx, walls_x, strict=True):
        distance = np.sqrt(offset**2 + dy[:, None] ** 2 + dz[None, :] ** 2).ravel()
        loss = room.reflection ** (walls + walls_y[:, None] + walls_z[None, :]).ravel()
        arrival = distance * (rate / SPEED_OF_SOUND)
        heard = arrival < n
        arrival, strength = arrival[heard], (loss / distance)[heard]
        sample = arrival.astype(np.int64)
        later = arrival - sample
        response += np.bincount(sample, strength * (1 - later), n + 2)
        response += np.bincount(sample + 1, strength * later, n + 2)
    return response[:n]
