"""Fills the generated parts of the README and the docs: operator table, API page, C++ program.

    python docs/generate.py            # write
    python docs/generate.py --check    # exit 1 if something is out of date
    python docs/generate.py --picture  # also make the pictures of docs/images/ with the demos
    python docs/generate.py --speed bench.json  # also put a bench's result into the README

Generated text does not depend on the machine: what the registry knows is listed, not how fast the
processor is.
"""

from __future__ import annotations

import argparse
import inspect
import io
import json
import re
import sys
import tempfile
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import swath

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PROGRAM = ROOT / "tests" / "embed" / "program" / "blur.cc"
PICTURES = {"photo": DOCS / "images" / "demo.png", "inpaint": DOCS / "images" / "inpaint.png"}
PICTURE_WIDTH = 1000
SPEED_CASES = (
    "filter_5x5_512", "filter_9x9_1024", "filter_31x31_1024", "row_k3_1m", "row_k31_1m",
    "row_depthwise_k4_4x768x2048", "row_depthwise_k31_512x2048", "depthwise_3x3_96_56",
    "depthwise_7x7_96_56_nhwc", "depthwise_31x31_96_56", "dense_3x3_64_56", "dense_3x3_256_14",
    "stem_3x3_3_32_224", "partial_channels_24_of_96_56_in_place", "max_31x31_stride_1_1_1024",
    "avg_7x7_stride_1_96_56", "gated_3x3_64_64_56", "partial_3x3_64_64_56_nhwc", "causal_1024",
    "causal_4096", "causal_16384", "causal_1m", "partial_1m", "dynamic_512_512_h8_k7",
    "dynamic_512_512_h8_k31", "involution_64_56_g4_k7", "ska_8x256_28_g32_k3", "deform_3x3_64_56",
    "deform_3x3_256_14", "neighborhood_k7_56_h4_d32", "neighborhood_k13_56_h4_d32",
    "neighborhood_k21_64_h4_d32", "windows_7x7_b32_h4_d32", "dense_1024_h4_d64",
)  # fmt: skip
GENERATED = "Made from the docstrings by `docs/generate.py`."
SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)


def public_functions() -> dict[str, Any]:
    """What `import swath` offers, by name, in the order of its list."""
    return {
        name: getattr(swath, name)
        for name in swath.__all__
        if callable(getattr(swath, name)) and not is_error(getattr(swath, name))
    }


def is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception)


def summary(thing: Any) -> str:
    """The first sentence of a docstring."""
    first = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    return first.rstrip(".").replace("``", "`")


def operator_functions(operator: str) -> list[list[str]]:
    """The operator's functions and plans; those that differ in the number of axes together.

    A function belongs to the operator whose module it is in, a plan to that of its function.
    """
    groups: dict[str, list[str]] = {}
    functions = public_functions()
    for name in sorted(functions, key=lambda name: (name[0].isupper(), name)):
        function = functions.get(snake_case(name), functions[name])
        if function.__module__ == f"swath.ops.{operator}":
            groups.setdefault(re.sub(r"\dd$", "", name), []).append(name)
    return list(groups.values())


def gradients() -> dict[str, dict[str, Any]]:
    """What swath.grad offers, a chapter for each of its modules."""
    chapters: dict[str, dict[str, Any]] = {}
    for name in sorted(swath.grad.__all__):
        thing = getattr(swath.grad, name)
        module = thing.__module__.rpartition(".")[2].lstrip("_")
        chapters.setdefault(f"grad_{module}", {})[f"grad.{name}"] = thing
    return chapters


def snake_case(name: str) -> str:
    """ConvTranspose2d -> conv_transpose2d"""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def operator_table() -> str:
    """One row per group of functions of each operator in the registry."""
    lines = ["| operator | functions | what |", "|---|---|---|"]
    functions = public_functions()
    for operator in swath.info.operators():
        for names in operator_functions(operator):
            links = ", ".join(f"`{name}`" for name in names)
            fullest = max(names, key=lambda name: len(inspect.getdoc(functions[name]) or ""))
            lines.append(f"| `{operator}` | {links} | {summary(functions[fullest])} |")
            operator = ""
    return "\n".join(lines).replace("| `` |", "| |")


def signature_block(name: str, thing: Any) -> str:
    """The signature without types, which the parameters state; wrapped after commas."""
    signature = inspect.signature(thing)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    text = f"swath.{name}{inspect.Signature(bare)}"
    return textwrap.fill(text, 92, subsequent_indent=" " * 8, break_long_words=False)


def entry(name: str, thing: Any) -> str:
    """A function or class of the API page."""
    text = inspect.getdoc(thing) or ""
    return f"## {name}\n\n```text\n{signature_block(name, thing)}\n```\n\n{markdown(text)}\n"


def markdown(docstring: str) -> str:
    """NumPy-style sections as bold titles and lists; examples as code."""
    docstring = re.sub(r"^::\n\n", "", docstring.replace("``", "`"), flags=re.MULTILINE)
    titles = list(SECTION.finditer(docstring))
    if not titles:
        return docstring.strip()
    parts = [docstring[: titles[0].start()].strip()]
    for title, after in zip(titles, [*titles[1:], None], strict=True):
        body = docstring[title.end() : after.start() if after else None].strip("\n")
        parts.append(f"**{title['title']}**")
        parts.append(section_body(title["title"], body))
    return "\n\n".join(part for part in parts if part)


def section_body(title: str, body: str) -> str:
    if title.startswith("Example"):
        return f"```pycon\n{body}\n```"
    if title in ("Notes", "See Also"):
        return body
    items: list[str] = []
    for line in body.splitlines():
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            items.append(f"* `{name}`" + (f": {kind}" if kind else ""))
        elif line.strip():
            items.append("  " + line.strip())
    return "\n".join(items)


def api_pages() -> dict[Path, str]:
    """A page for each operator, one for the rest, and the list of all functions."""
    functions = public_functions()
    chapters = {
        operator: {name: functions.pop(name) for group in groups for name in group}
        for operator in swath.info.operators()
        if (groups := operator_functions(operator))
    }
    chapters["kernels"] = tools(swath.kernels)
    chapters |= gradients()
    chapters["tools"] = functions | tools(swath.info) | tools(swath.order) | tools(swath.testing)
    pages = {
        DOCS / "api" / f"{chapter}.md": f"# {chapter}\n\n{GENERATED}\n\n"
        + "\n".join(entry(name, thing) for name, thing in things.items())
        for chapter, things in chapters.items()
    }
    rows = [
        f"| [{name}](api/{chapter}.md{anchor(name)}) | {summary(thing)} |"
        for chapter, things in chapters.items()
        for name, thing in things.items()
    ]
    head = f"# Every function\n\n{GENERATED}\n\n| function | what |\n|---|---|\n"
    pages[DOCS / "api.md"] = head + "\n".join(rows) + "\n"
    return pages


def anchor(name: str) -> str:
    """Where a function's heading is; plans have a function's name in lower case, so none."""
    return "" if name.rpartition(".")[2][0].isupper() else "#" + name.replace(".", "")


def tools(module: ModuleType) -> dict[str, Any]:
    """The public functions of a submodule."""
    short = module.__name__.removeprefix("swath.")
    return {
        f"{short}.{name}": thing
        for name, thing in vars(module).items()
        if inspect.isfunction(inspect.unwrap(thing))
        and thing.__module__.startswith(module.__name__)
        and not name.startswith("_")
    }


def filled(text: str) -> str:
    """The page with the parts between its markers replaced."""
    parts = {
        "operators": operator_table,
        "program": lambda: f"```cpp\n{PROGRAM.read_text().strip()}\n```",
    }
    for name, make in parts.items():
        if f"<!-- begin {name} -->" in text:
            text = between(text, name, make())
    return text


def between(text: str, name: str, content: str) -> str:
    """The text with what stands between the markers of that name replaced."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def generated() -> dict[Path, str]:
    """Every page with generated parts, as it should be."""
    pages = api_pages()
    for page in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]:
        if page not in pages:
            pages[page] = filled(page.read_text())
    return pages


def make_picture(demo: str, stored: Path) -> None:
    """Run a demo and store its sheet small enough for a repository."""
    from PIL import Image

    from swath._demo import run_demo

    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder) / "sheet.png"
        run_demo(demo, None, sheet)
        with Image.open(io.BytesIO(sheet.read_bytes())) as picture:
            height = round(picture.height * PICTURE_WIDTH / picture.width)
            small = picture.convert("RGB").resize((PICTURE_WIDTH, height), Image.Resampling.LANCZOS)
    stored.parent.mkdir(exist_ok=True)
    palette = small.quantize(256)
    small.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(stored, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, report differences")
    parser.add_argument("--write", action="store_true", help="the default")
    parser.add_argument("--picture", action="store_true", help="make the demos' pictures as well")
    parser.add_argument("--speed", type=Path, metavar="JSON", help="a report of bench/run.py")
    args = parser.parse_args()
    if args.speed:
        write_speed(args.speed)
    if args.picture:
        for demo, stored in PICTURES.items():
            make_picture(demo, stored)
    stale = [page for page, text in generated().items() if not is_current(page, text)]
    for page in stale:
        if args.check:
            sys.stderr.write(f"{page.relative_to(ROOT)} is out of date: run docs/generate.py\n")
        else:
            page.parent.mkdir(exist_ok=True)
            page.write_text(generated()[page])
    return int(args.check and bool(stale))


def write_speed(report: Path) -> None:
    """Put the table of a bench's JSON report between its markers in the README."""
    document = json.loads(report.read_text())
    rows = {row["case"]: row for row in document["rows"] if row["threads"] == 1}
    lines = ["| case | swath | best peer | ratio |", "|---|---:|---:|---:|"]
    for case in SPEED_CASES:
        seconds, best = rows[case]["seconds"], rows[case]["best_peer"]
        ours, theirs = seconds["swath"]["minimum"] * 1e6, seconds[best]["minimum"] * 1e6
        lines.append(f"| {case} | {ours:,.0f} | {theirs:,.0f} {best} | {theirs / ours:.2f} |")
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines.append(
        f"\nMicroseconds, float32, one thread of {document['machine']['processor']}; {versions}."
    )
    readme = ROOT / "README.md"
    readme.write_text(between(readme.read_text(), "speed", "\n".join(lines)))


def is_current(page: Path, text: str) -> bool:
    return page.is_file() and page.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
