"""Evaluation on workers that somebody else made: Dask, executors of the standard library."""

import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import infoplane as ip
from infoplane.errors import EvaluationError, InputError


def small_run(record, name="run"):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 128)
    return record({step: {"t": rng.normal(size=(128, 3))} for step in (0, 1, 2)}, y=y, name=name)


def numbers(run):
    return {row.key: row.value for row in run.measurements()}


@pytest.fixture
def here(record):
    """The values that an evaluation in this process gives."""
    run = small_run(record, "here")
    ip.evaluate(run, ["mi.binning"])
    return numbers(run)


def test_a_dask_cluster_gives_the_same_numbers(record, here):
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own, about ports and event loops
        with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=1, processes=False,
                dashboard_address=None,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):  # fmt: skip
            run = small_run(record)
            summary = ip.evaluate(run, ["mi.binning"], backend=client, workers=2)
    assert (summary.computed, summary.failed) == (len(here), 0)
    assert sorted(numbers(run).values()) == sorted(here.values())


def test_a_pool_of_processes_gives_the_same_numbers(record, here):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        run = small_run(record)
        assert ip.evaluate(run, ["mi.binning"], backend=pool).failed == 0
    assert sorted(numbers(run).values()) == sorted(here.values())


class LosesItsWorker(ThreadPoolExecutor):
    """Every batch that holds step 1 is lost with its worker."""

    def submit(self, fn, /, *args, **kwargs):
        if any('"step": 1,' in record for record in args[-1]):
            future = Future()
            future.set_exception(RuntimeError("worker killed"))
            return future
        return super().submit(fn, *args, **kwargs)


def test_a_job_that_kills_its_worker_becomes_a_row_with_the_reason(record):
    run = small_run(record)
    with LosesItsWorker(1) as pool:
        summary = ip.evaluate(run, ["mi.binning"], backend=pool)
    failed = [row for row in run.measurements() if row.value is None]
    assert summary.failed == len(failed) == 2
    assert {row.step for row in failed} == {1}
    assert all("retry=True" in row.reason for row in failed)


def test_an_executor_that_is_over_blames_no_job(record):
    run = small_run(record)
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(EvaluationError, match="takes no more jobs"):
        ip.evaluate(run, ["mi.binning"], backend=pool)
    assert run.measurements() == []


def test_a_backend_that_is_none_is_refused(record):
    with pytest.raises(InputError, match=r"distributed\.Client"):
        ip.evaluate(small_run(record), ["mi.binning"], backend="dask")
