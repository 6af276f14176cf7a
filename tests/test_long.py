"""What takes minutes: many random calls, and the mutations that the quick tests must notice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from attention_draw import check_draw
from test_fuzz import check_seeds

pytestmark = pytest.mark.long

N_CALLS, N_CHUNKS = 100_000, 50


@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_a_hundred_thousand_random_calls(chunk: int) -> None:
    size = N_CALLS // N_CHUNKS
    check_seeds(range(chunk * size, (chunk + 1) * size))


def test_mutations_are_noticed() -> None:
    script = Path(__file__).parent / "mutation" / "run.py"
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_two_thousand_random_calls_of_attention() -> None:
    for seed in range(1000, 3000):
        check_draw(seed)
