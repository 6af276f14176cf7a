"""One self-contained page: roofline, bars and the table, drawn as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

WIDTH, HEIGHT = 960, 460
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 20, 44
BAR_HEIGHT, BAR_LABEL = 16, 250
COLOURS = {
    "swath": "#d9480f",
    "swath call": "#ff922b",
    "torch": "#4c6ef5",
    "torch channels_last": "#91a7ff",
    "onnxruntime": "#2b8a3e",
    "opencv": "#868e96",
    "scipy": "#c2a000",
    "numpy": "#15aabf",
}
PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>swath bench</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1000px; padding: 0 1rem;
       color: #212529; background: #fff; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #495057; }
.grid { stroke: #e9ecef; } .roof { stroke: #adb5bd; fill: none; stroke-width: 1.5; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
td, th { padding: .25em .6em; text-align: right; border-bottom: 1px solid #e9ecef; }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
.win { color: #2b8a3e; } .loss { color: #c92a2a; } .faint { color: #868e96; }
@media (prefers-color-scheme: dark) {
 body { background: #16181b; color: #dee2e6; } svg text { fill: #adb5bd; }
 .grid, td, th { stroke: #2b3035; border-color: #2b3035; } }
</style>
<h1>swath bench</h1>
<p>$machine</p>
<p class="faint">$versions</p>
<h2>Roofline</h2>
<p>Each dot is a case with one thread; the lines are this machine's measured ceilings. Hover for
the name.</p>
$roofline
<h2>Time</h2>
<p>Fastest call of each library, as a multiple of swath's; the whisker reaches the third quartile.
</p>
$bars
<h2>Table</h2>
$table
</html>
""")


def write_html(path: Path, document: Mapping[str, Any]) -> None:
    rows = document["rows"]
    one_thread = [row for row in rows if row["threads"] == 1]
    machine = ", ".join(f"{k}: {v}" for k, v in document["machine"].items())
    path.write_text(
        PAGE.substitute(
            machine=escape(machine),
            versions=escape(", ".join(f"{k} {v}" for k, v in document["versions"].items())),
            roofline=roofline(one_thread, document["peaks"]),
            bars="\n".join(bars(row) for row in rows),
            table=table(rows),
        )
    )


class LogAxis:
    """Maps a range of decades to pixels."""

    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        self.decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        self.start, self.stop = start, stop

    def __call__(self, value: float) -> float:
        first, last = self.decades[0], self.decades[-1]
        share = (math.log10(value) - first) / (last - first)
        return self.start + share * (self.stop - self.start)


def roofline(rows: Sequence[Mapping[str, Any]], peaks: Mapping[str, Any]) -> str:
    """Flop per byte against GFLOP/s, log-log."""
    rows = [row for row in rows if row["flops"]]
    if not rows:
        return "<p>No case with arithmetic.</p>"
    intensity = [row["flops"] / row["bytes"] for row in rows]
    speed = [row["flops"] / row["seconds"]["swath"]["minimum"] / 1e9 for row in rows]
    peak = peaks["flops_per_second"] / 1e9
    x = LogAxis(min(intensity), max(intensity), LEFT, WIDTH - RIGHT)
    y = LogAxis(min(speed), max(*speed, peak), HEIGHT - BOTTOM, TOP)
    parts = [*grid(x, y), *roofs(x, y, peak, peaks["copy"])]
    for row, at, gflops in zip(rows, intensity, speed, strict=True):
        title = f"{row['case']}: {gflops:.1f} GFLOP/s, {row['share_of_floor']:.0%} of the floor"
        parts.append(
            f'<circle cx="{x(at):.1f}" cy="{y(gflops):.1f}" r="5" fill="{COLOURS["swath"]}" '
            f'fill-opacity=".75"><title>{escape(title)}</title></circle>'
        )
    return svg(HEIGHT, parts)


def grid(x: LogAxis, y: LogAxis) -> list[str]:
    bottom, left = HEIGHT - BOTTOM, LEFT
    parts = []
    for e in x.decades:
        at = x(10.0**e)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{10.0**e:g}</text>')
    for e in y.decades:
        at = y(10.0**e)
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4}" text-anchor="end">{10.0**e:g}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">flop / byte</text>')
    parts.append(f'<text x="{left - 48}" y="{TOP - 6}">GFLOP/s</text>')
    return parts


def roofs(x: LogAxis, y: LogAxis, peak: float, copy: Sequence[Sequence[float]]) -> list[str]:
    """The memory lines of the fastest and of the largest working set, up to the peak."""
    parts = []
    first, last = 10.0 ** x.decades[0], 10.0 ** x.decades[-1]
    lowest = 10.0 ** y.decades[0]
    for n_bytes, speed in (max(copy, key=lambda entry: entry[1]), copy[-1]):
        gb = speed / 1e9
        start, bend = max(first, lowest / gb), peak / gb
        points = [(start, start * gb), (min(bend, last), min(peak, last * gb))]
        if bend < last:
            points.append((last, peak))
        path = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in points)
        parts.append(f'<polyline class="roof" points="{path}"/>')
        label = f"{n_bytes / 2**20:g} MiB: {gb:.0f} GB/s"
        at = math.sqrt(points[0][0] * points[1][0])
        parts.append(f'<text x="{x(at) + 6:.1f}" y="{y(at * gb) + 12:.1f}">{label}</text>')
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{y(peak) - 6:.1f}" text-anchor="end">{peak:.0f} GFLOP/s '
        "(matrix product)</text>"
    )
    return parts


def bars(row: Mapping[str, Any]) -> str:
    """One bar per library; peers above eight times our time are cut off with an arrow."""
    ours = row["seconds"]["swath"]["minimum"]
    limit = 8.0
    scale = (WIDTH - BAR_LABEL - 150) / limit
    parts = []
    for index, (name, timed) in enumerate(row["seconds"].items()):
        top = index * (BAR_HEIGHT + 3)
        multiple = timed["minimum"] / ours
        width = min(multiple, limit) * scale
        whisker = min(timed["q3"] / ours, limit) * scale
        colour = COLOURS.get(name, "#868e96")
        middle = top + BAR_HEIGHT / 2
        label = f"{timed['minimum'] * 1e6:,.1f} us" + (f" ({multiple:.1f}x)" if index else "")
        arrow = " →" if multiple > limit else ""
        end = max(width, whisker)
        parts += [
            f'<text x="{BAR_LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{BAR_LABEL}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}" '
            f'fill="{colour}"/>',
            f'<line x1="{BAR_LABEL + width:.1f}" x2="{BAR_LABEL + end:.1f}" y1="{middle}" '
            f'y2="{middle}" stroke="{colour}"/>',
            f'<text x="{BAR_LABEL + end + 6:.1f}" y="{middle + 4}">{label}{arrow}</text>',
        ]
    threads = "" if row["threads"] == 1 else f", {row['threads']} threads"
    caption = f"<h4>{escape(row['case'])}{threads}</h4>"
    return caption + svg(len(row["seconds"]) * (BAR_HEIGHT + 3), parts)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    headings = (
        "case", "kernel", "threads", "swath us", "quartiles", "best peer us", "ratio", "GFLOP/s",
        "GB/s", "of floor",
    )  # fmt: skip
    lines = ["<table><tr>", *(f"<th>{h}</th>" for h in headings), "</tr>"]
    for row in rows:
        timed = row["seconds"]["swath"]
        seconds, best, ratio = timed["minimum"], row["best_peer"], row["ratio"]
        quartiles = " / ".join(f"{timed[q] * 1e6:.1f}" for q in ("q1", "median", "q3"))
        peer = f"{row['seconds'][best]['minimum'] * 1e6:.1f} {best}" if best else "-"
        shade = "faint" if ratio is None else "win" if ratio >= 1 else "loss"
        cells = (
            escape(row["case"]), escape(row["kernel"]), str(row["threads"]),
            f"{seconds * 1e6:.1f}", quartiles, escape(peer),
            f'<span class="{shade}">{"-" if ratio is None else f"{ratio:.2f}"}</span>',
            f"{row['flops'] / seconds / 1e9:.1f}", f"{row['bytes'] / seconds / 1e9:.1f}",
            f"{row['share_of_floor']:.0%}",
        )  # fmt: skip
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</table>"])


def svg(height: float, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">\n{body}\n</svg>'
