import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infoplane.types import Layer, Null, Verdict
from infoplane.views import lod
from infoplane.views.builder import FrameBuilder
from infoplane.views.frame import COLUMNS, EXACT_HEAD, SCALAR_COLUMNS

KEY = [COLUMNS.index(name) for name in ("probe", "layer", "estimator", "bin")]


def replay(deltas):
    """What a reader holds that applies deltas in order: key → row, and the scalars likewise."""
    cells, scalars = {}, {}
    for delta in deltas:
        if delta.reset:
            cells, scalars = {}, {}
        for row in (*delta.rows.packed, *delta.head.packed):
            cells[tuple(row[KEY])] = tuple(row)
        for row in (*delta.scalars, *delta.scalar_head):
            scalars[tuple(row[:2])] = tuple(row)
    return (
        {key: row for key, row in cells.items() if key[3] != EXACT_HEAD},
        {key: row for key, row in scalars.items() if key[1] != EXACT_HEAD},
    )


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key])


def test_x_and_y_of_one_layer_meet_whichever_comes_first(measurement):
    for order in ("XY", "YX"):
        builder = FrameBuilder()
        for target in order:
            builder.add([measurement(5, "a", target, 1.0 if target == "X" else 0.5)])
        rows = builder.rows()
        assert len(rows) == 1
        assert (rows["x"][0], rows["y"][0], rows["step"][0]) == (1.0, 0.5, 5)


def test_one_side_alone_leaves_the_other_unknown(measurement):
    builder = FrameBuilder()
    builder.add([measurement(5, "a", "X", 1.0)])
    rows = builder.rows()
    assert rows["x"][0] == 1.0
    assert math.isnan(rows["y"][0])
    assert rows["y_verdict"][0] == -1


def test_a_later_measurement_of_the_same_place_replaces_the_first(measurement):
    builder = FrameBuilder()
    builder.add([measurement(5, "a", "X", 1.0), measurement(5, "a", "X", 2.0)])
    assert builder.rows()["x"].tolist() == [2.0]


def test_every_row_pools_nothing(measurement):
    steps = [1006, 1000, 1003, 5]
    builder = FrameBuilder()
    for step in steps:
        builder.add([measurement(step, "a", "X", 1.0 + step), measurement(step, "b", "Y", 0.5)])
    rows = builder.every_row()
    assert rows["step"].tolist() == [*sorted(steps), *sorted(steps)]
    assert rows["x"][:4].tolist() == [1.0 + step for step in sorted(steps)]
    assert rows["bin"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]  # each point its own
    assert rows["count"].tolist() == [1] * 8


def test_pooled_steps_give_mean_range_and_the_worst_verdict(measurement):
    steps = [1000, 1003, 1006]
    assert len(set(lod.bin_of(steps))) == 1
    builder = FrameBuilder()
    for step, value in zip(steps, (1.0, 2.0, 6.0), strict=True):
        builder.add(
            [
                measurement(
                    step,
                    "a",
                    "X",
                    value,
                    verdict=Verdict.CAUTION if step == 1003 else Verdict.OK,
                    reason="ties" if step == 1003 else "",
                    null=Null(value / 2, 0, 0, 0, value, 20, 0.05),
                )
            ]
        )
    row = builder.rows()
    assert (row["x"][0], row["x_low"][0], row["x_high"][0]) == (3.0, 1.0, 6.0)
    assert row["count"][0] == 3
    assert row["band"][0] == 2
    assert row["x_null"][0] == 1.5
    assert row["x_verdict"][0] == Verdict.CAUTION
    assert builder.delta().texts[int(row["x_reason"][0])] == "ties"


def test_the_newest_point_is_exact_beside_its_pooled_bin(measurement):
    builder = FrameBuilder()
    builder.add([measurement(1000, "a", "X", 1.0), measurement(1003, "a", "X", 3.0)])
    head = builder.head()
    assert head["bin"].tolist() == [lod.bin_of(1000), EXACT_HEAD]
    assert head["x"].tolist() == [2.0, 3.0]
    assert head["step"][1] == 1003


def test_a_standard_error_is_drawn_as_95_percent(measurement):
    builder = FrameBuilder()
    builder.add([measurement(1, "a", "X", 1.0, stderr=0.1)])
    row = builder.rows()
    assert row["x_low"][0] == pytest.approx(1 - 0.1959964, abs=1e-6)
    assert row["x_high"][0] == pytest.approx(1 + 0.1959964, abs=1e-6)
    assert row["band"][0] == 1


def test_other_quantities_and_targets_do_not_enter_the_plane(measurement):
    builder = FrameBuilder()
    builder.add(
        [
            measurement(1, "a", "X", 1.0, "rank.effective", quantity="rank"),
            measurement(1, "a", "b", 1.0),
        ]
    )
    assert len(builder.rows()) == 0
    assert builder.meta().estimators == ()


def test_an_estimator_that_only_failed_is_greyed_with_its_reason(measurement):
    builder = FrameBuilder()
    builder.offer({"mi.kde": "not measured here"})
    builder.add([measurement(1, "a", "X", None, note="too few samples")])
    by_id = {info.id: info for info in builder.meta().estimators}
    assert by_id["mi.binning"].reason == "too few samples"
    assert by_id["mi.kde"].reason == "not measured here"
    builder.add([measurement(2, "a", "X", 1.0)])
    assert {i.id: i.reason for i in builder.meta().estimators} == {
        "mi.binning": "",
        "mi.kde": "not measured here",
    }


def test_the_same_estimator_with_other_parameters_is_another_choice(measurement):
    builder = FrameBuilder()
    builder.add(
        [measurement(1, "a", "X", 1.0), measurement(1, "a", "X", 2.0, params={"bins": 100})]
    )
    assert [info.params for info in builder.meta().estimators] == ["bins=30", "bins=100"]
    assert sorted(builder.rows()["x"].tolist()) == [1.0, 2.0]


def test_layers_keep_the_order_of_the_network(measurement):
    builder = FrameBuilder()
    builder.describe([Layer(name, "Tanh", (2,), 2, "flatten") for name in "ab"])
    builder.add([measurement(1, "b", "X", 1.0), measurement(1, "c", "X", 1.0)])
    assert [(layer.label, layer.name) for layer in builder.meta().layers] == [
        ("T1", "a"),
        ("T2", "b"),
        ("T3", "c"),
    ]
    assert builder.rows()["layer"].tolist() == [1, 2]


def test_ceilings_follow_from_the_probe():
    builder = FrameBuilder()
    builder.add_probe("probe", 8, np.array([0, 0, 0, 0, 0, 0, 1, 1]))
    meta = builder.meta()
    assert meta.log_n == pytest.approx(math.log(8))
    assert meta.h_y == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), abs=1e-12)
    builder = FrameBuilder()
    builder.add_probe("probe", 8, np.linspace(0, 1, 8))
    assert builder.meta().h_y is None


def test_meta_is_strict_json_with_clean_words():
    builder = FrameBuilder("a\u202eb\x00", "<b>")
    read = json.loads(builder.meta().as_json())
    assert read["name"] == "ab"
    assert read["subtitle"] == "<b>"  # text, never markup: escaped where it becomes markup
    assert read["h_y"] is None


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_reader_that_applies_deltas_holds_what_the_builder_knows(data, measurement):
    """Records in any order, read at any moments: no reader misses or keeps anything it must not."""
    builder, cursor, seen = FrameBuilder(), None, []
    for _ in range(data.draw(st.integers(1, 25))):
        what = data.draw(st.sampled_from(["measure", "measure", "scalar", "read"]))
        step = data.draw(st.sampled_from([0, 1, 2, 31, 40, 1000, 1003, 5000]))
        if what == "measure":
            layer, target = data.draw(st.sampled_from("ab")), data.draw(st.sampled_from("XY"))
            builder.add([measurement(step, layer, target, data.draw(st.floats(-1, 9, width=32)))])
        elif what == "scalar":
            builder.add_scalars(step, {"loss": data.draw(st.floats(0, 9, width=32))})
        else:
            seen.append(builder.delta(cursor))
            cursor = seen[-1].cursor
    seen.append(builder.delta(cursor))
    held = replay(seen)
    late = replay([builder.delta()])
    same(held[0], late[0])
    same(held[1], late[1])
    same(held[0], {tuple(row[KEY]): tuple(row) for row in builder.rows().packed})


def test_nothing_new_is_an_empty_delta(fed):
    builder = fed(FrameBuilder(), [0, 1, 10])
    again = builder.delta(builder.delta().cursor)
    assert not again
    assert again.meta is None
    assert len(again.rows) == 0
    assert len(again.head) == 24


def test_a_frame_stays_small_while_a_bin_grows(fed):
    """The open bin travels in `head`: thousands of snapshots must not grow the log."""
    builder = fed(FrameBuilder(), [1000])
    cursor, sent = builder.delta().cursor, 0
    for step in range(1001, 1012):
        fed(builder, [step])
        delta = builder.delta(cursor)
        cursor, sent = delta.cursor, sent + len(delta.rows)
    assert sent == 0
    fed(builder, [2000])
    assert len(builder.delta(cursor).rows) == 12


def test_a_run_read_anew_is_told_from_the_start(fed):
    before = fed(FrameBuilder(), [0, 10, 100, 1000]).delta().cursor
    delta = fed(FrameBuilder(generation=1), [0, 10]).delta(before)
    assert delta.reset
    assert delta.head["step"].max() == 10


def test_scalars_are_pooled_and_the_newest_is_exact():
    builder = FrameBuilder()
    for step, loss in ((1000, 3.0), (1003, 1.0)):
        builder.add_scalars(step, {"loss": loss, "bad": float("nan")})
    assert builder.meta().scalars == ("loss",)
    head = dict(zip(SCALAR_COLUMNS, builder.delta().scalar_head.T, strict=True))
    assert head["value"].tolist() == [2.0, 1.0]
    assert head["bin"].tolist() == [lod.bin_of(1000), EXACT_HEAD]
    assert (head["low"][0], head["high"][0], head["step"][1]) == (1.0, 3.0, 1003)


def test_probes_are_kept_apart(measurement):
    builder = FrameBuilder()
    builder.add(
        [
            measurement(1, "a", "X", 1.0, probe="train"),
            measurement(1, "a", "X", 2.0, probe="test"),
        ]
    )
    assert builder.meta().probes == ("train", "test")
    assert builder.rows()["x"].tolist() == [1.0, 2.0]


def test_a_fall_is_found_where_it_is_and_not_in_noise(measurement):
    rng, builder = np.random.default_rng(0), FrameBuilder()
    for step in sorted({int(10 ** (i / 20)) for i in range(80)}):
        falling = 3.0 - 0.5 * abs(math.log10(step) - 2) + 0.01 * rng.normal()
        flat = 3.0 + 0.05 * rng.normal()
        builder.add([measurement(step, "a", "X", falling), measurement(step, "b", "X", flat)])
        builder.add([measurement(step, "c", "X", falling, verdict=Verdict.NOT_USABLE)])
    assert builder.find_turns()
    (fall,) = builder.meta().falls
    assert fall.layer == 0
    assert 60 <= fall.onset <= 170
    assert fall.amount == pytest.approx(0.5 * (math.log10(8912) - 2), abs=0.15)
    assert not builder.find_turns(), "nothing has changed"
    assert json.loads(builder.meta().as_json())["falls"][0]["onset"] == fall.onset


def test_a_rise_is_found_in_what_a_layer_tells_about_the_label(measurement):
    rng, builder = np.random.default_rng(0), FrameBuilder()
    for step in sorted({int(10 ** (i / 20)) for i in range(80)}):
        rising = 0.6 * min(math.log10(step) / 2, 1) + 0.01 * rng.normal()
        builder.add([measurement(step, "a", "Y", rising), measurement(step, "a", "X", 3.0)])
    builder.find_turns()
    (rise,) = builder.meta().rises
    assert (rise.layer, rise.onset) == (0, 1)
    assert rise.end > 60
    assert builder.meta().falls == ()


def test_the_bound_of_a_probe_set_is_told_once():
    builder = FrameBuilder()
    builder.add_probe("train", 8, np.arange(8) % 2)
    builder.limit("test", [0.0, 1.0], [0.0, 1.0], (1.0, 1.0))
    builder.limit("test", [0.0, 0.5], [0.0, 0.5], (0.5, 0.5))
    (limit,) = json.loads(builder.meta().as_json())["limits"]
    assert limit == {"probe": 1, "x": [0.0, 0.5], "y": [0.0, 0.5], "corner": [0.5, 0.5]}


def test_a_whole_past_taken_at_once_is_the_same_as_value_by_value():
    values = {step: math.sin(step) for step in (5, 3, 40, 41, 42, 900, 901, 10_000, 33)}
    values[7] = math.nan
    one, whole = FrameBuilder(), FrameBuilder()
    for step, value in values.items():
        one.add_scalars(step, {"loss": value})
    steps = np.array(sorted(values))
    whole.add_history("loss", steps, np.array([values[int(step)] for step in steps]))
    for name in ("scalars", "scalar_head"):
        ours, theirs = getattr(whole.delta(), name), getattr(one.delta(), name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert whole.last_step == 10_000
