import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from infoplane.errors import InputError
from infoplane.tasks import blobs, digits, idx
from infoplane.tasks.idx import read_idx


def write_idx(path, array, kind=0x08, zipped=False):
    head = b"\0\0" + bytes([kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def test_digits_are_the_published_1797():
    x, y = digits()
    assert x.shape == (1797, 64)
    assert x.dtype == np.float32
    assert x.min() == 0
    assert x.max() == 1
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.array_equal(x[0, :8] * 16, [0, 0, 5, 13, 9, 1, 0, 0])


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_round_trip(tmp_path, zipped):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(7, 3, 4), dtype=np.uint8)
    labels = rng.integers(0, 10, size=7, dtype=np.uint8)
    x, y = idx(
        write_idx(tmp_path / "i", images, zipped=zipped),
        write_idx(tmp_path / "l", labels, zipped=zipped),
    )
    assert x == pytest.approx(images / 255.0)
    assert y.tolist() == labels.tolist()


def test_idx_floats_are_not_scaled(tmp_path):
    values = np.array([[0.5, -2.0]], dtype=">f4")
    assert read_idx(write_idx(tmp_path / "f", values, kind=0x0D)).tolist() == [[0.5, -2.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"PK\3\4 zip", "not an IDX file"),
        (b"\0\0\x08\x00", "claims 0 axes"),
        (b"\0\0\x08\x7f" + b"\xff" * 600, "claims 127 axes"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "truncated or damaged"),
        (b"\0\0\x08\x01" + struct.pack(">I", 9) + b"1234", "truncated or damaged"),
        (b"\x1f\x8b" + b"junk", "cannot be read"),
    ],
)
def test_idx_hostile_files(tmp_path, content, message):
    path = tmp_path / "hostile"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_idx(path)


def test_idx_missing_and_swapped(tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        read_idx(tmp_path / "absent")
    images = write_idx(tmp_path / "i", np.zeros((3, 2, 2), np.uint8))
    labels = write_idx(tmp_path / "l", np.zeros(3, np.uint8))
    with pytest.raises(InputError, match="swapped"):
        idx(labels, images)


MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist-t10k"


@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST test images beside the checkout")
def test_idx_reads_real_mnist():
    x, y = idx(MNIST / "t10k-images-idx3-ubyte.gz", MNIST / "t10k-labels-idx1-ubyte.gz")
    assert x.shape == (10000, 28, 28)
    assert np.bincount(y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_blobs_corruption():
    x, clean = blobs(3000, seed=1)
    same, corrupted = blobs(3000, seed=1, corruption=1.0)
    assert np.array_equal(x, same)
    assert x.shape == (3000, 20)
    assert np.bincount(clean).tolist() == [1000, 1000, 1000]
    assert (clean == corrupted).mean() == pytest.approx(1 / 3, abs=0.03)
    with pytest.raises(InputError, match="share in"):
        blobs(corruption=1.5)
    with pytest.raises(InputError, match="classes"):
        blobs(2, classes=3)
