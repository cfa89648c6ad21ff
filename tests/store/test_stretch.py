"""Scalars read many lines at once are what they are line by line; a list passes over them."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest

from infoplane.errors import CorruptRunError
from infoplane.store import Run, codec, journal, list_runs, open_run
from infoplane.store.index import Index
from infoplane.store.journal import JournalReader
from infoplane.store.line import frame, parse
from infoplane.store.stretch import Stretch, outline
from infoplane.types import Snapshot

NAN = float("nan")


def line(seq, step, kind="scalars", **scalars):
    body = {"step": step, "scalars": codec.encode_scalars(scalars)} if kind == "scalars" else {}
    return frame(codec.dumps({"seq": seq, "kind": kind, "time": 12.5, **body}))


def one_by_one(data):
    """Every sound line with a growing number, as the slow obvious way reads them."""
    records = []
    for text in data.split(b"\n")[:-1]:
        try:
            record = parse(text)
        except CorruptRunError:
            continue
        if record["seq"] > (records[-1]["seq"] if records else -1):
            records.append(record)
    return records


def curves(pieces):
    index = Index()
    for piece in pieces:
        (index.extend if isinstance(piece, Stretch) else index.apply)("w0", piece)
    return index.curves()


def plain(n=40):
    return [line(i, i, loss=1 / (i + 3), accuracy=i / 7) for i in range(n)]


def damaged(lines):
    lines[17] = lines[17].replace(b"loss", b"lass")
    return lines


def foreign(payload):
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


CASES = {
    "plain": plain(),
    "one damaged": damaged(plain()),
    "one twice": [*plain(9), *plain(20)[4:]],
    "zeros at the end": [*plain(5), bytes(60) + b"\n"],
    "empty lines": [*plain(5), b"\n\n", *plain(30)[5:]],
    "names in turn": [
        line(i, i, **({"loss": i} if i % 3 else {"val/loss": i, "loss": -i})) for i in range(40)
    ],
    "steps again and backwards": [line(i, abs(20 - i), loss=i) for i in range(40)],
    "restarts": [line(i, i % 15, loss=i) if i % 15 else line(i, 0, kind="open") for i in range(50)],
    "no numbers": [line(i, i, loss=(NAN, math.inf, -math.inf, 0.1)[i % 4]) for i in range(20)],
    "huge and tiny": [line(i, i, loss=(1e300, 5e-324, 1e16, -1e-5, -0.0)[i % 5]) for i in range(9)],
    "odd names": [line(i, i, **{'a"b\\c': i, "(.*)": 2, "é\n": 3}) for i in range(20)],
    "nothing recorded": [line(i, i) for i in range(9)],
    "beyond any float": [
        *plain(9),
        foreign(b'{"seq":9,"kind":"scalars","time":1,"step":9,"scalars":{"loss":1e999}}'),
        foreign(b'{"seq":10,"kind":"scalars","time":1,"step":9,"scalars":{"loss":1,"loss":2}}'),
        foreign(b'{"seq":11,"kind":"scalars","time":1,"step":9,"scalars":{"loss":01}}'),
        foreign(b'{"seq":12,"kind":"scalars","time":1,"step":' + b"9" * 30 + b',"scalars":{}}'),
    ],
}


@pytest.mark.parametrize("chunk", [None, 700])
@pytest.mark.parametrize("lines", CASES.values(), ids=CASES)
def test_many_lines_at_once_are_the_same_lines(lines, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_CHUNK", chunk or journal._CHUNK)
    path = tmp_path / "w0.jsonl"
    path.write_bytes(b"".join(lines))
    expected = one_by_one(path.read_bytes())
    assert JournalReader(path).poll() == expected
    reader = JournalReader(path)
    found, sought = curves(reader.read()), curves(expected)
    assert found.keys() == sought.keys()
    for name, (steps, values) in sought.items():
        np.testing.assert_array_equal(found[name][0], steps)
        np.testing.assert_array_equal(found[name][1], values)
    sound = sum(1 for text in lines for part in text.split(b"\n") if part)
    assert reader.damaged == sound - len(expected)
    assert reader.seq == (expected[-1]["seq"] if expected else -1)


def test_few_pieces_for_many_lines(tmp_path):
    path = tmp_path / "w0.jsonl"
    path.write_bytes(b"".join(plain(5000)))
    pieces = list(JournalReader(path).read())
    assert len(pieces) == 2  # the first line alone, then all others
    assert len(pieces[1].steps) == 4999


def test_a_journal_of_ever_new_names_is_read_too(tmp_path):
    path = tmp_path / "w0.jsonl"
    path.write_bytes(b"".join(line(i, i, **{f"name {i}": i}) for i in range(300)))
    assert len(JournalReader(path).poll()) == 300


# -- a list ----------------------------------------------------------------------------------------


def train(path, first, steps, *, resume="never"):
    with Run.create(path, resume=resume) as run:
        run.begin((), (), {})
        for step in range(first, first + steps):
            if step % 50 == 0:
                run.write(Snapshot(step, {"a": np.zeros((2, 2), np.float32)}, {"loss": 1.0}))
            run.record(step, {"loss": 1 / (step + 1)})


def test_a_list_says_what_the_whole_run_says(tmp_path):
    train(tmp_path / "run", 0, 340)
    train(tmp_path / "run", 120, 90, resume="allow")  # supersedes 120 … 339
    (told,) = list_runs(tmp_path)
    run = open_run(tmp_path / "run")
    status = run.status()
    assert (told.steps, told.layers) == (len(run.steps), len(run.layers)) == (5, 1)
    assert (told.status.state, told.status.last_step) == (status.state, status.last_step)
    assert told.status.last_step == 209


def test_a_list_reads_few_of_many_lines(tmp_path, monkeypatch):
    train(tmp_path / "run", 0, 1000)
    parsed = []
    monkeypatch.setattr(journal, "parse", lambda text: parsed.append(1) or parse(text))
    assert list_runs(tmp_path)[0].status.last_step == 999
    # open, begin, twenty snapshots, the end: and of the scalars between two of them the ends
    assert len(parsed) <= 3 * 23


def test_a_list_of_a_growing_run_goes_on(tmp_path):
    from infoplane.store import Listing

    runs = Listing(tmp_path)
    run = Run.create(tmp_path / "run")
    for step in range(30):
        run.record(step, {"loss": 1.0})
        assert runs.poll()[0].status.last_step == step
    run.close()
    assert runs.poll()[0].status.state == "finished"


def test_the_outline_of_a_chunk():
    lines = [
        *(line(i, i, loss=1) for i in range(5)),
        line(5, 0, kind="begin"),
        line(6, 6, loss=1),
        line(7, 0, kind="measurements"),
        *(line(i, i, loss=1) for i in range(8, 12)),
        line(12, 0, kind="measurements"),
    ]
    chunk = b"".join(lines)
    starts = [chunk.index(text) for text in lines]
    assert list(outline(chunk)) == [starts[i] for i in (0, 4, 5, 6, 11, 12)]
    assert list(outline(b"")) == []
