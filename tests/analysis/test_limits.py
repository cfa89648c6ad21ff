"""The limits that are shipped are those that are measured, and agree with what the cards say."""

from pathlib import Path

import numpy as np
import pytest

from infoplane.analysis import limits
from infoplane.analysis.limits import CHANGES, DIAGNOSTICS, ESTIMATORS, PAIRS
from infoplane.analysis.limits_page import markdown, tables
from infoplane.estimators.registry import card

SHEETS = limits.limits()["sheets"]
BY_NAME = {change.name: change for change in CHANGES}
LAWS = {"scaling": ("× 10", "÷ 10"), "rotation": ("turned",), "duplicated unit": ("doubled",)}


def test_the_network_keeps_everything():
    """Inputs are distinct and classes a function of the layer: truths are log n and H(Y)."""
    probe, t = limits.network()
    assert len(np.unique(probe.x, axis=0)) == len(np.unique(t, axis=0)) == limits.N
    assert limits.truths()["X"] == np.log(limits.N)
    assert 1.0 < limits.truths()["Y"] <= np.log(limits.CLASSES)


@pytest.mark.parametrize("change", CHANGES[1:-1], ids=lambda change: change.name)
def test_the_next_weights_can_undo_a_change(change):
    """Least squares from the changed layer gives the layer back."""
    _, t = limits.network()
    changed = change.apply(t)
    back, *_ = np.linalg.lstsq(changed, t, rcond=None)
    np.testing.assert_allclose(changed @ back, t, atol=1e-9)


def test_every_estimator_has_a_complete_sheet():
    assert set(SHEETS) == {*ESTIMATORS, *DIAGNOSTICS}
    for name, sheet in SHEETS.items():
        for target, cells in sheet["changes"].items():
            assert list(cells) == list(BY_NAME), (name, target)
        assert name in DIAGNOSTICS or set(sheet["samples"]) == set(PAIRS)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mi.binning", "× 10"),
        ("mi.adaptive", "turned"),
        ("mi.kde", "÷ 10"),
        ("mi.kde_adaptive", "half the samples"),
        ("mi.gaussian", "doubled"),
        ("rank.effective", "doubled"),
        ("collapse.nc1", "as it is"),
    ],
)
def test_a_cell_measured_again_is_the_same(name, change):
    for target, row in limits.changed(name, BY_NAME[change]).items():
        kept = SHEETS[name]["changes"][target][change]
        assert row.value == pytest.approx(kept["value"], abs=2e-5)
        assert (int(row.verdict), row.reason) == (kept["verdict"], kept["reason"])


def test_widths_and_samples_measured_again_are_the_same():
    width, most = limits.filled("mi.adaptive")
    assert (width, round(most, 4)) == (
        SHEETS["mi.adaptive"]["width"]["from"],
        round(SHEETS["mi.adaptive"]["width"]["most"], 4),
    )
    enough, bias, note = limits.needed("mi.gaussian", PAIRS["1 and 1 units"])
    kept = SHEETS["mi.gaussian"]["samples"]["1 and 1 units"]
    assert (enough, note) == (kept["from"], kept["note"])
    assert bias == pytest.approx(kept["bias"], abs=2e-5)


@pytest.mark.parametrize("name", [*ESTIMATORS, *DIAGNOSTICS])
def test_what_a_card_calls_unchanged_is_unchanged_here(name):
    entry = card(name)
    changes = [change for law in entry.invariant for change in LAWS.get(law, ())]
    for cells in SHEETS[name]["changes"].values():
        for change in changes:
            if cells[change]["value"] is not None:
                # estimators that draw at random, or train, agree up to their own spread only
                room = 1e-4 if entry.deterministic else 0.05
                assert cells[change]["value"] == pytest.approx(cells["as it is"]["value"], abs=room)


def test_a_number_that_the_scale_changes_is_on_the_page_in_colour():
    (inputs, *_) = tables()
    rows = {one.id: cells for one, cells in inputs.rows}
    assert [abs(cell.shift) > 1 for cell in rows["mi.binning"]][:3] == [False, True, True]
    assert all(abs(cell.shift) < 1e-3 for cell in rows["mi.adaptive"][:3])


def test_the_page_of_the_docs_is_what_the_command_writes():
    kept = Path(__file__).parents[2] / "docs/limits.md"
    assert kept.read_text(encoding="utf-8") == markdown(), (
        "run `infoplane catalogue --limits > docs/limits.md`"
    )
