# Every target sets up what it needs: `make align` and `make test` each work as the first command typed.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready

PEER := .venv-peer
PEER_READY := $(PEER)/.ready
ANNOTATORS_PEER := .venv-peer-annotators
ANNOTATORS_PEER_READY := $(ANNOTATORS_PEER)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup align test fast check lint types layers format docs kill-tests bench-training bench-labelling bench-annotators bench-arms bench-constitution

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

setup: $(READY)  ## Make the virtual environment (.venv) with everything in it

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(READY)

align: $(READY)  ## Turn the pilot into an assistant, with a report: runs/tour
	$(BIN)/alidade align

test: $(READY)  ## Run every test (slow ones too)
	$(BIN)/python -m pytest

fast: $(READY)  ## Run the tests that take seconds
	$(BIN)/python -m pytest -m "not slow"

kill-tests: $(READY)  ## Kill each training ten times: the end must be the same bytes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.kill_trainings

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/basedpyright --pythonpath $(BIN)/python

layers: $(READY)
	$(BIN)/lint-imports

format: $(READY)  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types layers test  ## What CI runs: lint, types, layers, tests

$(PEER_READY): benchmarks/constraints-peer.txt
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet -c benchmarks/constraints-peer.txt torch
	$(PEER)/bin/python -m pip install --quiet -c benchmarks/constraints-peer.txt trl peft
	$(PEER)/bin/python -m pip install --quiet --no-deps --upgrade --target $(PEER)/ppo trl==1.12.0
	@touch $(PEER_READY)

bench-training: $(READY) $(PEER_READY)  ## Measure training speed and memory beside TRL (an hour or two)
	$(BIN)/python -m benchmarks.training

bench-labelling: $(READY)  ## Measure the labelling server under load, killed meanwhile, on SQLite and PostgreSQL
	$(BIN)/python -m benchmarks.labelling

$(ANNOTATORS_PEER_READY): benchmarks/constraints-annotators-peer.txt
	$(PYTHON) -m venv $(ANNOTATORS_PEER)
	$(ANNOTATORS_PEER)/bin/python -m pip install --quiet -c benchmarks/constraints-annotators-peer.txt crowd-kit
	@touch $(ANNOTATORS_PEER_READY)

bench-annotators: $(READY) $(ANNOTATORS_PEER_READY)  ## Measure the annotator model on planted truth beside crowd-kit (minutes)
	$(BIN)/python -m benchmarks.annotators

bench-arms: align  ## Measure what pairs chosen by a scorer, and more votes a pair, do for a reward model (an hour)
	$(BIN)/python -m benchmarks.arms runs/tour

bench-constitution: $(READY)  ## Measure Constitutional AI on the pilot: speed beside plain generate, kills, what it does (an hour)
	$(BIN)/python -m benchmarks.constitution.throughput
	$(BIN)/python -m benchmarks.constitution.resumed
	$(BIN)/python -m benchmarks.constitution

docs: $(READY)  ## Build the documentation into site/
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict
