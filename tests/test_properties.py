"""Random legal calls of every function, in every dtype and through every kind of view."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import strategies
import swath
from cases.case import DTYPES, Case
from support import VIEWS, check

_dtypes = st.sampled_from(DTYPES)
_views = st.sampled_from(["none", *VIEWS])


def _agree(case: Case, dtype: str, view: str) -> None:
    arrays = case.inputs(dtype)
    seen = {k: VIEWS[view](a) for k, a in arrays.items()} if view != "none" else arrays
    check(case, case.run(swath, seen), arrays)


@given(strategies.convolutions(), _dtypes, _views)
def test_convolution(case: Case, dtype: str, view: str) -> None:
    _agree(case, dtype, view)


@given(strategies.own_dilations(), _dtypes, _views)
def test_own_dilation(case: Case, dtype: str, view: str) -> None:
    _agree(case, dtype, view)


@given(strategies.transposed(), _dtypes, _views)
def test_transposed_convolution(case: Case, dtype: str, view: str) -> None:
    _agree(case, dtype, view)


@given(strategies.pools(), _dtypes, _views)
def test_pooling(case: Case, dtype: str, view: str) -> None:
    _agree(case, dtype, view)


@given(strategies.reductions(), _dtypes, _views)
def test_sliding_reduce(case: Case, dtype: str, view: str) -> None:
    _agree(case, dtype, view)


@given(strategies.rearrangements(), _dtypes, _views)
def test_block_rearrangement(case: Case, dtype: str, view: str) -> None:
    _agree(case, dtype, view)
