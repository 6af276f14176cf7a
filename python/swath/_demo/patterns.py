"""The demo ``patterns``: which keys each attention pattern allows, for one query and for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from swath import patterns
from swath._demo.failure import DemoFailure, optional
from swath._demo.sheet import DPI, FAINT, INK, PAPER

GRID = (16, 16)
N = GRID[0] * GRID[1]
QUERY = (3, 6)  # row and column on the grid
N_COLUMNS = 3
ALLOWED, BARRED, MARK = "#1f6f8b", "#eef0f2", "#e4572e"


@dataclass(frozen=True)
class Entry:
    """A pattern of GRID, shown on the grid, or of a row of N tokens, shown as a strip."""

    title: str
    pattern: patterns.Pattern
    is_row: bool = False


def entries() -> list[Entry]:
    """The patterns of the sheet, in its order."""
    blocks = np.array([[0, j // 2, j, -1] for j in range(16)], np.int32)
    kept = [sorted({b for b in row if b >= 0}) for row in blocks]
    counts = np.array([len(row) for row in kept], np.int32)
    indices = np.zeros((16, 4), np.int32)
    for row, keep in enumerate(kept):
        indices[row, : len(keep)] = keep
    near = patterns.Window1D(24, 0)
    first = patterns.Segments([16, N - 16], np.array([[1, 0], [1, 0]], bool))
    return [
        Entry("Neighborhood(7)", patterns.Neighborhood(7, grid=GRID)),
        Entry("Neighborhood(5, dilation=3)", patterns.Neighborhood(5, dilation=3, grid=GRID)),
        Entry("Neighborhood(6, stride=4)", patterns.Neighborhood(6, stride=4, grid=GRID)),
        Entry(
            "Neighborhood(7, causal=True)",
            patterns.Neighborhood(7, causal=(True, True), grid=GRID),
        ),
        Entry('Neighborhood(7, border="clip")', patterns.Neighborhood(7, border="clip", grid=GRID)),
        Entry('Neighborhood(7, border="wrap")', patterns.Neighborhood(7, border="wrap", grid=GRID)),
        Entry("Disk(4.5)", patterns.Disk(4.5, grid=GRID)),
        Entry("Window(8)", patterns.Window(8, grid=GRID)),
        Entry("Window(8, shift=4)", patterns.Window(8, shift=4, grid=GRID)),
        Entry("Halo(4, 2)", patterns.Halo(4, 2, grid=GRID)),
        Entry("Causal()", patterns.Causal(), is_row=True),
        Entry("Window1D(24, 8)", patterns.Window1D(24, 8), is_row=True),
        Entry(
            "Blocks(indices, counts)",
            patterns.Blocks(indices[None, None], counts[None, None], block=(16, 16)),
            is_row=True,
        ),
        Entry("Segments([96, 64, 96], visible)", segments(), is_row=True),
        Entry("Window1D(24, 0) | Segments(...)", near | first, is_row=True),
    ]


def segments() -> patterns.Segments:
    """Three runs of tokens: all see the first, the others themselves."""
    visible = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]], bool)
    return patterns.Segments([96, 64, 96], visible)


def run(files: Sequence[Path], output: Path) -> None:
    """Draw all patterns and print their densities; the demo takes no file."""
    if files:
        raise DemoFailure("the demo patterns takes no file")
    console = optional("rich.console").Console(highlight=False)
    table = optional("rich.table").Table(box=optional("rich.box").SIMPLE, pad_edge=False)
    table.add_column("pattern", no_wrap=True)
    for heading in ("keys of the query", "density"):
        table.add_column(heading, justify="right", no_wrap=True)
    drawn = [(entry, mask_of(entry.pattern)) for entry in entries()]
    for entry, mask in drawn:
        table.add_row(entry.title, str(mask[query()].sum()), f"{100 * mask.mean():.1f} %")
    console.print(f"{N} tokens, on a grid of {GRID[0]} x {GRID[1]} where the pattern has two axes")
    console.print(table)
    write_patterns(drawn, output)
    console.print(f"wrote {output}")


def query() -> int:
    return QUERY[0] * GRID[1] + QUERY[1]


def mask_of(pattern: patterns.Pattern) -> npt.NDArray[np.bool_]:
    """(N, N), of the first sample and head."""
    mask = pattern.to_mask(N, N)
    return np.asarray(mask.reshape(-1, N, N)[0])


def write_patterns(drawn: Sequence[tuple[Entry, npt.NDArray[np.bool_]]], output: Path) -> None:
    """One cell a pattern: what the query sees on the left, the whole mask on the right."""
    n_rows = -(-len(drawn) // N_COLUMNS)
    figure_class = optional("matplotlib.figure").Figure
    colours = optional("matplotlib.colors").ListedColormap([BARRED, ALLOWED])
    figure = figure_class(figsize=(5 * N_COLUMNS, 2.95 * n_rows), dpi=DPI, facecolor=PAPER)
    axes = figure.subplots(n_rows, 2 * N_COLUMNS, squeeze=False)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, wspace=0.06, hspace=0.3)
    for panel in axes.flat:
        panel.axis("off")
    for index, (entry, mask) in enumerate(drawn):
        row, column = divmod(index, N_COLUMNS)
        one, whole = axes[row, 2 * column], axes[row, 2 * column + 1]
        shown = mask[query()].reshape(GRID)
        one.imshow(shown, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
        one.plot(QUERY[1], QUERY[0], marker="s", ms=5, color=MARK)
        whole.imshow(mask, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
        whole.axhline(query(), color=MARK, lw=0.8)
        one.set_title(entry.title, loc="left", size=11, weight="bold", color=INK, pad=16)
        order = "tokens row by row" if entry.is_row else "on the grid"
        note = {"transform": one.transAxes, "size": 8.5, "color": FAINT, "va": "bottom"}
        one.text(0, 1.02, f"query's keys, {order}", **note)
        note["transform"] = whole.transAxes
        whole.text(0, 1.02, f"all pairs, {100 * mask.mean():.1f} %", **note)
    try:
        figure.savefig(output, facecolor=PAPER)
    except OSError as error:
        raise DemoFailure(f"cannot write {output}: {error.strerror}") from None
