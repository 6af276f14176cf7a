"""The demo ``reverb``: convolution reverb of a recording, at once and in blocks as it is played."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

import swath
from swath._demo.failure import DemoFailure, optional
from swath._demo.photo import best_times
from swath._demo.room import Room, Samples, impulse_response
from swath._demo.sheet import DPI, FAINT, INK, PAPER
from swath._demo.sound import RATE, phrase, read_sound, write_sound

BLOCK = 256  # samples: 6 ms at 44.1 kHz
WINDOW, HOP = 2048, 512  # of the spectrogram
FLOOR_DECIBELS = -90.0


def run(files: Sequence[Path], output: Path) -> None:
    """Play `files` (recording, impulse response; either may be left out) in a room."""
    console = optional("rich.console").Console(highlight=False)
    table = optional("rich.table").Table(box=optional("rich.box").SIMPLE, pad_edge=False)
    dry, response, rate, note = inputs(files)
    # the sound goes on until the room is silent
    u = np.pad(dry, ((0, 0), (0, response.shape[1] - 1)))[None]
    seconds = u.shape[2] / rate
    console.print(note)
    console.print(f"{seconds:.1f} s at {rate} Hz, {response.shape[1]} taps, {len(response)} ears")

    with swath.num_threads(1):
        plan = swath.LongConv(response, length=u.shape[2])
        wet = plan(u)
        played, slowest = play(plan, u)
        exact = with_scipy(u, response, np.float64)
        errors = {"at once": wet, f"blocks of {BLOCK}": played}
        bounds = {name: check(name, y, exact, u, response) for name, y in errors.items()}
        with console.status("timing"):
            times = best_times(
                partial(plan, u), lambda: play(plan, u), partial(with_scipy, u, response, u.dtype)
            )
    for heading in ("method", "ms", "real time", "error", "allowed"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for (name, (error, allowed)), spent in zip(bounds.items(), times, strict=False):
        table.add_row(name, *_speed(spent, seconds), f"{error:.0e}", f"{allowed:.0e}")
    table.add_row("SciPy, oaconvolve", *_speed(times[2], seconds), "", "")
    console.print(table)
    console.print(
        "Real time: seconds of sound per second of work, one thread, float32. The error is the\n"
        "root of the summed squares against SciPy in float64, over |response| |sound|.\n"
        f"A block lasts {BLOCK / rate * 1e3:.1f} ms and is answered with no delay beyond it; "
        f"the slowest took {slowest * 1e3:.2f} ms."
    )
    wav = output.with_suffix(".wav")
    write_sound(wav, wet[0], rate)
    write_sheet(dry, response, wet[0], rate, output)
    console.print(f"wrote {output} and {wav}")


def inputs(files: Sequence[Path]) -> tuple[Samples, Samples, int, str]:
    """Recording and response with the same number of channels, their rate, and a line on both."""
    if len(files) > 2:
        raise DemoFailure(f"reverb takes a recording and an impulse response, not {len(files)}")
    if files:
        dry, rate = read_sound(files[0])
        origin = str(files[0])
    else:
        (dry, origin), rate = phrase(), RATE
    if len(files) == 2:
        response, response_rate = read_sound(files[1])
        if response_rate != rate:
            raise DemoFailure(f"{files[0]} has {rate} Hz, {files[1]} {response_rate} Hz")
        place = str(files[1])
    else:
        room = Room()
        response = impulse_response(room, rate)
        x, y, z = room.size
        place = f"a room of {x:g} x {y:g} x {z:g} m, {room.reverberation:g} s (image sources)"
    channels = max(len(dry), len(response))
    dry, response = (np.repeat(a, channels // len(a), axis=0) for a in (dry, response))
    return dry, response, rate, f"{origin}, in {place}"


def play(plan: swath.LongConv, u: Samples) -> tuple[Samples, float]:
    """The sound block by block, as a player would ask for it, and the slowest block's seconds."""
    state = plan.init_state(1)
    y = np.empty_like(u)
    slowest = 0.0
    for start in range(0, u.shape[2], BLOCK):
        begin = time.perf_counter()
        block, state = plan.step(u[:, :, start : start + BLOCK], state)
        slowest = max(slowest, time.perf_counter() - begin)
        y[:, :, start : start + BLOCK] = block
    return y, slowest


def with_scipy(u: Samples, response: Samples, dtype: np.dtype[np.floating] | type) -> Samples:
    oaconvolve = optional("scipy.signal").oaconvolve
    y = oaconvolve(u.astype(dtype), response[None].astype(dtype), axes=2)
    return np.asarray(y[:, :, : u.shape[2]])


def check(name: str, y: Samples, exact: Samples, u: Samples, k: Samples) -> tuple[float, float]:
    """Error and bound of the worst channel; above the bound, the demo ends."""
    scale = np.linalg.norm(u[0].astype(np.float64), axis=1) * np.linalg.norm(k, axis=1)
    error = float((np.linalg.norm((y - exact)[0], axis=1) / np.maximum(scale, 1e-30)).max())
    allowed = swath.testing.tolerance(np.float32, u.shape[2])
    if not error <= allowed:
        raise DemoFailure(f"{name} differs from SciPy by {error:.2e}; allowed is {allowed:.2e}")
    return error, allowed


def _speed(spent: float, seconds: float) -> tuple[str, str]:
    return f"{spent * 1e3:.1f}", f"{seconds / spent:.0f}x"


def write_sheet(dry: Samples, response: Samples, wet: Samples, rate: int, output: Path) -> None:
    """Waveform above spectrogram, for the recording, the room and the result."""
    figure = optional("matplotlib.figure").Figure(figsize=(15, 6.6), dpi=DPI, facecolor=PAPER)
    axes = figure.subplots(2, 3, height_ratios=(1, 2))
    columns = (("Recording", dry), ("Room", response), ("Recording in the room", wet))
    for (title, sound), (wave, spectrum) in zip(columns, axes.T, strict=True):
        end = sound.shape[1] / rate
        peak = max(float(np.abs(sound).max()), 1e-9)
        wave.plot(np.arange(sound.shape[1]) / rate, sound[0] / peak, lw=0.4, color=INK)
        wave.set(xlim=(0, end), ylim=(-1.05, 1.05), xticks=[], yticks=[])
        wave.set_title(title, loc="left", size=14, weight="bold", color=INK)
        spectrum.imshow(
            spectrogram(sound[0]),
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=(0, end, 0, rate / 2000),
            vmin=FLOOR_DECIBELS,
            vmax=0,
        )
        spectrum.set_xlabel("seconds", color=FAINT)
        spectrum.set_ylabel("kHz", color=FAINT)
        for panel in (wave, spectrum):
            panel.tick_params(colors=FAINT)
            for side in panel.spines.values():
                side.set_visible(False)
    figure.tight_layout()
    try:
        figure.savefig(output, facecolor=PAPER)
    except OSError as error:
        raise DemoFailure(f"cannot write {output}: {error.strerror}") from None


def spectrogram(sound: Samples) -> Samples:
    """Decibels below the loudest, (frequency, time)."""
    padded = np.pad(sound, (WINDOW // 2, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2
    level = 10 * np.log10(np.maximum(power / max(power.max(), 1e-30), 10 ** (FLOOR_DECIBELS / 10)))
    return np.asarray(level.T)
