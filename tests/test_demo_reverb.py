"""The demo ``reverb``: its room, its sounds, what it plays, and what it says of wrong files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import swath
from support import require
from swath import cli
from swath._demo import photo, reverb, room, sound
from swath._demo.failure import DemoFailure

RATE = 8000


def test_a_room_answers_first_by_the_straight_way_and_dies_away() -> None:
    place = room.Room(reverberation=0.4)
    response = room.impulse_response(place, RATE)
    assert response.shape == (2, int(0.4 * RATE))
    for ear, heard in zip((place.left, place.right), response, strict=True):
        straight = np.linalg.norm(np.subtract(place.source, ear)) / room.SPEED_OF_SOUND
        assert abs(np.argmax(np.abs(heard)) - straight * RATE) <= 1
    energy = np.cumsum(response[0, ::-1].astype(np.float64) ** 2)[::-1]
    assert 10 * np.log10(energy[int(0.3 * RATE)] / energy[0]) < -25


@pytest.mark.parametrize("has_recording", [False, True])
def test_the_phrase_needs_no_recording(
    has_recording: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("scipy.io.wavfile")
    if not has_recording:
        monkeypatch.setattr(sound, "find_recording", lambda: None)
    samples, origin = sound.phrase()
    assert samples.shape == (1, int(sound.SECONDS * sound.RATE))
    assert np.abs(samples).max() == 1
    assert origin


def test_sounds_keep_their_samples_through_a_file(tmp_path: Path) -> None:
    wavfile = require("scipy.io.wavfile")
    steps = np.arange(-4, 5, dtype=np.int16).reshape(-1, 1) * 8000
    wavfile.write(tmp_path / "a.wav", RATE, np.hstack([steps, -steps]))
    samples, rate = sound.read_sound(tmp_path / "a.wav")
    assert rate == RATE
    assert np.array_equal(samples, np.stack([steps[:, 0], -steps[:, 0]]) / np.float32(32768))
    sound.write_sound(tmp_path / "b.wav", samples, rate)
    assert np.abs(sound.read_sound(tmp_path / "b.wav")[0]).max() == 32767 / 32768


def test_blocks_are_the_sound_at_once() -> None:
    rng = np.random.default_rng(0)
    response = rng.normal(size=(2, 700)).astype(np.float32)
    u = rng.normal(size=(1, 2, 3001)).astype(np.float32)
    plan = swath.LongConv(response, length=3001)
    played, slowest = reverb.play(plan, u)
    assert slowest > 0
    require("scipy.signal")
    exact = reverb.with_scipy(u, response, np.float64)
    for y in (played, plan(u)):
        error, allowed = reverb.check("blocks", y, exact, u, response)
        assert 0 < error <= allowed
    with pytest.raises(DemoFailure, match="blocks differs from SciPy"):
        reverb.check("blocks", played + 1, exact, u, response)


@pytest.mark.filterwarnings("default")  # what the drawing library deprecates is not our concern
def test_reverb_command_takes_a_recording_and_a_response(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo, "SECONDS_PER_STEP", 0)
    image, wavfile = require("matplotlib.image"), require("scipy.io.wavfile")
    require("rich")
    rng = np.random.default_rng(0)
    dry, response, sheet = (tmp_path / name for name in ("dry.wav", "room.wav", "sheet.png"))
    wavfile.write(dry, RATE, rng.normal(size=6000).astype(np.float32) / 8)
    wavfile.write(response, RATE, rng.normal(size=(900, 2)).astype(np.float32) / 8)
    assert cli.main(["demo", "reverb", str(dry), str(response), "--output", str(sheet)]) == 0
    assert "blocks of 256" in capsys.readouterr().out
    assert image.imread(sheet).shape[2] == 4
    assert sound.read_sound(sheet.with_suffix(".wav"))[0].shape == (2, 6899)


def test_wrong_files_are_told_in_a_line(tmp_path: Path) -> None:
    wavfile = require("scipy.io.wavfile")
    three, other, text = (tmp_path / name for name in ("three.wav", "other.wav", "text.wav"))
    wavfile.write(three, RATE, np.zeros((5, 3), np.float32))
    wavfile.write(other, 2 * RATE, np.zeros(5, np.float32))
    text.write_text("no sound")
    for files, words in (
        ([three], "1 or 2 channels"),
        ([text], "cannot read"),
        ([tmp_path / "absent.wav"], "cannot read"),
        ([other, three], "channels"),
        ([other] * 3, "not 3"),
    ):
        with pytest.raises(DemoFailure, match=words):
            reverb.inputs(files)
