"""Random legal calls: every function, dtype, kind of view and instruction-set cluster."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

import strategies
import swath
from cases.case import DTYPES, EXACT_DTYPES, Case
from support import VIEWS, check, clusters

_dtypes = st.sampled_from(DTYPES)
_views = st.sampled_from(["none", *VIEWS])
_clusters = st.sampled_from(["best", *clusters()])


def _agree(case: Case, dtype: str, view: str, cluster: str) -> None:
    arrays = case.inputs(dtype)
    seen = {k: VIEWS[view](a) for k, a in arrays.items()} if view != "none" else arrays
    force = swath.testing.force_kernel(cluster) if cluster != "best" else contextlib.nullcontext()
    try:
        with force:
            actual = case.run(swath, seen)
    except swath.UnsupportedError:
        actual = case.run(swath, seen)
    check(case, actual, arrays)


@given(strategies.convolutions(), _dtypes, _views, _clusters)
def test_convolution(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)


@given(strategies.gated(), _dtypes, _views, _clusters)
def test_gated_convolution(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)


@given(strategies.masked(), _dtypes, _views, _clusters)
def test_partial_convolution(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)


@given(strategies.own_dilations(), _dtypes, _views, _clusters)
def test_own_dilation(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)


@given(strategies.transposed(), _dtypes, _views, _clusters)
def test_transposed_convolution(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)


@given(strategies.pools(), _dtypes, _views, _clusters)
def test_pooling(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)


@given(strategies.reductions(), _dtypes, _views, _clusters)
def test_sliding_reduce(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)


@given(strategies.rearrangements(), st.sampled_from(EXACT_DTYPES), _views, _clusters)
def test_block_rearrangement(case: Case, dtype: str, view: str, cluster: str) -> None:
    _agree(case, dtype, view, cluster)
