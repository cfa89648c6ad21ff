import numpy as np
import pytest

from infoplane.analysis.replication import common_phases, gather, spread
from infoplane.errors import InputError

STEPS = np.unique(np.r_[0, np.round(np.geomspace(1, 1000, 40))]).astype(int)
AXIS = np.log1p(STEPS)
TENT = np.where(AXIS < 4, AXIS / 2, 4 - AXIS / 2)


def seeds(dataset, noise, count=5, **kwargs):
    rng = np.random.default_rng(0)
    return [
        dataset(
            STEPS,
            ["a"],
            {("e", "X"): (TENT + noise * rng.standard_normal())[:, None]},
            **kwargs,
        )
        for _ in range(count)
    ]


def test_mean_and_spread_over_seeds(dataset):
    both = gather(seeds(dataset, 0.3))
    values = both["mi"].sel(layer="a", estimator="e", target="X")
    assert both.sizes["replicate"] == 5
    np.testing.assert_allclose(both["mi_mean"].squeeze(), values.mean("replicate"))
    np.testing.assert_allclose(both["mi_spread"].squeeze(), values.std("replicate", ddof=1))
    assert (both["mi_count"] == 5).all()
    assert spread(both, "a", "e", "X") == pytest.approx(float(both["mi_spread"].mean()), rel=1e-6)


def test_unusable_measurements_do_not_count(dataset):
    good = seeds(dataset, 0.3, 2)
    bad = seeds(dataset, 9.0, 1, verdict=2)
    both = gather([*good, *bad])
    assert (both["mi_count"] == 2).all()
    none = gather(seeds(dataset, 0.3, 2, verdict=2))
    assert none["mi_mean"].isnull().all()
    assert np.isnan(spread(none, "a", "e", "X"))


def test_common_steps_only(dataset):
    one, two = seeds(dataset, 0.1, 2)
    both = gather([one, two.isel(step=slice(5, None))])
    assert both["step"].values.tolist() == STEPS[5:].tolist()
    with pytest.raises(InputError, match="in common"):
        gather([one.isel(step=slice(3)), two.isel(step=slice(5, 9))])
    with pytest.raises(InputError, match="two replicates"):
        gather([one])


def test_a_fall_that_seeds_share_is_found_and_one_inside_their_spread_is_not(dataset):
    rng = np.random.default_rng(1)
    calm = gather(seeds(dataset, 0.1))
    assert common_phases(calm, "a", "e", "X").largest("fall") is not None
    wild = gather(
        [
            dataset(STEPS, ["a"], {("e", "X"): (rng.normal(0, 3) + TENT * rng.normal())[:, None]})
            for _ in range(4)
        ]
    )
    found = common_phases(wild, "a", "e", "X")
    assert not found.found
    assert "spread over replicates" in found.refusal
