"""The probe set: what is accepted, copied, normalised and refused."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_sequence
from torch.utils.data import DataLoader, TensorDataset

from infoplane.capture import Probe
from infoplane.capture.probe import as_probes
from infoplane.errors import InputError


def test_it_keeps_a_copy():
    x = np.zeros((3, 2))
    tensor = torch.zeros(3, 2)
    a, b = Probe(x), Probe(tensor)
    x += 1
    tensor += 1
    assert a.data().x.sum() == 0
    assert b.data().x.sum() == 0


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([2, 0, 1], [2, 0, 1]),
        (torch.tensor([2, 0, 1]), [2, 0, 1]),
        (np.array([[2.0], [0.0], [1.0]]), [2, 0, 1]),
        (["b", "a", "c"], [1, 0, 2]),
        ([[0, 0, 1], [1, 0, 0], [0, 1, 0]], [2, 0, 1]),
        ([True, False, True], [1, 0, 1]),
        ([[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6]]),
    ],
)
def test_class_labels_become_whole_numbers(y, expected):
    labels = Probe(np.zeros((3, 2)), y).data().y
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, expected)


def test_regression_targets_stay_real():
    probe = Probe(np.zeros((2, 1)), [0.5, 1.5], target="regression")
    np.testing.assert_array_equal(probe.data().y, [0.5, 1.5])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.zeros((3, 2)), [0.5, 1, 2]), {}, "whole numbers, text or one-hot"),
        ((np.zeros((3, 2)), [0.0, np.nan, 2]), {}, "whole numbers, text or one-hot"),
        ((np.zeros((3, 2)), [0, 1]), {}, "must have 3 rows"),
        ((np.full((3, 2), np.nan),), {}, "must be finite"),
        ((np.array([["a"]]),), {}, "must hold real numbers"),
        ((np.float64(3),), {}, "samples on axis 0"),
        (((np.zeros((3, 1)), np.zeros((2, 1))),), {}, "lengths \\[2, 3\\]"),
        ((np.zeros((0, 1)),), {}, "at least one"),
        ((np.zeros((3, 2)),), {"target": "clas"}, "must be one of"),
        ((np.zeros((3, 2)),), {"batch_size": 0}, "at least 1"),
        ((np.zeros((2, 1)), [np.inf, 0]), {"target": "regression"}, "finite real numbers"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, options, message):
    with pytest.raises(InputError, match=message):
        Probe(*arguments, **options)


def test_inputs_are_moved_to_the_models_precision():
    model = nn.Linear(2, 1).double()
    assert Probe(np.ones((3, 2), dtype=np.float32)).run(model, 0, 2).dtype == torch.float64
    assert Probe(np.ones((3, 2))).run(model.bfloat16(), 0, 3).shape == (3, 1)


def test_a_model_that_changes_its_input_in_place_leaves_the_probe_set_alone():
    class InPlace(nn.Module):
        def forward(self, x):
            x -= 1
            return x.mul_(2)

    probe = Probe(torch.ones(4, 3))
    for _ in range(2):
        assert InPlace()(torch.ones(4, 3)).equal(probe.run(InPlace(), 0, 4))
    assert probe.x.equal(torch.ones(4, 3))


def test_several_inputs_are_passed_as_the_model_takes_them():
    class Two(nn.Module):
        def forward(self, a, b, scale=1):
            return (a + b) * scale

    a, b = np.ones((4, 2)), np.full((4, 2), 2.0)
    assert Probe((a, b)).run(Two(), 0, 4).sum() == 24
    both = Probe({"a": a, "b": b})
    assert both.run(Two(), 1, 3).sum() == 12
    assert both.data().x.shape == (4, 4)
    custom = Probe(a, forward=lambda model, x: model(x, x, scale=3))
    assert custom.run(Two(), 0, 4).sum() == 48


def test_drawing_from_a_dataset_is_private_and_repeatable(kit):
    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return 50

        def __getitem__(self, row):
            torch.rand(3), np.random.rand(), random.random()  # noqa: NPY002 - augments at random
            return torch.full((3,), float(row)), row % 5

    before = kit.states()
    a, b = Probe.from_dataset(Data(), 10), Probe.from_dataset(Data(), 10)
    assert torch.equal(a.x, b.x)
    assert len(set(a.x[:, 0].tolist())) == 10
    np.testing.assert_array_equal(a.y, a.x[:, 0].numpy().astype(int) % 5)
    assert before == kit.states()
    assert len(Probe.from_dataset(Data(), 500)) == 50


def test_samples_of_any_form_are_told_apart():
    def rows(make):
        return [make(float(row)) for row in range(6)]

    named = Probe.from_dataset(rows(lambda r: {"ids": torch.full((2,), r), "labels": int(r)}))
    assert set(named.x) == {"ids"}
    np.testing.assert_array_equal(named.y, range(6))
    pairs = Probe.from_dataset(rows(lambda r: (np.full(2, r), np.full(3, r), int(r))))
    assert [tuple(part.shape) for part in pairs.x] == [(6, 2), (6, 3)]
    assert Probe.from_dataset(rows(lambda r: torch.full((2,), r))).y is None
    assert len(Probe.from_dataset((row for row in rows(lambda r: (r, 1))), 4)) == 4
    ragged = rows(lambda r: (torch.ones(int(r) + 1), 0))
    with pytest.raises(InputError, match="pass its DataLoader, whose collate_fn does"):
        Probe.from_dataset(ragged)
    loader = DataLoader(
        ragged,
        collate_fn=lambda pairs: (
            pad_sequence([x for x, _ in pairs], True),
            torch.tensor([y for _, y in pairs]),
        ),
    )
    assert Probe.from_dataset(loader, 6).x.shape == (6, 6)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (TensorDataset(torch.ones(3, 2)), "Draw from it"),
        (DataLoader(TensorDataset(torch.ones(3, 2))), "Draw from it"),
        (pack_sequence([torch.ones(2, 1)]), "must be dense.*Pad to one length"),
        (torch.eye(3).to_sparse(), "must be dense"),
        ([[1.0], [2.0, 3.0]], "rows of one shape.*Pad to one length"),
    ],
)
def test_what_is_no_array_is_refused_with_what_to_do(x, message):
    with pytest.raises(InputError, match=message):
        Probe(x)


def test_several_probes_need_different_names():
    a, b = Probe(np.zeros((2, 1))), Probe(np.ones((2, 1)))
    assert [probe.name for probe in as_probes({"train": a, "test": b})] == ["train", "test"]
    assert a.name == "probe"
    with pytest.raises(InputError, match="different names"):
        as_probes([a, b])
    with pytest.raises(InputError, match="must be a Probe"):
        as_probes([np.zeros((2, 1))])
    assert "n=2" in repr(a)
