"""`tests/` itself is on the path, so twins are imported as `from twins.x import y`.

One thread a process for numpy and torch, set before either is loaded: the tests run in parallel
processes, and threads that fight for the same cores cost ten times what they bring.

Every test draws the same in any order, on any worker and machine: shared generators begin anew,
hypothesis tries the same examples, and none of them has to be quick.
"""

import os
import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

_BEGINNINGS = pytest.StashKey()


def pytest_collection_finish(session):
    """Note how the generators of test modules stand when these have been imported."""
    session.stash[_BEGINNINGS] = {
        module: list(_beginnings(module)) for module in {item.module for item in session.items}
    }


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    for begin_anew, state in item.session.stash[_BEGINNINGS][item.module]:
        begin_anew(state)


def _beginnings(module):
    """Each generator of a module: what sets its state, and the state it has now."""
    for value in vars(module).values():
        kind = f"{type(value).__module__}.{type(value).__name__}"
        if kind == "numpy.random._generator.Generator":
            bits = value.bit_generator
            yield lambda state, bits=bits: setattr(bits, "state", state), bits.state
        elif kind == "torch._C.Generator":
            yield value.set_state, value.get_state()
