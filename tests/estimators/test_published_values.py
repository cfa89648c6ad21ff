"""Values that published implementations gave on these arrays, computed once by running them.

IDNNs and its fork for adaptive bins, ibsgd, scikit-learn, npeet_plus, vendi-score, repitl,
Diff-eRank, neural-collapse, LDReg, dse-dsmi, the Cauchy–Schwarz bottleneck, MCR², Information-v3.
"""

import numpy as np
import pytest

from infoplane.estimators import get

RNG = np.random.default_rng(20)
N = 120
Y = RNG.integers(3, size=N)
T = np.tanh(np.eye(3)[Y] @ RNG.standard_normal((3, 4)) + 0.5 * RNG.standard_normal((N, 4)))
X = T[:, :2] + 0.5 * RNG.standard_normal((N, 2))
RELU = np.maximum(T - 0.2, 0)
RNG.standard_normal((3, 4))  # classifier weights that no test here needs
A = RNG.standard_normal((150, 5))
B = 0.6 * A + 0.8 * RNG.standard_normal((150, 5))
ROWS = np.arange(N)

PUBLISHED = {
    "IDNNs I(X;T), bits": (
        6.016323750270035,
        lambda: get("mi.binning")(ROWS, 2 * T, compat="idnns").bits,
    ),
    "IDNNs I(T;Y), bits": (
        1.2415909686531785,
        lambda: get("mi.binning")(Y, 2 * T, compat="idnns").bits,
    ),
    "EBAB I(X;T), bits": (
        6.6046850747210994,
        lambda: get("mi.adaptive")(ROWS, RELU.astype(np.float32)).bits,
    ),
    "EBAB I(T;Y), bits": (
        1.5484986471807654,
        lambda: get("mi.adaptive")(Y, RELU.astype(np.float32)).bits,
    ),
    "ibsgd floor H(T)": (4.2942939684471355, lambda: get("mi.binning")(ROWS, RELU, width=0.07)),
    "ibsgd floor I(T;Y)": (1.0365745162061097, lambda: get("mi.binning")(Y, RELU, width=0.07)),
    "scikit-learn Ross": (0.9890238095161035, lambda: get("mi.ksg")(Y, T[:, :1], k=3)),
    "scikit-learn KSG": (0.637820012462232, lambda: get("mi.ksg")(X[:, :1], T[:, :1], k=3)),
    "npeet_plus KSG": (0.9962094288211709, lambda: get("mi.ksg")(X, T, k=4, standardise=False)),
    "Information-v3 weighted KL": (-0.18821326148891515, lambda: get("mi.kl")(A, B, k=5)),
    "Information-v3 nearest neighbour": (
        0.0,
        lambda: (
            get("mi.kl")(A[:, :2], B[:, :2], k=5, compat="published").value
            - get("mi.kl")(A[:, :2], B[:, :2], k=1).value
        ),
    ),
    "vendi-score q = 1": (3.269074452766493, lambda: get("diversity.vendi")(T)),
    "vendi-score q = 2": (2.9323085106296776, lambda: get("diversity.vendi")(T, q=2)),
    "repitl entropy": (2.252741796262823, lambda: get("entropy.renyi")(T, sigma=0.8)),
    "repitl MI with labels": (
        1.0313098789803854,
        lambda: get("mi.renyi")(Y, T, sigma=0.8, alpha=2),
    ),
    "Diff-eRank": (2.6737619230164404, lambda: get("rank.effective")(T)),
    "neural-collapse NC1": (0.09854286564176866, lambda: get("collapse.nc1")(T, Y)),
    "neural-collapse quotient": (0.2700927199296819, lambda: get("collapse.quotient")(T, Y)),
    "neural-collapse ETF error": (0.30902043053296163, lambda: get("collapse.nc2")(T, Y)),
    "LDReg moments": (2.540123260967188, lambda: get("dimension.lid")(T, k=20, method="mom")),
    "dse-dsmi, bits": (2.87091624445093, lambda: get("entropy.diffusion")(T, sigma=1.0).bits),
    "dse-dsmi t = 3, bits": (
        2.5165450854071887,
        lambda: get("entropy.diffusion")(T, sigma=0.5, t=3).bits,
    ),
    "dse-dsmi of labels, bits": (
        1.2228871786808642,
        lambda: get("mi.diffusion")(Y, T, sigma=1.0).bits,
    ),
    "dse-dsmi of clusters, bits": (
        0.9382009875131536,
        lambda: get("mi.diffusion")(X, T, sigma=1.0).bits,
    ),
    "dse-dsmi of a scalar, bits": (
        0.6540483918722734,
        lambda: get("mi.diffusion")(X[:, :1], T, sigma=1.0).bits,
    ),
    "CS-QMI": (0.3813648767453909, lambda: get("mi.cauchy_schwarz")(X, T)),
    "CS-QMI normalised": (
        0.78264840999269,
        lambda: get("mi.cauchy_schwarz")(X, T, normalised=True),
    ),
    "MCR² rate": (2.015418358319987, lambda: get("rate.coding")(T)),
    "MCR² rate reduction": (0.4949692748373713, lambda: get("rate.reduction")(T, Y)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_equals_the_published_implementation(name):
    value, ours = PUBLISHED[name]
    found = ours()
    assert getattr(found, "value", found) == pytest.approx(value, rel=1e-9, abs=1e-9)
