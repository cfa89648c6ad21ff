# Two commands: `make demo` runs the main job, `make test` passes the tests. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin

demo: .venv/ready
	$(BIN)/infoplane demo

test: .venv/ready
	$(BIN)/python -m pytest -n auto

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

.PHONY: demo test
