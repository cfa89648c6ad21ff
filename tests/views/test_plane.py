import json
import re

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource

from infoplane.views.builder import FrameBuilder
from infoplane.views.frame import COLUMNS, Live
from infoplane.views.plane import PlaneKit, ViewState, controller, resource

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def builder(fed):
    return fed(FrameBuilder(), [0, 1, 10, 100])


def table(source):
    return source.data["v"].reshape(-1, len(COLUMNS))


def test_only_what_python_reads_or_writes_is_mirrored_to_it(builder):
    kit = PlaneKit(builder.delta(), Live("live"))
    theirs = [m for m in kit.layout().references() if m.syncable]
    assert {m.name for m in theirs} == {source.name for source in kit.sources}
    assert len(list(kit.layout().references())) > 100


def test_no_two_models_have_the_same_name():
    """The page finds models by name."""
    names = [m.name for m in PlaneKit().layout().references() if m.name]
    assert len(names) == len(set(names))


def test_applying_deltas_is_the_same_as_starting_late(builder, fed):
    kit = PlaneKit(builder.delta(), Live("live"))
    cursor = builder.delta().cursor
    for step in (300, 1000):
        fed(builder, [step])
        delta = builder.delta(cursor)
        cursor = delta.cursor
        kit.apply(delta, Live("live", step=step))
    late = PlaneKit(builder.delta(), Live("live"))

    def by_key(source):
        return {tuple(row[1:5]): tuple(row) for row in table(source)}

    assert by_key(kit.raw).keys() == by_key(late.raw).keys()
    np.testing.assert_array_equal(table(kit.head), table(late.head))
    assert kit.live.data["step"] == [1000]


def test_a_restart_replaces_what_was_shown(builder, fed):
    kit = PlaneKit(builder.delta(), Live("live"))
    cursor = builder.delta().cursor
    anew = fed(FrameBuilder(generation=1), [0, 1])
    kit.apply(anew.delta(cursor), Live("live"))
    assert table(kit.raw)[:, 0].max() == 0
    assert kit.live.data["generation"] == [1]


def test_tell_changes_the_status_alone(builder):
    kit = PlaneKit(builder.delta(), Live("live"))
    kit.tell(Live("stalled", "no record for 60 s", age=60.0))
    assert kit.live.data["state"] == ["stalled"]
    assert kit.live.data["generation"] == [0]


def test_it_is_plain_bokeh_that_any_document_can_hold(builder):
    document = Document()
    document.add_root(
        PlaneKit(builder.delta(), Live("finished"), view=ViewState(unit="nats")).layout()
    )
    text = json.dumps(document.to_json(deferred=False))
    assert "panel" not in {part["name"].split(".")[0] for part in _typed(json.loads(text))}


def _typed(node):
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for value in node.values():
            yield from _typed(value)
    elif isinstance(node, list):
        for value in node:
            yield from _typed(value)


def test_names_of_a_run_are_escaped_where_they_become_markup(builder):
    builder.describe(name=HOSTILE, subtitle=HOSTILE)
    kit = PlaneKit(builder.delta(), Live())
    words = [m.text for m in kit.layout().references() if getattr(m, "name", "") == "ip-header"]
    assert "<img" not in words[0]
    assert words[0].count("&lt;img") == 2


def test_the_controller_writes_text_and_never_markup():
    code = controller()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", code)
    addresses = set(re.findall(r"https?://[^\s\"'`]*", code))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, nothing is fetched
    for name in ("header.html", "table.html", "footer.html"):
        assert not re.search(r"<script|\son\w+=|javascript:|http", resource(name))


def test_every_source_the_controller_fills_exists():
    code, kit = controller(), PlaneKit()
    start = next(m for m in kit.layout().references() if m.__class__.__name__ == "CustomJS")
    known = set(start.args["sources"])
    filled = set(re.findall(r'put\("(\w+)"', code))
    filled |= {
        f"{plot}_{what}"
        for plot in ("compression", "fitting")
        for what in re.findall(r"put\(`\$\{name\}_(\w+)`", code)
    }
    assert filled <= known
    assert all(isinstance(source, ColumnDataSource) for source in start.args["sources"].values())
