"""The gates of the CI can fail: each sees the mistake that it is there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[1] / ".ci"
CLEAN = "namespace swath::avx2 { int f(int) noexcept { return 1; } }"
CALLS_MEMCPY = """
namespace swath::avx2 {
extern const int table[];
void f(void* a, void* b, long n) { __builtin_memcpy(a, b, n + table[0]); }
}"""
WEAK_TEMPLATE = """
namespace swath::avx2 {
template <class T> __attribute__((noinline)) T twice(T x) { return x + x; }
float f(float x) { return twice(x); }
}"""
OTHER_CLUSTER = "namespace swath::avx512 { int f(int) noexcept { return 1; } }"
NO_NAMESPACE = "int f(int) noexcept { return 1; }"
CALLS_LIBM = "namespace swath::avx2 { float f(float x) { return __builtin_tanhf(x); } }"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not all(map(shutil.which, ("c++", "nm", "git"))),
    reason="needs a C++ compiler, nm and git",
)


def gate(script: str, argument: Path) -> tuple[int, str]:
    command = [sys.executable, str(CI / script), str(argument)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    return run.returncode, run.stdout


def compile_as_avx2(source: str, build: Path) -> None:
    folder = build / "swath_static_avx2.dir"
    folder.mkdir()
    (folder / "kernel.cc").write_text(source)
    command = ["c++", "-std=c++20", "-O0", "-c", "kernel.cc", "-o", "kernel.o"]
    subprocess.run(command, cwd=folder, check=True)


@pytest.mark.parametrize("source", [CLEAN, CALLS_MEMCPY], ids=["clean", "calls_memcpy"])
def test_symbol_gate_passes(source: str, tmp_path: Path) -> None:
    compile_as_avx2(source, tmp_path)
    status, text = gate("check_symbols.py", tmp_path)
    assert (status, text.strip()) == (0, "1 objects, 0 complaints")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        pytest.param(WEAK_TEMPLATE, "twice<float>(float) (W) is weak", id="weak_template"),
        pytest.param(OTHER_CLUSTER, "is defined outside swath::avx2", id="other_cluster"),
        pytest.param(NO_NAMESPACE, "f(int) (T) is defined outside swath::avx2", id="no_namespace"),
        pytest.param(CALLS_LIBM, "tanhf (U) is undefined and not allowed", id="calls_libm"),
    ],
)
def test_symbol_gate_fails(source: str, complaint: str, tmp_path: Path) -> None:
    compile_as_avx2(source, tmp_path)
    status, text = gate("check_symbols.py", tmp_path)
    assert status == 1
    assert complaint in text


def test_symbol_gate_fails_without_objects(tmp_path: Path) -> None:
    assert gate("check_symbols.py", tmp_path)[0] == 1


@pytest.mark.parametrize(
    ("n_lines", "status", "verdict"),
    [(400, 0, None), (401, 0, "401 lines, long"), (801, 1, "801 lines, too long")],
)
def test_file_size_gate(n_lines: int, status: int, verdict: str | None, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "kernel.cc").write_text("\n" * n_lines)
    found, text = gate("check_file_sizes.py", tmp_path)
    assert found == status
    assert ("kernel.cc" in text) == (verdict is not None)
    assert verdict is None or verdict in text
