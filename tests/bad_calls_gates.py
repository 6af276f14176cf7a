"""The wrong calls of the gates and their gradients."""

from __future__ import annotations

import numpy as np

from bad_call import BadCall, ones, wrong

_map, _logits = ones(2, 4, 5, 5), ones(2, 1, 5, 5)
_two_branches, _choice = ones(2, 1, 4, 5), ones(1, 2, 4)
_square_weight = ones(4, 4), None
GATES: list[BadCall] = [
    wrong("gate_b_shape", "gate_mul", "ShapeError", "b", ones(2, 4, 5), ones(2, 4, 6)),
    wrong("gate_b_untiled", "gate_mul", "ShapeError", "b", ones(2, 4, 5), ones(2, 4, 5), tile=2),
    wrong("gate_b_dtype", "gate_mul", "DTypeError", "b", ones(4), ones(4, dtype=np.float64)),
    wrong("gate_a_dtype", "gate_mul", "DTypeError", "a", np.ones(4, int), ones(4)),
    wrong("gate_add_shape", "gate_mul", "ShapeError", "add", ones(2, 4), ones(2, 4), add=ones(4)),
    wrong("gate_tile_zero", "gate_mul", "ParamError", "tile", ones(2, 4), ones(2, 4), tile=0),
    wrong(
        "gate_tile_does_not_divide",
        "gate_mul",
        "ParamError",
        "tile",
        ones(2, 4),
        ones(2, 1),
        tile=3,
    ),
    wrong("gate_tile_without_channels", "gate_mul", "ShapeError", "a", ones(4), ones(2), tile=2),
    wrong("gate_unknown", "gate_mul", "ParamError", "gate", ones(4), ones(4), gate="swish7"),
    wrong(
        "gate_gauss_alone", "gate_mul", "ParamError", "gate", ones(4), ones(4), gate="asym_gauss"
    ),
    wrong(
        "gate_gauss_of_three",
        "gate_mul",
        "ParamError",
        "gate",
        ones(4),
        ones(4),
        gate=("asym_gauss", (1, 2, 3)),
    ),
    wrong(
        "gate_gauss_of_nan",
        "gate_mul",
        "ParamError",
        "gate",
        ones(4),
        ones(4),
        gate=("asym_gauss", (1, 2, 3, np.nan)),
    ),
    wrong(
        "gate_activation", "gate_mul", "ParamError", "activation", ones(4), ones(4), activation=3
    ),
    wrong("map_two_channels", "spatial_gate", "ShapeError", "logits", _map, ones(2, 2, 5, 5)),
    wrong("map_other_size", "spatial_gate", "ShapeError", "logits", _map, ones(2, 1, 5, 4)),
    wrong("map_rank", "spatial_gate", "ShapeError", "x", ones(5, 5), ones(5, 5)),
    wrong("map_ndim", "spatial_gate", "ParamError", "ndim", _map, _logits, ndim=4),
    wrong("map_ndim_and_rank", "spatial_gate", "ShapeError", "x", _map, _logits, ndim=1),
    wrong("softmax_groups", "spatial_softmax_gate", "ShapeError", "logits", _map, ones(2, 3, 5, 5)),
    wrong(
        "softmax_residual",
        "spatial_softmax_gate",
        "ParamError",
        "residual",
        _map,
        _logits,
        residual=2,
    ),
    wrong("branch_counts", "branch_select", "ShapeError", "logits", _two_branches, ones(1, 3, 4)),
    wrong("branch_logits_rank", "branch_select", "ShapeError", "logits", _two_branches, ones(4)),
    wrong("branch_rank", "branch_select", "ShapeError", "branches", ones(2, 1, 4), _choice),
    wrong("no_branches", "branch_select", "ShapeError", "branches", ones(0, 1, 4, 5), _choice),
    wrong(
        "channel_kind", "channel_gate", "ParamError", "kind", _map, kind="srm", weights=(ones(3),)
    ),
    wrong("channel_even_taps", "channel_gate", "ShapeError", "weights", _map, weights=(ones(4),)),
    wrong("channel_array_alone", "channel_gate", "ParamError", "weights", _map, weights=ones(3)),
    wrong(
        "channel_weight_count",
        "channel_gate",
        "ParamError",
        "weights",
        _map,
        kind="se",
        weights=_square_weight,
    ),
    wrong(
        "channel_first_missing",
        "channel_gate",
        "ParamError",
        "weights",
        _map,
        kind="cca",
        weights=_square_weight[::-1],
    ),
    wrong(
        "channel_weight_shape",
        "channel_gate",
        "ShapeError",
        "weights",
        _map,
        kind="cca",
        weights=(ones(4, 5), None),
    ),
    wrong(
        "channel_weight_dtype",
        "channel_gate",
        "DTypeError",
        "weights",
        _map,
        weights=(ones(3, dtype=np.float64),),
    ),
    wrong("channel_rank", "channel_gate", "ShapeError", "x", ones(4, 5), weights=(ones(3),)),
    wrong("grad_gate_dy", "grad.gate_mul", "ShapeError", "dy", ones(3), ones(4), ones(4)),
    wrong(
        "grad_gate_needs",
        "grad.gate_mul",
        "ParamError",
        "needs",
        ones(4),
        ones(4),
        ones(4),
        needs=("dx",),
    ),
    wrong(
        "grad_gate_needs_text",
        "grad.spatial_gate",
        "ParamError",
        "needs",
        _map,
        _map,
        _logits,
        needs="dx",
    ),
    wrong(
        "grad_map_dy_dtype",
        "grad.spatial_softmax_gate",
        "DTypeError",
        "dy",
        ones(2, 4, 5, 5, dtype=np.float64),
        _map,
        _logits,
    ),
    wrong(
        "grad_branch_dy",
        "grad.branch_select",
        "ShapeError",
        "dy",
        _two_branches,
        _two_branches,
        _choice,
    ),
    wrong(
        "grad_channel_dy",
        "grad.channel_gate",
        "ShapeError",
        "dy",
        _logits,
        _map,
        weights=(ones(3),),
    ),
]
