import importlib

import pytest

import infoplane.analysis
import infoplane.plots


@pytest.mark.parametrize("room", [infoplane.analysis, infoplane.plots])
def test_public_names_are_what_they_say_on_every_access(room):
    # A module of the same name would take the function's place after the first access.
    for name in room.__all__:
        first = getattr(room, name)
        assert callable(first), name
        assert getattr(room, name) is first
        assert room._PUBLIC[name] != name
        assert importlib.import_module(f"{room.__name__}.{room._PUBLIC[name]}")


@pytest.mark.parametrize("room", [infoplane.analysis, infoplane.plots])
def test_unknown_names_are_refused(room):
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        room.nothing_of_the_kind  # noqa: B018
