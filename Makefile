.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.installed  ## make the environment in .venv

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "limbeck needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Set PYTHON=python3.11 (or newer)")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(PIP) install --quiet --constraint constraints.txt --editable ".[demo,teach,leaks,report,export,serve,dev]"
	touch $@

demo: setup  ## the whole story on the built-in collection, into demo-out/
	HF_HUB_OFFLINE=1 $(BIN)/limbeck demo --output demo-out

test: setup  ## all tests, without the network; a process for each core
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup  ## speed and memory beside the peers, in one run (makes their environments)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/run.py

clean:  ## remove the environment and what demo wrote
	rm -rf $(VENV) demo-out

.PHONY: help setup demo test lint bench clean
