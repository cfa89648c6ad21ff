"""Lines, torn tails, damage in the middle, growing files."""

from __future__ import annotations

import os
import shutil

import pytest

from infoplane.errors import CorruptRunError, StoreError
from infoplane.store import codec, journal
from infoplane.store.journal import Follower, JournalReader, JournalWriter
from infoplane.store.line import LINE_CAP, frame, parse


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w0.jsonl"


@pytest.fixture
def written(path):
    """A journal of five records."""
    writer = JournalWriter(path)
    for number in range(5):
        writer.append("note", {"number": number, "text": "äöü" * number})
    writer.close()
    return path


def numbers(records):
    return [record["number"] for record in records]


def test_lines_are_what_the_format_says(written):
    first = written.read_bytes().split(b"\n")[0]
    record = parse(first)
    assert record["seq"] == 0
    assert record["kind"] == "note"
    assert first[8:9] == b" "
    assert codec.loads(first[9:]) == record
    assert written.read_bytes().isascii()


def test_torn_at_every_byte_of_the_last_line(written, tmp_path):
    data = written.read_bytes()
    start = data[:-1].rfind(b"\n") + 1
    for cut in range(start, len(data)):
        path = tmp_path / "torn.jsonl"
        path.write_bytes(data[:cut])
        reader = JournalReader(path)
        assert numbers(reader.poll()) == [0, 1, 2, 3]
        assert reader.damaged == 0
        assert reader.pending == cut - start
        writer = JournalWriter(path, reader.seq + 1)
        writer.append("note", {"number": 9})
        writer.close()
        assert numbers(reader.poll()) == [9]
        fresh = JournalReader(path)  # even a line that lacks its newline only stays unsaid
        assert numbers(fresh.poll()) == [0, 1, 2, 3, 9]
        assert (reader.damaged, fresh.damaged) == (0, 0)  # unfinished, but not damaged
        path.unlink()


def test_every_single_damaged_byte_costs_one_line_at_most(written, tmp_path):
    data = written.read_bytes()
    for position in range(len(data)):
        path = tmp_path / "damaged.jsonl"
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        records = JournalReader(path).poll()
        lost = set(range(5)) - set(numbers(records))
        line = data[:position].count(b"\n")
        newline = data[position : position + 1] == b"\n"
        assert lost <= ({line, line + 1} if newline else {line})
        assert lost  # no damage goes unseen
        path.unlink()  # truncating a file makes ext4 flush it: 10 ms each


def test_damage_in_the_middle_is_counted_and_skipped(written):
    lines = written.read_bytes().split(b"\n")
    lines[1] = b"00000000 " + lines[1][9:]
    lines[3] = os.urandom(50).replace(b"\n", b"x")
    written.write_bytes(b"\n".join(lines))
    reader = JournalReader(written)
    assert numbers(reader.poll()) == [0, 2, 4]
    assert reader.damaged == 2
    assert reader.poll() == []


def test_a_block_of_zeros_at_the_end_is_waited_for(written):
    """Network file systems show zeros for a moment where a line is being written."""
    data = written.read_bytes()
    start = data[:-1].rfind(b"\n") + 1
    written.write_bytes(data[:start] + bytes(len(data) - start - 1) + b"\n")
    reader = JournalReader(written)
    assert numbers(reader.poll()) == [0, 1, 2, 3]
    assert reader.damaged == 1
    written.write_bytes(data)
    assert numbers(reader.poll()) == [4]
    assert reader.damaged == 0


def test_growing_byte_by_byte(written, tmp_path):
    data = written.read_bytes()
    path = tmp_path / "growing.jsonl"
    path.touch()
    reader, got = JournalReader(path), []
    for byte in data:
        with path.open("ab") as file:
            file.write(bytes([byte]))
        got += numbers(reader.poll())
    assert got == [0, 1, 2, 3, 4]
    assert reader.damaged == 0


def test_endless_lines_are_skipped_in_bounded_memory(path, monkeypatch):
    monkeypatch.setattr(journal, "_CHUNK", 1 << 20)
    good = frame(codec.dumps({"seq": 7, "kind": "note", "number": 7}))
    path.write_bytes(b"x" * (5 << 20))
    reader = JournalReader(path)
    assert reader.poll() == []
    assert reader.damaged == 1
    with path.open("ab") as file:
        file.write(b"x" * 100 + b"\n" + good)
    assert numbers(reader.poll()) == [7]
    assert reader.damaged == 1


def test_longest_line(path):
    writer = JournalWriter(path)
    room = LINE_CAP - len(frame(codec.dumps({"seq": 0, "kind": "note", "time": 0.0, "t": ""}))) - 20
    writer.append("note", {"number": 1, "t": "x" * (room - 20)})
    with pytest.raises(StoreError, match="must fit into 1,000,000 bytes"):
        writer.append("note", {"t": "x" * LINE_CAP})
    writer.append("note", {"number": 2})
    writer.close()
    assert numbers(JournalReader(path).poll()) == [1, 2]
    over = frame(codec.dumps({"seq": 9, "kind": "note", "t": "x" * LINE_CAP}))
    with pytest.raises(CorruptRunError, match="at most"):
        parse(over[:-1])


def test_a_record_that_comes_twice_counts_once(written):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join([*lines, lines[2], lines[4]]))
    reader = JournalReader(written)
    assert numbers(reader.poll()) == [0, 1, 2, 3, 4]
    assert reader.damaged == 2


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"seq": -1, "kind": "a"}',
        b'{"seq": 1}',
        b'{"seq": 1.5, "kind": "a"}',
        b'{"seq": 1, "kind": 3}',
        b'{"seq": NaN, "kind": "a"}',
        b'{"seq": 1, "kind": "a", "x": ' + b"[" * 90_000,
        b"null",
    ],
)
def test_lines_with_a_good_checksum_and_bad_content(payload):
    with pytest.raises(CorruptRunError):
        parse(frame(payload)[:-1])


def test_a_journal_that_shrinks_is_an_error(written):
    reader = JournalReader(written)
    reader.poll()
    written.write_bytes(written.read_bytes()[:40])
    with pytest.raises(CorruptRunError, match="shrank from"):
        reader.poll()


def test_links_pipes_and_folders_are_refused(written, tmp_path):
    link, pipe, folder = (tmp_path / f"{name}.jsonl" for name in ("link", "pipe", "folder"))
    link.symlink_to(written)
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (link, folder):
        with pytest.raises(CorruptRunError, match="must be a regular file"):
            JournalReader(path).poll()
    assert JournalReader(pipe).poll() == []  # has no size, is never opened
    for path in (link, pipe, folder):
        with pytest.raises((CorruptRunError, StoreError)):
            JournalWriter(path)


def test_one_unreadable_journal_hides_no_other(written, tmp_path):
    (tmp_path / "a1.jsonl").symlink_to(written)
    JournalWriter(tmp_path / "a2.jsonl").append("note", {"number": 8})
    for foreign in ("notes.txt", "A3.jsonl", "..jsonl", "a.b.jsonl"):
        (tmp_path / foreign).write_bytes(written.read_bytes())
    follower = Follower(tmp_path)
    assert [(writer, record["number"]) for writer, record in follower.poll()] == [
        *[("w0", number) for number in range(5)],
        ("a2", 8),
    ]
    assert list(follower.unreadable) == ["a1"]
    assert follower.poll() == []


def test_a_closed_writer_refuses(path):
    writer = JournalWriter(path)
    writer.close()
    writer.close()
    with pytest.raises(StoreError, match="is closed or belongs to another process"):
        writer.append("note", {})


# -- another file in the same place ----------------------------------------------------------------


def test_a_journal_that_a_copying_program_replaced_by_a_longer_one_is_read_on(tmp_path):
    writer = JournalWriter(tmp_path / "w0.jsonl")
    writer.append("event", {"n": 0})
    there = tmp_path / "there"
    there.mkdir()
    for number in (1, 2, 3):
        shutil.copy(tmp_path / "w0.jsonl", there / "new")
        (there / "new").replace(there / "w0.jsonl")
        if number == 1:
            reader = JournalReader(there / "w0.jsonl")
        assert [record["n"] for record in reader.poll()] == [number - 1]
        writer.append("event", {"n": number})
    writer.close()
    assert reader.damaged == 0


@pytest.mark.parametrize("lines", [1, 5])
def test_a_journal_of_another_run_in_the_same_place_is_not_read_on(tmp_path, lines):
    path, other = tmp_path / "w0.jsonl", tmp_path / "other"
    for file, count in ((path, 2), (other, lines)):
        writer = JournalWriter(file)
        for n in range(count):
            writer.append("event", {"n": n, "of": file.name})
        writer.close()
    reader = JournalReader(path)
    assert len(reader.poll()) == 2
    other.replace(path)
    with pytest.raises(CorruptRunError, match="shrank" if lines == 1 else "another run is in"):
        reader.poll()


def test_a_journal_that_is_gone_is_missed(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir()
    for name in ("w0", "abc"):
        writer = JournalWriter(folder / f"{name}.jsonl")
        writer.append("event", {})
        writer.close()
    follower = Follower(folder)
    assert len(follower.poll()) == 2
    (folder / "abc.jsonl").unlink()
    assert follower.poll() == []
    assert "is gone: the run was moved or deleted" in follower.unreadable["abc"]
    (folder / "w0.jsonl").unlink()
    folder.rmdir()
    with pytest.raises(CorruptRunError, match="is gone"):
        follower.poll()
