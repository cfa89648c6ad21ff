"""Files of a reader's own: found by id below the runs directory, or sent, checked and capped."""

import base64
import gzip

import numpy as np
import pytest

from infoplane.errors import InputError
from infoplane.store import Run
from infoplane.views import intake, playground
from infoplane.views.hub import Hub
from infoplane.views.intake import Intake, find, idx_files
from infoplane.views.shelf import Shelf
from infoplane.views.workshop import Workshop


def as_idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


IMAGES = as_idx(np.arange(3 * 4 * 4).reshape(3, 4, 4))
LABELS = as_idx(np.array([0, 1, 2]))


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "runs").mkdir()
    return Shelf.at(tmp_path / "runs", Hub())


def send(takes, content, name="train-images-idx3-ubyte", part=7):
    takes.begin(name, len(content))
    for start in range(0, len(content), part):
        takes.take(start, base64.b64encode(content[start : start + part]).decode())
    return takes


def test_what_is_sent_is_kept_under_a_name_of_ours_and_found_by_id(tmp_path):
    takes = send(Intake(tmp_path), gzip.compress(IMAGES), name="../../my digits <b>.gz")
    (file,) = idx_files(tmp_path)
    assert takes.kept == file.id
    assert file.path.parent == tmp_path / intake.FOLDER
    assert file.path.name.startswith("my-digits-b-")
    assert file.path.name.endswith(".idx.gz")
    assert (file.kind, file.shape) == ("images", (3, 4, 4))
    assert find(tmp_path, file.id, "images") == file.path
    send(takes, gzip.compress(IMAGES, mtime=0), name="again")
    assert {f.kind for f in idx_files(tmp_path)} == {"images"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no idx at all", "not an IDX file"),
        (IMAGES[:-1], "truncated or damaged"),
        (gzip.compress(IMAGES, mtime=0)[:-9], "cannot be read"),
        (as_idx(np.zeros((2, 2)))[:3], "not an IDX file"),
        (b"\0\0\x0d\1" + np.array([2], ">u4").tobytes() + bytes(8), "whole numbers"),
    ],
    ids=["no idx", "cut", "cut gzip", "header alone", "fractions"],
)
def test_what_is_no_idx_file_is_refused_in_words_and_not_kept(tmp_path, content, words):
    with pytest.raises(InputError, match=words) as refused:
        send(Intake(tmp_path), content)
    assert str(tmp_path) not in str(refused.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("size", [0, -1, intake.MAX_FILE + 1, 10**12, 2.5, True, None, "9"])
def test_size_is_capped_before_anything_is_sent(tmp_path, size):
    with pytest.raises(InputError, match="16 MiB"):
        Intake(tmp_path).begin("x", size)


def test_more_than_was_announced_and_what_is_no_base64_are_refused(tmp_path):
    takes = Intake(tmp_path)
    takes.begin("x", 4)
    with pytest.raises(InputError, match="More bytes"):
        takes.take(0, base64.b64encode(bytes(5)).decode())
    takes.begin("x", 4)
    with pytest.raises(InputError, match="did not arrive"):
        takes.take(0, "%%%")
    for offset, text in ((1, "AAAA"), (None, "AAAA"), ("0", "AAAA"), (0, None), (0, ["AAAA"])):
        takes.begin("x", 4)
        takes.take(offset, text)  # not the next chunk: passed over
        assert takes.told()["received"] == 0


def test_all_files_together_are_capped(tmp_path, monkeypatch):
    send(Intake(tmp_path), LABELS, name="labels-idx1")
    monkeypatch.setattr(intake, "MAX_ALL", len(LABELS) + 1)
    with pytest.raises(InputError, match="is full"):
        Intake(tmp_path).begin("more", 2)


def test_a_gzip_that_grows_is_bounded_by_the_reader(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MAX_UNPACKED", 1 << 16)
    with pytest.raises(InputError, match="more than"):
        send(Intake(tmp_path), gzip.compress(bytes(1 << 20)), part=4096)


def test_only_regular_idx_files_below_the_directory_and_outside_runs_are_offered(tmp_path):
    runs = tmp_path / "runs"
    (runs / "mine").mkdir(parents=True)
    (tmp_path / "outside-idx1-ubyte").write_bytes(LABELS)
    (runs / "mine" / "labels-idx1-ubyte").write_bytes(LABELS)
    (runs / "link-idx1-ubyte").symlink_to(tmp_path / "outside-idx1-ubyte")
    (runs / "linked").symlink_to(tmp_path)
    (runs / "broken-idx1-ubyte").write_bytes(b"\0\0\x08\x09")
    (runs / ".hidden-idx1").write_bytes(LABELS)
    Run.create(runs / "run").close()
    (runs / "run" / "inside-idx1-ubyte").write_bytes(LABELS)
    assert [file.name for file in idx_files(runs)] == ["mine/labels-idx1-ubyte"]


@pytest.mark.parametrize("key", ["", "../outside", "/etc/passwd", None, 3, ["a"], "0" * 16])
def test_forged_ids_name_no_file(tmp_path, key):
    (tmp_path / "labels-idx1-ubyte").write_bytes(LABELS)
    with pytest.raises(InputError, match="in the list"):
        find(tmp_path, key, "labels")


def test_a_folder_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "playground").mkdir(parents=True)
    (tmp_path / "runs" / "playground" / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no link"):
        send(Intake(tmp_path / "runs"), LABELS)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_desk_takes_chunks_and_then_offers_the_file(shelf):
    takes, shop = Intake(shelf.directory), Workshop()
    told = playground.answer(shop, shelf, {"upload": "l", "size": len(LABELS), "mark": 7}, takes)
    assert told["upload"] == {"mark": 7, "received": 0, "kept": ""}
    first, rest = (base64.b64encode(part).decode() for part in (LABELS[:5], LABELS[5:]))
    told = playground.answer(shop, shelf, {"offset": 0, "chunk": first}, takes)
    assert told["upload"]["received"] == 5
    told = playground.answer(shop, shelf, {"offset": 5, "chunk": rest}, takes)
    (file,) = told["files"]
    assert (file["id"], file["kind"]) == (told["upload"]["kept"], "labels")
    assert file["name"].startswith("3 · l-")
