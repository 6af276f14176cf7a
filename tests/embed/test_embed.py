"""A C++ program outside the tree builds and runs against `cmake --install`'s output."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "program"
CMAKE = shutil.which("cmake")

# One worker, so that the build of the module's fixtures is made once.
pytestmark = [
    pytest.mark.skipif(CMAKE is None, reason="cmake is not installed"),
    pytest.mark.xdist_group("embed"),
]


def run(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installed swath: of the build that `make test` made, or of a new one."""
    folder = tmp_path_factory.mktemp("embed")
    build = Path(os.environ.get("SWATH_BUILD_DIR", folder / "build"))
    build = build if build.is_absolute() else ROOT / build
    if not (build / "CMakeCache.txt").is_file():
        run("cmake", "-S", ROOT, "-B", build, f"-DPython_EXECUTABLE={sys.executable}")
        run("cmake", "--build", build, "--parallel", str(os.cpu_count() or 1))
    run("cmake", "--install", build, "--prefix", folder / "prefix")
    return folder / "prefix"


@pytest.fixture(scope="module")
def programs(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("program")
    run(
        "cmake",
        "-S",
        PROGRAM,
        "-B",
        build,
        f"-DCMAKE_PREFIX_PATH={installed}",
        "-DCMAKE_BUILD_TYPE=Release",
    )
    run("cmake", "--build", build)
    return build


@pytest.mark.parametrize("library", ["static", "shared"])
def test_program_outside_the_tree_runs(programs: Path, library: str) -> None:
    first, second = run(programs / f"blur_{library}").splitlines()
    kernel, value = first.split()
    assert kernel.startswith("sliding_conv_f32_")
    assert float(value) == pytest.approx(5 * 32 + 7, rel=1e-5)
    assert second.startswith("conv: groups is 0")


def test_full_install_has_no_python_module(installed: Path) -> None:
    assert not list(installed.rglob("_core*"))
    assert list(installed.rglob("swathConfig.cmake"))


def test_public_headers_stand_alone(installed: Path, tmp_path: Path) -> None:
    """Each header compiles by itself, with nothing but the installed folder."""
    headers = sorted((installed / "include").rglob("*.h*"))
    assert headers
    source = tmp_path / "headers.cc"
    names = [header.relative_to(installed / "include") for header in headers]
    for name in names:
        source.write_text(f"#include <{name}>\n#include <{name}>\n")
        run(
            "c++",
            "-std=c++20",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            f"-I{installed / 'include'}",
            source,
        )
