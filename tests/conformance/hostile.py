"""Hostile inputs: what may reach an estimator from a real training run, and what must come back.

Each entry is (name, array made from a plain (n, d) layer, expectation). Expectations:

``value``     a finite Estimate (an information within its bounds or flagged) or a refusal
``constant``  as value; an information is exactly 0 with the flag ``constant``
``dead``      as value; an Estimate carries ``dead=k``
``tail``      as value; an Estimate carries ``heavy_tail``
``nonfinite`` NonFiniteError
``few``       TooFewSamplesError
``input``     InputError
"""

import numpy as np
import scipy.sparse
import torch


def put(t, where, value):
    t = t.copy()
    t[where] = value
    return t


def read_only(t):
    t = t.copy()
    t.flags.writeable = False
    return t


def overflowed(t):
    """What float16 makes of an activation of 7e4."""
    with np.errstate(over="ignore"):
        return put(t, (0, 0), 7.0e4).astype(np.float16)


def far_column(t):
    return np.column_stack([t, 1e6 + t[:, 0]])


def objects(t):
    return np.array([[object()] * t.shape[1]] * len(t))


FEWER = {"no sample": 0, "one sample": 1, "two samples": 2, "three samples": 3}
"""Entries that shorten T: whatever else the estimator takes is shortened alike."""

FLAT = {
    "few atoms",
    "duplicate column",
    "collinear columns",
    "more units than samples",
    "a far column",
    "mixed scales",
    "three axes",
    "scipy sparse",
}
"""Entries that can only be made from a layer of two axes."""

HOSTILE = [
    # degenerate layers
    ("constant layer", lambda t: np.full_like(t, 0.25), "constant"),
    ("all zero", np.zeros_like, "constant"),
    ("negative zeros", lambda t: -np.zeros_like(t), "constant"),
    ("one dead unit", lambda t: put(t, (slice(None), 1), 0.0), "dead"),
    ("three dead units", lambda t: put(t, (slice(None), slice(0, 3)), 0.5), "dead"),
    ("one unit", lambda t: t[:, :1], "value"),
    ("a vector", lambda t: t[:, 0], "value"),
    ("two values", lambda t: np.sign(t), "value"),
    ("few atoms", lambda t: t[np.arange(len(t)) % 3], "value"),
    ("every row twice", lambda t: t[np.arange(len(t)) // 2], "value"),
    ("duplicate column", lambda t: np.column_stack([t, t[:, 0]]), "value"),
    ("collinear columns", lambda t: t @ np.ones((t.shape[1], 1)) * np.arange(1, 5), "value"),
    ("ties by rounding", lambda t: np.round(t, 1), "value"),
    (
        "more units than samples",
        lambda t: np.repeat(t, 30, axis=1) + np.eye(len(t), 30 * t.shape[1]),
        "value",
    ),
    ("one row unlike the rest", lambda t: put(np.zeros_like(t), 0, 1.0), "value"),
    ("dead relu", lambda t: np.maximum(t - 0.5, 0.0), "value"),
    ("saturated tanh", lambda t: np.tanh(50 * t), "value"),
    # scales
    ("times 1e30", lambda t: t * 1e30, "value"),
    ("times 1e-30", lambda t: t * 1e-30, "value"),
    ("times 1e200", lambda t: t * 1e200, "value"),
    ("times 1e-200", lambda t: t * 1e-200, "value"),
    ("largest doubles", lambda t: t / np.abs(t).max() * 1.7e308, "value"),
    ("denormals", lambda t: t * 1e-310, "value"),
    ("far from zero", lambda t: t + 1e8, "value"),
    ("one outlier", lambda t: put(t, (0, 0), 1e6), "tail"),
    ("one huge outlier", lambda t: put(t, (0, 0), 1e300), "tail"),
    ("a far column", far_column, "value"),
    ("mixed scales", lambda t: t * np.logspace(-6, 6, t.shape[1]), "value"),
    # not finite
    ("one nan", lambda t: put(t, (3, 1), np.nan), "nonfinite"),
    ("one inf", lambda t: put(t, (3, 1), np.inf), "nonfinite"),
    ("minus inf", lambda t: put(t, (0, 0), -np.inf), "nonfinite"),
    ("all nan", lambda t: np.full_like(t, np.nan), "nonfinite"),
    ("a row of nan", lambda t: put(t, 5, np.nan), "nonfinite"),
    ("float16 overflow", overflowed, "nonfinite"),
    # shapes
    ("one sample", lambda t: t[:1], "few"),
    ("no sample", lambda t: t[:0], "few"),
    ("two samples", lambda t: t[:2], "value"),
    ("three samples", lambda t: t[:3], "value"),
    ("no unit", lambda t: t[:, :0], "input"),
    ("a number", lambda t: 3.0, "input"),
    ("nothing", lambda t: None, "input"),
    ("three axes", lambda t: t[:, :, None], "input"),
    ("a feature map", lambda t: np.zeros((len(t), 2, 3, 3)), "input"),
    ("a list", lambda t: t.tolist(), "value"),
    ("ragged", lambda t: [[1.0], [1.0, 2.0]] * (len(t) // 2), "input"),
    # memory
    ("read-only", read_only, "value"),
    ("fortran order", np.asfortranarray, "value"),
    ("negative strides", lambda t: t[::-1, ::-1], "value"),
    ("every second column", lambda t: np.repeat(t, 2, axis=1)[:, ::2], "value"),
    ("big endian", lambda t: t.astype(">f8"), "value"),
    ("masked array", np.ma.masked_array, "value"),
    ("masked entry", lambda t: np.ma.masked_greater(t, np.sort(t, axis=None)[-2]), "input"),
    # types
    ("float16", lambda t: t.astype(np.float16), "value"),
    ("float32", lambda t: t.astype(np.float32), "value"),
    ("bfloat16", lambda t: torch.tensor(t).to(torch.bfloat16), "value"),
    ("torch float64", torch.tensor, "value"),
    ("requires grad", lambda t: torch.tensor(t).requires_grad_(), "value"),
    ("meta tensor", lambda t: torch.empty(t.shape, device="meta"), "input"),
    ("sparse tensor", lambda t: torch.tensor(t).to_sparse(), "input"),
    ("complex tensor", lambda t: torch.tensor(t).to(torch.complex64), "input"),
    ("int64", lambda t: np.rint(8 * t).astype(np.int64), "value"),
    ("int8", lambda t: np.rint(8 * t).astype(np.int8), "value"),
    ("uint8", lambda t: np.rint(8 * t + 9).astype(np.uint8), "value"),
    ("bool", lambda t: t > 0, "value"),
    ("longdouble", lambda t: t.astype(np.longdouble), "value"),
    ("scipy sparse", lambda t: scipy.sparse.csr_array(np.maximum(t, 0)), "value"),
    ("scipy sparse, too large", lambda t: scipy.sparse.csr_array((len(t), 10**8)), "input"),
    ("complex", lambda t: t + 1j, "input"),
    ("object", objects, "input"),
    ("text", lambda t: t.astype(str), "value"),
    ("dates", lambda t: (1e9 * t).astype("datetime64[s]"), "input"),
    ("structured", lambda t: np.zeros(len(t), dtype=[("a", float)]), "input"),
]

LABELS = [
    ("one class", lambda y: np.zeros_like(y), "single"),
    ("two classes", lambda y: y % 2, "value"),
    ("one against all", lambda y: (np.arange(len(y)) == 0).astype(int), "value"),
    ("absent classes", lambda y: 1000 * y - 7, "value"),
    ("text", lambda y: np.array(["a", "b", "c"])[y], "value"),
    ("text objects", lambda y: np.array(["a", "b", "c"], dtype=object)[y], "value"),
    ("bool", lambda y: y > 1, "value"),
    ("float codes", lambda y: y.astype(np.float64), "value"),
    ("int8", lambda y: y.astype(np.int8), "value"),
    ("uint64", lambda y: y.astype(np.uint64) + np.uint64(2**63), "value"),
    ("one column", lambda y: y[:, None], "value"),
    ("one-hot", lambda y: np.eye(3, dtype=int)[y], "value"),
    ("a list", lambda y: y.tolist(), "value"),
    ("torch", torch.tensor, "value"),
    ("nan labels", lambda y: np.where(y == 0, np.nan, y), "nonfinite"),
    ("inf labels", lambda y: np.where(y == 0, np.inf, y), "nonfinite"),
    ("continuous target", lambda y: y + np.linspace(0.1, 0.9, len(y)), "continuous"),
    ("too short", lambda y: y[:-1], "input"),
    ("too long", lambda y: np.append(y, 0), "input"),
    ("nothing", lambda y: None, "input"),
    ("a number", lambda y: 2, "input"),
    ("empty", lambda y: y[:0], "input"),
    ("complex", lambda y: y + 1j, "input"),
    ("dates", lambda y: y.astype("datetime64[s]"), "input"),
]
