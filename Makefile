# `make help` lists the targets. The work is in tools/course.py, which also runs where there is no make, as on Windows.
PYTHON ?= python3
# PyTorch's own wheels, for example https://download.pytorch.org/whl/cpu: without CUDA, and 2.5 GB less to download.
TORCH_INDEX ?=
REPO ?=
TAG ?= v1
RESET ?=
NOTEBOOKS ?=
COURSE = "$(PYTHON)" tools/course.py
BIN := .venv/bin

export TORCH_INDEX

.PHONY: help setup course test unit test-oldest test-newest notebooks assignment lab badges bench sweep verify timings lint doctor clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: _python ## install everything into .venv and prepare the laboratory (models, data, the dense model)
	$(COURSE) setup

course: _python ## the whole course: set up, execute a copy of every notebook into build/, print a table
	$(COURSE) course

test: _python ## set up, then lint, unit tests, the audit of the notebooks, strict nbval on every notebook
	$(COURSE) test $(NOTEBOOKS)

unit: _python ## the tests that need no laboratory: no model, no data, no notebook
	$(COURSE) unit

test-oldest: _python ## unit tests and four notebooks on the oldest versions that are allowed, in .venv-oldest
	$(COURSE) test-oldest

test-newest: _python ## all tests on the newest versions of everything, in .venv-newest
	$(COURSE) test-newest

notebooks: _python ## authors: execute each notebooks/source/*.py whose code changed into its notebook
	$(COURSE) notebooks

assignment: _python ## teachers: the exercises as an nbgrader assignment, in build/assignment
	$(COURSE) assignment

lab: _python ## open your own copy of the course in JupyterLab; RESET=wanda: a fresh copy of that lesson
	$(COURSE) lab $(if $(RESET),--reset $(RESET))

badges: _python ## point every launch badge to REPO=owner/name TAG=v1
	$(COURSE) install
	$(BIN)/python -m tools.badges "$(REPO)" "$(TAG)"

bench: setup ## measure against other libraries, side by side
	for script in benchmarks/bench_*.py; do $(BIN)/python "$$script" || exit 1; done

sweep: setup ## the course's experiments into results/sweep, about two hours; goes on where it was stopped
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pruning_course sweep --jobs 2
	HF_HUB_OFFLINE=1 $(BIN)/python -m pruning_course shapes --output results/shapes.csv
	$(BIN)/python -m pruning_course report results/sweep

verify: setup ## measure ten numbers of the course on this machine and compare them with ours, about two minutes
	HF_HUB_OFFLINE=1 $(BIN)/python -m pruning_course verify

timings: _python ## measure seconds and memory of each notebook, with all threads and with one, into docs/timings.md
	$(COURSE) timings

lint: _python ## ruff: the rules and the format; the workflows
	$(COURSE) lint

doctor: _python ## say what this machine has: versions, threads, memory, models and data
	$(COURSE) doctor

clean: ## remove what was built (.venv, my_course and the laboratory's cache stay)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis docs/_build

.PHONY: _python
_python:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON): install Python 3.11-3.14, or say make PYTHON=/path/to/python." >&2; exit 1; }
