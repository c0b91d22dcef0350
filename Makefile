.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KILLS ?= 1
PIP := $(BIN)/python -m pip --disable-pip-version-check

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.installed  ## make the environment in .venv

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "limbeck needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Set PYTHON=python3.11 (or newer)")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(PIP) install --quiet --constraint constraints.txt --editable ".[demo,teach,leaks,report,export,serve,docs,dev]"
	touch $@

demo: setup  ## the whole story on the built-in collection, into demo-out/
	HF_HUB_OFFLINE=1 $(BIN)/limbeck demo --output demo-out

test: setup  ## all tests, without the network; a process for each core
	PYTHONDONTWRITEBYTECODE= HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-cluster: setup  ## a study on local processes, Slurm and Ray, harassed; KILLS=50 for the long version; installs both as root
	$(PIP) install --quiet --constraint constraints.txt --editable ".[ray]" || echo "Ray cannot be installed here; its tests are skipped"
	if [ "$$(id -u)" = 0 ] && ! command -v slurmctld >/dev/null; then \
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge) \
		>/dev/null || echo "Slurm cannot be installed here; its tests are skipped"; fi
	LIMBECK_TEST_CLUSTER=1 LIMBECK_TEST_KILLS=$(KILLS) HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -s tests/cluster

test-clients: setup  ## the clients of re-rank services against `limbeck serve`; installs each into an environment of its own
	LIMBECK_TEST_CLIENTS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -rs tests/serve/test_clients.py

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup  ## speed and memory beside the peers, in one run (makes their environments)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/run.py

docs: setup  ## the documentation site, into build/site; a broken link is an error
	$(BIN)/python docs/assemble.py
	$(BIN)/zensical build --strict --clean

clean:  ## remove the environment and what demo and docs wrote
	rm -rf $(VENV) demo-out build

.PHONY: help setup demo test test-cluster test-clients lint bench docs clean
