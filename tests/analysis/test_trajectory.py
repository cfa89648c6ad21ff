import numpy as np
import pytest

import infoplane as ip
from infoplane.types import Status

N = 256


@pytest.fixture
def run(record):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(N) % 2)
    snapshots = {
        step: {
            "second": np.tanh(rng.standard_normal((N, 2)) + y[:, None]),
            "first": np.tanh(rng.standard_normal((N, 9))),
        }
        for step in (10, 0, 3)
    }
    snapshots[3]["first"][0, 0] = np.nan
    scalars = {0: {"epoch": 0, "loss": 1.0}, 3: {"epoch": 1}, 10: {"epoch": 2, "loss": 0.2}}
    return record(snapshots, y=y, scalars=scalars)


def test_dataset_is_the_rows(run):
    ip.evaluate(run, ["mi.binning", ("mi.binning", {"bins": 8}), "mi.kde"])
    ds = ip.trajectories(run)
    assert ds["mi"].dims == ("step", "layer", "estimator", "target")
    assert ds["step"].values.tolist() == [0, 3, 10]
    assert ds["layer"].values.tolist() == ["second", "first"]  # the network's order
    assert ds["estimator"].values.tolist() == ["mi.binning", "mi.binning(bins=8)", "mi.kde"]
    assert ds["target"].values.tolist() == ["X", "Y"]
    rows = run.measurements()
    assert len(rows) == 3 * 2 * 3 * 2
    for row in rows:
        label = "mi.binning(bins=8)" if row.params.get("bins") == 8 else row.estimator
        at = {"step": row.step, "layer": row.layer, "estimator": label, "target": row.target}
        cell = ds.sel(at)
        if row.status is Status.FAILED:
            assert np.isnan(cell["mi"])
        else:
            assert float(cell["mi"]) == row.value
        assert int(cell["verdict"]) == int(row.verdict)
        assert str(cell["reason"].values) == row.reason
        if row.null is not None:
            assert float(cell["mi_null"]) == row.null.mean
            assert float(cell["mi_null_q95"]) == row.null.q95
            assert float(cell["mi_null_p"]) == row.null.p
        else:
            assert np.isnan(cell["mi_null"])


def test_failures_are_nan_with_a_verdict_and_unmeasured_has_none(run):
    ip.evaluate(run, ["mi.binning"], steps=[0, 3])
    ip.evaluate(run, ["mi.adaptive"], steps=[0])
    ds = ip.trajectories(run)
    failed = ds.sel(step=3, layer="first", estimator="mi.binning", target="X")
    assert np.isnan(failed["mi"])
    assert int(failed["verdict"]) == 2
    assert "non-finite" in str(failed["reason"].values)
    absent = ds.sel(step=3, layer="second", estimator="mi.adaptive", target="X")
    assert np.isnan(absent["mi"])
    assert int(absent["verdict"]) == -1


def test_scalars_epochs_and_attributes(run):
    ip.evaluate(run, ["mi.binning"])
    ds = ip.trajectories(run)
    assert ds["loss"].values.tolist() == [1.0, 1.0, 0.2]  # the last one before step 3 holds
    assert ds["epoch"].dims == ("step",)
    assert ds["epoch"].values.tolist() == [0, 1, 2]
    assert ds.attrs["h_y"] == pytest.approx(np.log(2))
    assert ds.attrs["log_n"] == pytest.approx(np.log(N))
    assert ds.attrs["h_x"] == pytest.approx(np.log(N))
    assert ds.attrs["n"] == N
    assert ds.attrs["uuid"] == run.uuid
    assert ds.attrs["units"] == "nat"
    assert ds.attrs["failed"] == 2


def test_an_unmeasured_run_gives_an_empty_dataset(run):
    ds = ip.trajectories(run)
    assert ds.sizes["step"] == 0
    assert ds.sizes["layer"] == 2


def test_dataset_can_be_saved(run, tmp_path):
    ip.evaluate(run, ["mi.binning"])
    frame = ip.trajectories(run).drop_attrs().to_dict()
    assert set(frame["data_vars"]) >= {"mi", "verdict", "reason"}


def test_estimates_of_the_run_stay_below_their_ceilings(run):
    ip.evaluate(run)
    ds = ip.trajectories(run)
    assert not (ds["mi"] > ds["ceiling"] + 1e-9).any()
