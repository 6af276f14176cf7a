"""Many Python threads at once, plans shared between them, and children after fork."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import swath
from cases.case import Case
from support import assert_same_bits

CASES = [
    Case("dense", "conv2d", (1, 24, 30, 40), (32, 24, 3, 3), {"padding": 1}, ("bias",)),
    Case("depthwise", "conv2d", (2, 32, 30, 40), (32, 1, 5, 5), {"padding": 2, "groups": 32}),
    Case("filter", "conv2d", (1, 1, 100, 200), (1, 1, 9, 9), {"padding": 4}),
    Case("rows", "conv1d", (2, 16, 3000), (16, 1, 4), {"padding": "causal", "groups": 16}),
    Case("pool", "max_pool2d", (2, 16, 60, 60), None, {"window": 3}),
]


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_from_many_threads_do_not_disturb_each_other(threads: int) -> None:
    inputs = [case.inputs("f32") for case in CASES]
    expected = [c.run(swath, a, threads=1) for c, a in zip(CASES, inputs, strict=True)]

    def work(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(len(CASES), size=25):
            assert_same_bits(CASES[i].run(swath, inputs[i], threads=threads), expected[i])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_one_plan_serves_many_threads() -> None:
    arrays = CASES[0].inputs("f32")
    plan = swath.Conv2d(arrays["weight"], arrays["bias"], padding=1)
    expected = plan(arrays["x"])

    def work(_: int) -> None:
        for _ in range(20):
            assert_same_bits(plan(arrays["x"]), expected)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_settings_of_one_thread_do_not_reach_another() -> None:
    kernel = "sliding_conv_f32_reference"
    x, w = np.ones((1, 4, 12, 20), np.float32), np.ones((8, 4, 3, 3), np.float32)
    seen = []
    with swath.testing.force_kernel(kernel):
        other = threading.Thread(
            target=lambda: seen.append(str(swath.info.explain(swath.conv2d, x, w)))
        )
        other.start()
        other.join()
    assert seen == [str(swath.info.explain(swath.conv2d, x, w))]


_FORK = """
import os, sys, signal
import numpy as np
import swath
rng = np.random.default_rng(0)
x = rng.normal(size=(2, 16, 64, 80)).astype(np.float32)
w = rng.normal(size=(24, 16, 3, 3)).astype(np.float32)
plan = swath.Conv2d(w, padding=1)
swath.set_num_threads(3)
expected = plan(x)
for _ in range(3):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        same = all(
            np.array_equal(f(), expected)
            for f in (lambda: plan(x), lambda: swath.conv2d(x, w, padding=1))
        )
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if np.array_equal(plan(x), expected) else 1)
        same &= os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(plan(x), expected)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
def test_children_compute_after_fork() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr


_EXIT = """
import threading
import numpy as np
import swath
x, w = np.ones((1, 16, 64, 64), np.float32), np.ones((16, 16, 3, 3), np.float32)
def work():
    while True:
        swath.conv2d(x, w, threads=3)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
swath.conv2d(x, w, threads=3)
"""


def test_the_interpreter_ends_while_threads_compute() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _EXIT], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr


def test_set_num_threads_is_undone_by_the_context() -> None:
    with swath.num_threads(2):
        x, w = np.ones((1, 4, 12, 20), np.float32), np.ones((8, 4, 3, 3), np.float32)
        assert swath.conv2d(x, w).shape == (1, 8, 10, 18)
        with swath.num_threads(1):
            swath.conv2d(x, w)
