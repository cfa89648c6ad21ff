from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infoplane.views.state import PageState

WORD = st.from_regex(r"\A[A-Za-z0-9_.:+-]{1,40}\Z")


@given(
    page=st.sampled_from(["explore", "runs"]),
    run=WORD,
    estimator=WORD,
    step=st.integers(-1, 2**53),
    unit=st.sampled_from(["bits", "nats"]),
    switches=st.tuples(*[st.sampled_from(["", "1"])] * 3),
)
def test_an_address_brings_the_state_back(page, run, estimator, step, unit, switches):
    state = PageState(page=page, run=run, estimator=estimator, step=step, unit=unit)
    state.minus, state.overlay, state.heat = switches
    again = PageState.from_arguments(parse_qs(state.query()[1:]))
    assert {n: getattr(again, n) for n in PageState.names()} == {
        n: getattr(state, n) for n in PageState.names()
    }


def test_defaults_leave_no_trace_in_the_address():
    assert PageState().query() == "?"
    assert PageState(run="ab", step=3).query() == "?run=ab&step=3"


@pytest.mark.parametrize(
    "arguments",
    [
        {"page": [b"../../etc/passwd"]},
        {"page": [b"__init__"]},
        {"run": [b"../../etc/passwd\0"]},
        {"run": [b"<script>alert(1)</script>"]},
        {"run": [b"x" * 5_000_000]},
        {"run": [b"\xff\xfe"]},
        {"run": []},
        {"estimator": [b"mi.binning'--"]},
        {"step": [b"-5"]},
        {"step": [b"1e9"]},
        {"step": [b"NaN"]},
        {"step": ["٣".encode()]},
        {"unit": [b"bans"]},
        {"name": [b"other"]},
    ],
)
def test_wrong_words_in_an_address_keep_the_default(arguments):
    state = PageState.from_arguments(arguments)
    assert state.query() == "?"


def test_a_number_of_five_thousand_digits_is_clamped():
    assert PageState.from_arguments({"step": [b"9" * 5000]}).step == 2**53


@given(st.dictionaries(st.sampled_from(PageState.names()), st.lists(st.binary(), max_size=2)))
def test_no_bytes_in_an_address_raise(arguments):
    state = PageState.from_arguments(arguments)
    assert -1 <= state.step <= 2**53
