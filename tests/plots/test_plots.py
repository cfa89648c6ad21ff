"""Figures: what is drawn is what the Dataset holds, and everything renders."""

import math

import numpy as np
import pytest
import xarray as xr

from infoplane import plots
from infoplane.analysis.bottleneck import add_bound
from infoplane.analysis.bound import ib_bound
from infoplane.analysis.calibration import Reading
from infoplane.errors import InputError

hv = pytest.importorskip("holoviews")

STEPS = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 256])
DIMS = ("step", "layer", "estimator", "target")


@pytest.fixture
def ds():
    rng = np.random.default_rng(0)
    shape = (len(STEPS), 2, 2, 2)
    mi = np.abs(rng.standard_normal(shape)).cumsum(axis=0) / 5
    verdict = np.zeros(shape, dtype=np.int8)
    verdict[:3, 0, 0, 0] = 2
    data = {
        "mi": mi, "mi_low": mi - 0.1, "mi_high": mi + 0.1, "mi_null": mi / 10,
        "mi_null_q95": mi / 8, "mi_stderr": np.full(shape, np.nan), "verdict": verdict,
    }  # fmt: skip
    coords = {
        "step": STEPS,
        "layer": ["fc1", "fc2"],
        "estimator": ["mi.binning", "mi.kde"],
        "target": ["X", "Y"],
    }
    made = xr.Dataset({name: (DIMS, values) for name, values in data.items()}, coords)
    made["reason"] = (DIMS, np.full(shape, "", dtype=object))
    made["loss"] = ("step", np.exp(-STEPS / 50))
    made["rank.effective"] = (("step", "layer"), rng.random((len(STEPS), 2)))
    return made.assign_attrs(log_n=math.log(4096), h_y=math.log(2), n=4096)


def render(figure):
    return hv.renderer("bokeh").get_plot(figure).state


def elements(figure, kind):
    return [element for element in figure if isinstance(element, kind)]


def test_plane_draws_each_layer_in_bits(ds):
    figure = plots.plane(ds, estimator="mi.kde")
    named = {curve.label: curve for curve in elements(figure, hv.Curve) if curve.label}
    assert set(named) == {"fc1", "fc2"}
    of_layer = ds["mi"].sel(layer="fc2", estimator="mi.kde")
    np.testing.assert_allclose(named["fc2"].array(), of_layer.values / math.log(2))


def test_plane_shows_null_ceilings_and_what_the_axis_is(ds):
    figure = plots.plane(ds)
    assert elements(figure, hv.VLine)[0].data == pytest.approx(12.0)
    assert elements(figure, hv.HLine)[0].data == pytest.approx(1.0)
    ghosts = [curve for curve in elements(figure, hv.Curve) if not curve.label]
    assert len(ghosts) == 2
    state = render(figure)
    assert "bits" in state.xaxis[0].axis_label
    assert "bin(T)" in state.xaxis[0].axis_label  # what the number really is
    assert not elements(plots.plane(ds, null=False, ceilings=False), hv.HLine)


def test_points_not_usable_are_hollow(ds):
    hollow = [
        points
        for points in elements(plots.plane(ds), hv.Points)
        if hv.Store.lookup_options("bokeh", points, "style").kwargs.get("fill_alpha") == 0.0
    ]
    assert sum(len(points) for points in hollow) == 3


def test_plane_takes_the_bound_and_composes(ds):
    bound = ib_bound(np.eye(2) / 2)
    figure = plots.plane(ds, bound=bound)
    line = next(c for c in elements(figure, hv.Curve) if c.label == "bottleneck bound")
    assert line.array()[-1] == pytest.approx([1.0, 1.0])
    render(figure)
    render(plots.plane(ds) * plots.bound(bound))
    with_bound = plots.plane(add_bound(ds, bound))  # the Dataset's own
    assert any(c.label == "bottleneck bound" for c in elements(with_bound, hv.Curve))
    render(plots.compression(ds) + plots.fitting(ds))


def test_curves_are_over_one_plus_step(ds):
    figure = plots.compression(ds)
    curve = elements(figure, hv.Curve)[0]
    assert curve.array()[:, 0].tolist() == (STEPS + 1.0).tolist()
    state = render(figure)
    assert type(state.x_scale).__name__ == "LogScale"


def test_fitting_draws_null_and_interval_bands(ds):
    bands = elements(plots.fitting(ds), hv.Area)
    assert len(bands) == 4  # null and interval for two layers
    render(plots.fitting(ds))


def test_a_fall_is_marked_where_it_begins(ds):
    curve = np.where(STEPS <= 16, np.log1p(STEPS), 2 * np.log1p(16) - np.log1p(STEPS))
    falling = ds.copy()
    falling["mi"] = ds["mi"].copy()
    falling["mi"].loc[{"layer": "fc2", "estimator": "mi.kde", "target": "X"}] = curve
    falling["verdict"] = ds["verdict"] * 0
    marks = elements(plots.compression(falling, estimator="mi.kde"), hv.VLine)
    assert [round(mark.data - 1) for mark in marks] == [16]
    assert not elements(plots.compression(falling, estimator="mi.kde", phases=False), hv.VLine)


def test_heatmap_leaves_out_what_is_not_usable(ds):
    figure = plots.heatmap(ds)
    values = figure.dimension_values(2, flat=True)
    assert np.isnan(values).sum() == 3
    render(figure)


def test_dimensions_say_what_was_measured_and_compose_all_the_same(ds):
    drawn = elements(plots.plane(ds), hv.Curve)[0]
    assert (drawn.kdims[0].label, drawn.vdims[0].label) == ("I(X; bin(T))", "I(bin(T); Y)")
    assert [d.name for d in (*drawn.kdims, *drawn.vdims)] == ["I(X;T)", "I(T;Y)"]
    assert "bin(T)" in plots.heatmap(ds).vdims[0].label
    render(plots.plane(ds) * plots.plane(ds, estimator="mi.kde"))


def test_other_quantities_and_scalars(ds):
    assert len(elements(plots.quantity(ds, "rank.effective"), hv.Curve)) == 2
    assert len(elements(plots.quantity(ds, "loss"), hv.Curve)) == 1
    render(plots.quantity(ds, "loss"))
    with pytest.raises(InputError, match="loss"):
        plots.quantity(ds, "los")


def test_agreement_and_calibration_render(ds):
    render(plots.agreement(ds, target="Y"))
    readings = [
        Reading("mi.binning", "labels", t, t + 0.1, 0.1, 0.02, 0.01, 3) for t in (0.0, 0.3, 0.6)
    ]
    figure = plots.calibration(readings)
    assert {curve.label for curve in elements(figure, hv.Curve)} == {"exact", "mi.binning"}
    render(figure)


def test_unknown_estimators_are_named(ds):
    with pytest.raises(InputError, match=r"mi\.binning, mi\.kde"):
        plots.plane(ds, estimator="mi.ksg")
    with pytest.raises(InputError, match="evaluate"):
        plots.plane(xr.Dataset(coords={"step": [0]}))


def test_a_dataset_without_labels_renders(ds):
    bare = ds.sel(target=["X"])
    bare.attrs["h_y"] = math.nan
    render(plots.plane(bare))
    render(plots.fitting(bare))
    render(plots.compression(bare))
