"""Compression before estimation: what each compressor keeps, memory, noise, errors, null."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from infoplane import truth
from infoplane.errors import InputError
from infoplane.estimators import Shared, card, get
from infoplane.estimators import compressed as module
from infoplane.estimators.compressed import compressed
from infoplane.estimators.kept import Origin
from infoplane.estimators.projection import principal_axes
from infoplane.types import Status


@pytest.fixture
def wide():
    """Three classes in 30 dimensions, 300 rows, and an input that is the layer plus noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    t = rng.standard_normal((300, 30)) * 0.3 + 2 * np.eye(30)[y]
    return y, t, t[:, ::-1] + 0.1 * rng.standard_normal((300, 30))


@pytest.mark.parametrize("shape", [(300, 12), (20, 50)])
def test_axes_equal_scikit_learn(shape):
    t = np.random.default_rng(0).standard_normal(shape) * np.arange(1, shape[1] + 1)
    axes, share = principal_axes(t - t.mean(0), 4)
    peer = PCA(4).fit(t)
    np.testing.assert_allclose(np.abs(axes.T @ peer.components_.T), np.eye(4), atol=1e-8)
    assert share == pytest.approx(peer.explained_variance_ratio_.sum(), abs=1e-10)


def test_is_the_inner_estimator_on_the_codes(wide):
    y, t, x = wide
    codes = PCA(4).fit_transform(t)
    assert compressed(y, t).value == pytest.approx(get("mi.ksg")(y, codes).value, abs=1e-9)
    of_x = PCA(2).fit_transform(x)
    result = compressed(x, t, dim=2, inner="mi.kl", inner_params={"k": 3})
    direct = get("mi.kl")(of_x, PCA(2).fit_transform(t), k=3)
    assert result.value == pytest.approx(direct.value, abs=1e-6)
    assert 0 < result.info["kept_t"] < 1


def test_few_columns_pass_untouched():
    x, t = truth.gaussian(0.8, 2).sample(300, seed=0)
    assert compressed(x, t).value == get("mi.ksg")(x, t).value


@pytest.mark.parametrize(("compressor", "error"), [("pca", 0.15), ("autoencoder", 0.3)])
def test_images_of_known_information(compressor, error):
    task = truth.get("gaussian_images")
    x, t = task.sample(1000, seed=0)
    dim = 4 if compressor == "pca" else 2
    result = compressed(x, t, compressor=compressor, dim=dim, steps=300)
    assert result.value == pytest.approx(task.mi, abs=error)


def test_autoencoder_is_private_and_repeatable(wide):
    _, t, x = wide
    numpy_before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    torch_before = torch.get_rng_state()
    threads = torch.get_num_threads()
    first = compressed(x, t, compressor="autoencoder", steps=30)
    module._codes.clear()
    with torch.no_grad():  # the caller's setting is no obstacle and stays
        again = compressed(x, t, compressor="autoencoder", steps=30)
        assert not torch.is_grad_enabled()
    assert first.value == again.value
    assert np.random.get_state()[1].tobytes() == numpy_before  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert torch.get_num_threads() == threads


def test_an_input_is_compressed_once(wide, monkeypatch):
    _, t, x = wide
    module._codes.clear()
    calls = []
    real = module.fit
    monkeypatch.setattr(module, "fit", lambda *a: calls.append(len(a[0])) or real(*a))
    memo = Shared(t)
    values = {compressed(x, t, shared=memo).value for _ in range(3)}
    assert len(values) == 1
    assert len(calls) == 2  # X once, T once
    assert values == {compressed(x, t).value}


def test_a_fixed_basis_follows_the_reference(wide):
    y, t, _ = wide
    turned = t @ np.linalg.qr(np.random.default_rng(1).standard_normal((30, 30)))[0]
    assert compressed(y, turned).value == pytest.approx(compressed(y, t).value, abs=1e-3)
    assert compressed(y, turned, reference=t).value < compressed(y, t).value - 0.05
    with pytest.raises(InputError, match="columns of `t`, 30"):
        compressed(y, t, reference=t[:, :4])
    with pytest.raises(InputError, match="constant"):
        compressed(y, turned, reference=np.ones((300, 30)))
    with pytest.raises(InputError, match="names a step of a run"):
        compressed(y, turned, reference_step=5)
    with pytest.raises(InputError, match="callable"):
        compressed(y, turned, reference=t, compressor=lambda a: a[:, :3])


class Shelf(dict):
    """What a run is to its estimators: keeps what is made under a name."""

    def __call__(self, name, make):
        if name not in self:
            self[name] = {key: array.copy() for key, array in make().items()}
        return self[name]


@pytest.mark.parametrize("compressor", ["pca", "random", "autoencoder"])
def test_a_projection_of_another_step_is_fitted_once_and_kept(wide, compressor):
    y, t, _ = wide
    later, shelf, read = t[:, ::-1] * 3, Shelf(), []
    origin = Origin("layer at step 0", lambda: read.append(1) or (y, t))
    settings = {"compressor": compressor, "steps": 20}
    direct = compressed(y, later, reference=t, **settings)
    for dim in (4, 4, 2):
        found = compressed(
            y, later, reference=origin, reference_step=0, shared=Shared(later, keeper=shelf),
            dim=dim, **settings,
        )  # fmt: skip
        assert found.params["reference_step"] == 0
        if dim == 4:
            assert found.value == direct.value
            assert found.info["kept_t"] == direct.info["kept_t"]
    assert len(read) == len(shelf) == 2  # one for each number of coordinates


def test_the_codes_of_an_input_are_kept_where_an_autoencoder_made_them(wide):
    _, t, x = wide
    shelf, settings = Shelf(), {"compressor": "autoencoder", "steps": 20}

    def value(**more):
        module._codes.clear()  # another process
        return compressed(x, t, shared=Shared(t, keeper=shelf), **{**settings, **more}).value

    first = value()
    (name,) = shelf
    assert name.startswith("codes-")
    assert shelf[name]["codes"].shape == (300, 4)
    shelf[name]["codes"][:] = np.random.default_rng(0).normal(size=(300, 4))
    assert value() < first - 0.1  # what is kept is what is used
    assert value(seed=1) > first - 0.5
    assert len(shelf) == 2
    value(compressor="pca")
    assert len(shelf) == 2  # principal components come out the same everywhere
    module._codes.clear()


def test_random_projection_and_callable(wide):
    y, t, _ = wide
    one, two = (compressed(y, t, compressor="random", seed=s).value for s in (0, 1))
    assert one != two
    first = compressed(y, t, compressor=lambda a: a[:, :3])
    assert first.value == get("mi.ksg")(y, t[:, :3]).value
    with pytest.raises(InputError, match="one row a sample"):
        compressed(y, t, compressor=lambda a: a[:5])


def test_noise_lowers_information_and_is_seeded(wide):
    _, t, x = wide
    quiet = compressed(x, t).value
    loud = compressed(x, t, noise=1.0, rng=1)
    assert loud.value < quiet - 0.1
    assert loud.value == compressed(x, t, noise=1.0, rng=1).value
    assert loud.value != compressed(x, t, noise=1.0, rng=2).value
    dead = np.maximum(t, 0)
    noisy = module.noisy(
        dead, {"noise": 0.5, "noise_kind": "multiplicative"}, np.random.default_rng(0)
    )
    assert ((dead == 0) == (noisy == 0)).all()


def test_bootstrap_error_is_of_the_size_of_the_true_spread():
    task = truth.gaussian(0.7)
    values = [compressed(*task.sample(300, s)).value for s in range(20)]
    said = np.mean(
        [compressed(*task.sample(300, s), error="bootstrap", rng=s).stderr for s in range(4)]
    )
    assert said == pytest.approx(np.std(values), rel=0.6)


def test_constant_layer_and_self_reference(wide):
    y, t, _ = wide
    assert compressed(y, np.ones((300, 9))).status is Status.DEGENERATE
    with pytest.raises(InputError, match="another estimator"):
        compressed(y, t, inner="mi.compressed")
    assert math.isfinite(compressed(y, t * 1e200).value)


def test_fast_null_equals_the_loop(wide):
    y, t, _ = wide
    fast = card("mi.compressed").null(y, t, draws=3, rng=np.random.default_rng(0))
    rng = np.random.default_rng(0)
    slow = [compressed(rng.permutation(y), t).value for _ in range(3)]
    np.testing.assert_allclose(fast, slow, atol=1e-10)
    by_loop = card("mi.compressed").null(t, t, draws=2, inner="mi.gaussian")
    assert by_loop.shape == (2,)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"inner": "rank.effective"}, "an estimator of information; got 'rank.effective'"),
        ({"inner_params": {"foo": 1}}, "`mi.ksg` has no parameter `foo`"),
    ],
)
def test_what_cannot_be_inside_is_refused_by_name(wrong, words):
    t = np.random.default_rng(0).standard_normal((40, 6))
    with pytest.raises(InputError, match=words):
        get("mi.compressed")(t[:, :2], t, **wrong)
