"""What a plain ``import infoplane`` costs and offers."""

import json
import subprocess
import sys

import pytest

import infoplane

HEAVY = ("torch", "panel", "holoviews", "bokeh", "pandas", "xarray", "scipy", "numpy")


def modules_after(statement):
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(out.stdout))


def test_import_loads_nothing_heavy():
    loaded = modules_after("import infoplane; dir(infoplane)")
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("room", ["estimators", "store", "truth", "tasks", "analysis"])
def test_rooms_without_tensors_load_neither_torch_nor_panel(room):
    loaded = modules_after(f"import infoplane; infoplane.{room}")
    assert not loaded & {"torch", "panel", "holoviews", "bokeh"}


def test_the_whole_catalogue_loads_without_torch():
    loaded = modules_after("import infoplane; infoplane.estimators.catalogue()")
    assert not loaded & {"torch", "panel"}


def test_the_demo_starts_its_page_before_it_loads_torch():
    loaded = modules_after("import infoplane.demo")
    assert not loaded & {"torch", "panel", "pandas", "scipy"}


def test_the_server_answers_before_it_loads_what_the_first_page_does_not_need():
    loaded = modules_after("import infoplane.views.serve")
    assert not loaded & {"torch", "pandas", "xarray", "scipy", "holoviews"}


def test_every_public_name_resolves():
    for name in infoplane.__all__:
        assert getattr(infoplane, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'planes'"):
        infoplane.planes  # noqa: B018
