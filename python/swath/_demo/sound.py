"""Sound files, and the phrase that is played when no file is given."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import numpy as np

from swath._demo.failure import DemoFailure, optional
from swath._demo.room import Samples

RATE = 44100
MAX_CHANNELS = 2
# A phrase of eight notes: semitones above the plucked string, and when each begins in seconds.
NOTES = ((0, 0.0), (7, 0.35), (12, 0.7), (16, 1.05), (19, 1.4), (16, 1.75), (12, 2.1), (0, 2.6))
SECONDS = 4.0
STRING_HZ = 147.0


def read_sound(file: Path) -> tuple[Samples, int]:
    """A WAV file as float32 (channels, time) in -1..1, and its rate."""
    try:
        rate, samples = optional("scipy.io.wavfile").read(file)
    except (OSError, ValueError) as error:
        raise DemoFailure(f"cannot read {file} as a WAV file: {error}") from None
    if samples.ndim == 1:
        samples = samples[:, None]
    if not 0 < samples.shape[1] <= MAX_CHANNELS or samples.shape[0] == 0:
        n, c = samples.shape
        raise DemoFailure(f"{file} has {n} samples of {c} channels; needed are 1 or 2 channels")
    return _as_float(samples).T.copy(), int(rate)


def _as_float(samples: Samples) -> Samples:
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        return (samples / float(-np.iinfo(samples.dtype).min)).astype(np.float32)
    return samples.astype(np.float32)


def write_sound(file: Path, samples: Samples, rate: int) -> None:
    """16-bit WAV, scaled so that the loudest sample just fits."""
    pcm = np.rint(samples.T * (32767 / max(float(np.abs(samples).max()), 1e-9)))
    try:
        optional("scipy.io.wavfile").write(file, rate, pcm.astype(np.int16))
    except OSError as error:
        raise DemoFailure(f"cannot write {file}: {error.strerror}") from None


def phrase() -> tuple[Samples, str]:
    """Four seconds of a plucked string, (1, time) at RATE, and where the string comes from."""
    recording = find_recording()
    if recording is None:
        string, origin = plucked_string(), "a plucked string (Karplus and Strong 1983)"
    else:
        samples, rate = read_sound(recording)
        string = _resample(samples.mean(axis=0), rate / RATE)
        origin = f"a phrase on {recording.name} of Python {sys.version_info.major}'s own tests"
    out = np.zeros(int(SECONDS * RATE), np.float32)
    for semitones, begin in NOTES:
        note = _resample(string, 2 ** (semitones / 12))
        start = int(begin * RATE)
        end = min(start + note.size, out.size)
        out[start:end] += note[: end - start]
    return (out / np.abs(out).max())[None], origin


def find_recording() -> Path | None:
    """The recorded string that most Python distributions carry for their tests."""
    folder = Path(sysconfig.get_path("stdlib")) / "test" / "audiodata"
    file = folder / "pluck-pcm16.wav"
    return file if file.is_file() else None


def plucked_string(seconds: float = 1.0) -> Samples:
    """Noise that runs round a delay line and is averaged on its way."""
    n = round(RATE / STRING_HZ)
    line = np.random.default_rng(1).uniform(-1, 1, n)
    rounds = [line]
    for _ in range(int(seconds * RATE / n)):
        line = 0.498 * (line + np.roll(line, 1))
        rounds.append(line)
    return np.concatenate(rounds).astype(np.float32)


def _resample(sound: Samples, step: float) -> Samples:
    """Read at `step` samples per sample, between samples linearly."""
    at = np.arange(0, sound.size - 1, step)
    return np.asarray(np.interp(at, np.arange(sound.size), sound), np.float32)
