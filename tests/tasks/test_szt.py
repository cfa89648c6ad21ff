import hashlib
import itertools

import numpy as np
import pytest

from infoplane.errors import InputError
from infoplane.tasks import split, szt
from infoplane.tasks.szt import EDGES


def test_labels_are_the_published_ones():
    x, y = szt()
    assert x.shape == (4096, 12)
    assert len(np.unique(x, axis=0)) == 4096
    assert int(y.sum()) == 2118
    p = y.mean()
    bits = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    assert bits == pytest.approx(0.999157, abs=5e-7)
    # Digests of the published file, patterns and labels as bytes.
    assert hashlib.sha256(y.astype(np.uint8).tobytes()).hexdigest() == (
        "77732f16f85e91b49d3997196b56163b3bd362d8cf631468a8de3f986e88359f"
    )
    assert hashlib.sha256(x.astype(np.uint8).tobytes()).hexdigest() == (
        "60c7b77cf130b18f25d81c397d55270e50faaf4a6193c2d4480ad14a00035909"
    )


def symmetries():
    """All permutations of the 12 vertices that keep the edges: found by search, not by geometry."""
    edges = [set(neighbours) for neighbours in EDGES]

    def extend(partial):
        if len(partial) == 12:
            yield tuple(partial)
            return
        vertex = len(partial)
        for image in set(range(12)) - set(partial):
            if all(
                (other in edges[vertex]) == (partial[other] in edges[image])
                for other in range(vertex)
            ):
                yield from extend([*partial, image])

    return list(extend([]))


def test_labels_are_invariant_under_all_120_symmetries():
    x, y = szt()
    group = symmetries()
    assert len(group) == 120
    weights = 2 ** np.arange(11, -1, -1)
    for permutation in group:
        moved = (x[:, list(permutation)] @ weights).astype(int)
        assert np.array_equal(y[moved], y)


def test_monotone_in_every_bit_with_equal_influence():
    x, y = szt()
    by_pattern = dict(zip(map(tuple, x.astype(int)), y, strict=True))
    for bit in range(12):
        assert y[x[:, bit] == 1].mean() == pytest.approx(0.625)
    for pattern in itertools.islice(by_pattern, 0, 4096, 37):
        for bit in range(12):
            more = (*pattern[:bit], 1, *pattern[bit + 1 :])
            assert by_pattern[more] >= by_pattern[pattern]


def test_split_is_a_partition_and_private():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    train, test = split(4096, train=0.8, seed=3)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert len(train) == 3277
    assert sorted([*train, *test]) == list(range(4096))
    assert np.array_equal(train, split(4096, train=0.8, seed=3)[0])
    assert not np.array_equal(train, split(4096, train=0.8, seed=4)[0])


def test_unshuffled_split_is_the_biased_one_of_the_published_code():
    x, y = szt()
    train, test = split(4096, shuffle=False)
    assert y[train].mean() == pytest.approx(0.437, abs=5e-4)
    assert y[test].mean() == pytest.approx(0.836, abs=5e-4)
    assert x[test][:, :2].min() == 1


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_split_refuses_a_share_outside(share):
    with pytest.raises(InputError, match=r"share in \(0, 1\)"):
        split(10, train=share)
