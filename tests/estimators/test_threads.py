"""How many threads a call takes: all it may, fewer where others work beside it, one for little."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from infoplane.estimators.threads import SMALL, at_most, in_runs, threads


@pytest.fixture(autouse=True)
def _six_processors(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "6,2")


def test_a_call_takes_what_there_is_unless_told_or_small():
    assert threads(SMALL) == 6
    assert threads(SMALL, asked=3) == 3
    assert threads(SMALL - 1) == 1


def test_a_block_limits_its_own_thread_only():
    with at_most(2):
        assert threads(SMALL) == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(threads, SMALL).result() == 6
    assert threads(SMALL) == 6


@pytest.mark.parametrize("said", ["", "0", "many"])
def test_without_a_number_the_processors_count(monkeypatch, said):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert 1 <= threads(SMALL) <= 64


@pytest.mark.parametrize("workers", [1, 3, 9])
def test_every_piece_is_done_once(workers):
    done = []
    in_runs(done.extend, list(range(5)), workers)
    assert sorted(done) == list(range(5))
