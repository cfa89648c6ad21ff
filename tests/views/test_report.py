import base64
import gzip
import math
import re
import stat

import numpy as np
import pytest

import infoplane
from infoplane.errors import NotARunError, StoreError
from infoplane.report import report
from infoplane.store import Run, open_run
from infoplane.types import Layer, Null, ProbeData, Snapshot, Verdict
from infoplane.views import offline
from infoplane.views.frame import COLUMNS

HOSTILE = '</script><img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def run_path(tmp_path_factory, measurement):
    """A small run with a hostile layer name, measured at eight steps."""
    path = tmp_path_factory.mktemp("runs") / "run"
    rng, n = np.random.default_rng(0), 64
    names = ("fc1", HOSTILE)
    with Run.create(path, name=HOSTILE, config={"task": "made up"}) as run:
        probe = ProbeData(np.arange(n, dtype=np.float64)[:, None], np.arange(n) % 2)
        run.begin((probe,), tuple(Layer(name, "Tanh", (3,), 3, "flatten") for name in names), {})
        for step in (0, 1, 2, 4, 8, 16, 32, 64):
            layers = {name: rng.normal(size=(n, 3)).astype(np.float32) for name in names}
            run.write(Snapshot(step, layers, {"epoch": step / 4, "loss": 1 / (1 + step)}))
            run.measure(
                measurement(
                    step, name, target, (2.0 if target == "X" else 0.4) + 0.01 * step,
                    n=n, d=3, ceiling=math.log(n),
                    verdict=Verdict.CAUTION if i else Verdict.OK,
                    reason=f"reason {HOSTILE}" if i else "",
                    null=Null(0.1, 0.01, 0.08, 0.1, 0.12, 20, 0.05) if target == "Y" else None,
                )
                for i, name in enumerate(names)
                for target in "XY"
            )  # fmt: skip
        run.measure(
            [
                measurement(64, "fc1", "", 2.5, "rank.effective", quantity="rank", unit="1"),
                measurement(64, "fc1", "", math.log(2), "entropy.matrix", quantity="entropy"),
            ]
        )
        run.end("finished")
    return path


@pytest.fixture(scope="module")
def text(run_path, tmp_path_factory):
    return report(run_path, tmp_path_factory.mktemp("out") / "r.html").read_text("utf-8")


def test_it_is_one_file_below_the_size_that_mail_takes(text):
    assert len(text.encode()) < 800_000
    assert not re.search(r"<(link|iframe|object|embed)\b", text)
    assert not re.search(r"<script[^>]*\bsrc=", text)
    assert "http" not in re.sub(
        r'http-equiv|<script type="text/plain".*?</script>', "", text, flags=re.S
    )


def test_the_policy_allows_nothing_but_its_own_scripts(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe-inline" not in rules["script-src"]
    nonce = re.search(r"'nonce-(\w+)'", rules["script-src"])[1]
    starts = re.findall(r"<script(?![^>]*text/plain)([^>]*)>", text)
    assert starts == [f' nonce="{nonce}"']


def test_what_a_run_says_is_escaped_everywhere(text):
    assert HOSTILE not in text
    assert "<img" not in text
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in text


def test_words_and_tables_stand_without_a_script(text):
    words = text.partition("<main")[2]
    for needed in ("What this run shows", "Methods", "n = 64", "T2", "caution"):
        assert needed in words, needed
    for nats in (0.12, math.log(64), 2.64):  # the null, the ceiling and the last I(X;T), in bits
        assert f"{nats / math.log(2):.3f}" in words
    assert len(re.findall(r"<tr>", words)) == (1 + 4) + (1 + 2) + (1 + 2) + (1 + 2)
    assert "<td class=n>1.000</td><td class=n>2.5</td>" in words  # entropy in bits, rank as it is


def test_the_same_run_gives_the_same_file(run_path, tmp_path):
    with open_run(run_path) as run:
        first, second = report(run, tmp_path / "a.html"), report(run, tmp_path / "b.html")
    unnumbered = [
        re.sub(r"<script.*?</script>", "", p.read_text("utf-8"), flags=re.S)
        for p in (first, second)
    ]
    unnumbered = [re.sub(r"nonce-\w+", "", page) for page in unnumbered]
    assert unnumbered[0] == unnumbered[1]


def test_a_full_report_holds_every_step(run_path, tmp_path):
    with open_run(run_path) as run:
        text = report(run, tmp_path / "full.html", full=True).read_text("utf-8")
    written = re.search(r'id="ip-rows">([^<]*)<', text)[1]
    planes = gzip.decompress(base64.b85decode(written.translate(str.maketrans(",.:", "<>&"))))
    assert len(planes) == 8 * 2 * len(COLUMNS) * 4  # steps, layers, columns, bytes


def test_the_facade_offers_it(run_path, tmp_path):
    for _ in range(2):  # the module of that name must not get in the way
        path = infoplane.report(run_path, tmp_path / "deep" / "r.html", mode="dark")
    assert path == tmp_path / "deep" / "r.html"
    assert '<html lang="en" data-theme="dark">' in path.read_text("utf-8")


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(NotARunError):
        report(tmp_path, tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    goal = tmp_path / "r.html"
    offline.write("old", goal)
    assert stat.S_IMODE(goal.stat().st_mode) & stat.S_IRUSR

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(offline.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        offline.write("new", goal)
    assert goal.read_text() == "old"
    assert list(tmp_path.iterdir()) == [goal]


def test_a_run_with_nothing_measured_has_a_report_that_says_so(tmp_path):
    with Run.create(tmp_path / "run", name="new") as run:
        empty = report(run, tmp_path / "empty.html").read_text("utf-8")
        probe = ProbeData(np.arange(8.0)[:, None], None)
        run.begin((probe,), (Layer("fc", "Linear", (1,), 1, "flatten"),), {})
        run.write(Snapshot(0, {"fc": np.ones((8, 1), np.float32)}))
        begun = report(run, tmp_path / "begun.html").read_text("utf-8")
    for text in (empty, begun):
        assert "Nothing has been estimated yet." in text
    assert "<td>fc</td>" in begun
