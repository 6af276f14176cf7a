"""Programs in C and C++ outside the tree build and run against `cmake --install`'s output."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "program"
C_PROGRAM = Path(__file__).parent / "c_program"
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


def build_program(source: Path, prefix: Path, build: Path) -> Path:
    options = (f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "-S", source, "-B", build, *options)
    run("cmake", "--build", build)
    return build


@pytest.fixture(scope="module")
def programs(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(PROGRAM, installed, tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def c_programs(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(C_PROGRAM, installed, tmp_path_factory.mktemp("c_program"))


@pytest.mark.parametrize("library", ["static", "shared"])
def test_program_outside_the_tree_runs(programs: Path, library: str) -> None:
    first, second = run(programs / f"blur_{library}").splitlines()
    kernel, value = first.split()
    assert kernel.startswith("sliding_conv_f32_")
    assert float(value) == pytest.approx(5 * 32 + 7, rel=1e-5)
    assert second.startswith("conv: groups is 0")


@pytest.mark.parametrize("library", ["static", "shared"])
def test_c_program_runs_every_kind_of_plan(c_programs: Path, library: str) -> None:
    """Results, wrong calls, and that a run with a workspace neither allocates nor locks."""
    assert run(c_programs / f"calls_{library}") == "ok\n"


def test_c_functions_are_those_of_the_header(installed: Path) -> None:
    header = (installed / "include/swath/swath.h").read_text()
    declared = set(re.findall(r"SWATH_API\s+[\w\s*]*?\b(swath_\w+)\(", header))
    (library,) = installed.rglob("libswath.so.0")
    names = [line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()]
    assert declared == {name for name in names if name.startswith("swath_")}
    assert len(declared) > 15
    # the rest belongs to C++ and is swath's own, or of templates of the standard library
    foreign = [
        name for name in names if not re.match(r"swath_|_Z\w*(5swath|St|GVZN|TI|TS|TV)", name)
    ]
    assert not foreign


def test_c_header_is_plain_c(installed: Path, tmp_path: Path) -> None:
    source = tmp_path / "header.c"
    source.write_text("#include <swath/swath.h>\nint main(void) { return swath_abi_version(); }\n")
    run("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only",
        f"-I{installed / 'include'}", source)  # fmt: skip


@pytest.mark.long
def test_a_program_with_one_operator_is_small(tmp_path: Path) -> None:
    """One operator, one dtype, one cluster, and the linker drops what is not called."""
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    run("cmake", "-S", ROOT, "-B", build, "-DSWATH_OPERATORS=sliding_conv;partial_conv",
        "-DSWATH_DTYPES=f32", "-DSWATH_SKIP_CLUSTERS=avx512;baseline",
        f"-DPython_EXECUTABLE={sys.executable}")  # fmt: skip
    run("cmake", "--build", build, "--parallel", str(os.cpu_count() or 1))
    run("cmake", "--install", build, "--prefix", prefix)
    (library,) = prefix.rglob("libswath.a")
    program = tmp_path / "blur"
    run("c++", "-std=c++20", "-O2", "-s", "-Wl,--gc-sections", f"-I{prefix / 'include'}",
        PROGRAM / "blur.cc", library, "-lpthread", "-o", program)  # fmt: skip
    assert program.stat().st_size < 460_000
    assert run(program).startswith("sliding_conv_f32_")


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
