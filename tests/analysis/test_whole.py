import numpy as np
import pytest

import infoplane as ip
from infoplane.analysis import analyse, whole

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)


@pytest.fixture
def run(record):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(256) % 2)
    noise = rng.standard_normal((256, 1))
    snapshots = {s: {"a": np.tanh(0.3 * noise + np.log1p(s) * (y[:, None] - 0.5))} for s in STEPS}
    return record(snapshots, y=y, scalars={s: {"loss": float(np.exp(-s / 10))} for s in STEPS})


def test_all_of_it_is_on_the_dataset(run):
    ip.evaluate(run, ["mi.binning"])
    ds = analyse(run)
    assert {"mi", "fall", "rise", "phase_note", "dpi_excess", "bound_distance"} <= set(ds)
    assert ds.attrs["bound"]["method"] == "closed form"
    assert ds.attrs["bound"]["i_y"][-1] == pytest.approx(np.log(2))
    assert ds.attrs["fastest_loss_step"] in STEPS
    assert float(ds["bound_distance"].min()) > -1e-9


def test_it_is_computed_once_for_the_same_measurements(run, monkeypatch):
    ip.evaluate(run, ["mi.binning"], steps=[0, 1])
    counted = []
    original = whole._analysed
    monkeypatch.setattr(whole, "_analysed", lambda *a: counted.append(1) or original(*a))
    first, second = analyse(run), analyse(run)
    assert len(counted) == 1
    assert first.identical(second)
    first["mi"][:] = 0  # a caller's change stays with the caller
    assert not analyse(run)["mi"].equals(first["mi"])
    ip.evaluate(run, ["mi.binning"])
    assert analyse(run).sizes["step"] == len(STEPS)
    assert len(counted) == 2


def test_an_unmeasured_run_has_an_empty_analysis(run):
    assert analyse(run).sizes["step"] == 0
