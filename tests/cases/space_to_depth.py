"""Directed cases of the block rearrangements; every result is exact."""

from __future__ import annotations

from cases.case import Case, Shape, Workload, both_layouts

_SHAPES: list[tuple[str, Shape, int]] = [
    ("block_1", (1, 3, 4, 5), 1),
    ("block_2", (2, 3, 8, 12), 2),
    ("block_3", (1, 2, 9, 33), 3),
    ("block_4_wide", (1, 1, 8, 1036), 4),
    ("one_block", (1, 5, 2, 2), 2),
    ("prime_channels", (1, 13, 6, 10), 2),
    ("empty_batch", (0, 3, 8, 8), 2),
]
_ORDERS = ("torch", "tf", "spd")

CASES: list[Case] = both_layouts(
    [
        case
        for order in _ORDERS
        for name, (n, c, h, w), block in _SHAPES
        for case in (
            Case(
                f"space_{order}_{name}",
                "space_to_depth",
                (n, c, h, w),
                None,
                {"block": block, "order": order},
            ),
            Case(
                f"depth_{order}_{name}",
                "depth_to_space",
                (n, c * block**2, h // block, w // block),
                None,
                {"block": block, "order": order},
            ),
        )
    ]
)

WORKLOADS: list[Workload] = [
    Workload(
        f"space_to_depth_{order}_64_112",
        "space_to_depth",
        {"x": (1, 64, 112, 112)},
        {"block": 2, "order": order},
        0,
    )
    for order in _ORDERS
]
