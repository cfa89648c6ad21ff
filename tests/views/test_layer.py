import numpy as np
import pytest

from infoplane.errors import InputError
from infoplane.store import Run, open_run
from infoplane.types import ProbeData, Snapshot
from infoplane.views import explore, layer


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    with Run.create(path, name="made") as made:
        made.begin((ProbeData(rng.normal(size=(300, 2)).astype(np.float32), y),))
        for step in (0, 1, 2, 5, 10, 100):
            t = rng.normal(size=(300, 4)).astype(np.float32) + 3 * step * np.eye(3, 4)[y]
            t[:, 3] = 0.5  # a dead unit
            flat = np.full((300, 2), 0.25, np.float32)
            made.write(Snapshot(step, {"a": t.astype(np.float32), "flat": flat}))
    return open_run(path)


def test_facts_of_a_layer(run):
    facts = layer.picture(run, "a", 0)["facts"]
    assert (facts["n"], facts["d"], facts["dead"], facts["lost"]) == (300, 4, 1, 0)
    assert 2.8 < facts["rank"] <= 3.0  # three independent units of equal variance


def test_the_spectrum_is_shares_of_the_variance(run):
    t = run.load(0, "a").astype(np.float64)
    expected = np.sort(np.linalg.eigvalsh(np.cov(t.T)))[::-1]
    np.testing.assert_allclose(
        layer.picture(run, "a", 0)["spectrum"], expected / expected.sum(), atol=1e-9
    )


def test_effective_rank_of_known_spectra():
    assert layer.effective_rank(np.full(8, 1 / 8)) == pytest.approx(8)
    assert layer.effective_rank(np.array([1.0, 0.0])) == pytest.approx(1)
    assert layer.effective_rank(np.zeros(3)) == 0


def test_occupancy_counts_every_sample_once():
    t = np.array([[0.0], [0.01], [0.5], [1.0], [1.0], [1.0]])
    assert layer.occupancy(t, bins=10).tolist() == [3, 2, 1]
    assert layer.occupancy(np.zeros((5, 2))).tolist() == [5]
    rng = np.random.default_rng(0)
    assert layer.occupancy(rng.normal(size=(500, 3))).sum() == 500


def test_a_constant_layer_has_facts_and_no_division_by_zero(run):
    told = layer.picture(run, "flat", 10)
    assert told["facts"]["dead"] == 2
    assert told["facts"]["rank"] == 0
    assert told["facts"]["cells"] == 1
    assert layer.history(run, "flat")["high"] > layer.history(run, "flat")["low"]


def test_classes_that_lie_apart_are_drawn_apart(run):
    drawn = layer.picture(run, "a", 100)["map"]
    means = np.array(drawn["means"])
    spread = np.std(np.array([drawn["x"], drawn["y"]]).T - means[drawn["label"]], axis=0).max()
    apart = min(np.linalg.norm(means[i] - means[j]) for i in range(3) for j in range(i))
    assert apart > 20 * spread
    assert drawn["names"] == ["0", "1", "2"]


def test_the_history_adds_up_and_covers_the_run(run):
    past = layer.history(run, "a")
    assert past["steps"] == [0, 1, 2, 5, 10, 100]
    np.testing.assert_allclose(np.sum(past["density"], axis=1), 1, atol=0.01)


def test_log_spread_keeps_the_ends_and_no_more_than_asked():
    steps = list(range(0, 100_000, 7))
    some = layer.log_spread(steps, 40)
    assert some[0] == steps[0]
    assert some[-1] == steps[-1]
    assert len(some) <= 40
    assert set(some) <= set(steps)


def test_rows_that_are_not_finite_are_counted_and_left_out(tmp_path):
    t = np.ones((10, 2), np.float32)
    t[:9, 0] = np.nan
    with Run.create(tmp_path / "run") as made:
        made.begin((ProbeData(np.zeros((10, 1), np.float32), None),))
        made.write(Snapshot(0, {"a": t}))
    assert layer.picture(open_run(tmp_path / "run"), "a", 0) == {
        "facts": {"n": 10, "d": 2, "step": 0, "lost": 9}
    }


@pytest.mark.parametrize(
    ("question", "step"),
    [
        ({"layer": 0, "step": 7}, 5),  # the snapshot at or before the step
        ({"layer": 0, "step": -3}, 0),
        ({"layer": 0, "step": 1e300}, 100),
        ({"layer": 0, "step": None}, 100),
        ({"layer": 0, "step": "5"}, 100),
        ({"layer": 0, "step": float("nan"), "probe": "../x"}, 100),
        ({"layer": 0, "step": [1], "probe": {"a": 1}}, 100),
    ],
)
def test_whatever_step_a_browser_asks_for_is_one_of_the_run(run, question, step):
    assert explore._look_at(run, question)["facts"]["step"] == step


@pytest.mark.parametrize("index", [-1, 2, 10**9, True, "0", None, 0.0, [0]])
def test_whatever_layer_a_browser_asks_for_is_one_of_the_run(run, index):
    with pytest.raises(InputError, match="layer"):
        explore._look_at(run, {"layer": index})


def test_what_goes_with_a_figure_is_given_as_text(run):
    said = {kind: explore._look_at(run, {"file": kind}) for kind in explore.FILES}
    assert all(answer["file"] == kind for kind, answer in said.items())
    assert said["csv"]["text"].startswith("run,probe,step")
    assert said["txt"]["text"].strip()


@pytest.mark.parametrize("kind", ["../x", "html", 1, ["csv"], {"a": 1}])
def test_whatever_file_a_browser_asks_for_is_one_of_those_offered(run, kind):
    with pytest.raises(InputError, match="file"):
        explore._look_at(run, {"file": kind})
