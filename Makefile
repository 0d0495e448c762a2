# `make help` lists the targets. The set-up (.venv/.installed) is redone only when one of the three files it depends on changed.
PYTHON ?= python3
REPO ?=
TAG ?= v1
BIN := .venv/bin
NOTEBOOKS = $(wildcard notebooks/*.ipynb notebooks/solutions/*.ipynb)
# The sources, not the notebooks made from them.
CODE := $(wildcard benchmarks notebooks/source pruning_course tests tools)
# Notebooks and tests never reach for a network and draw no progress bars; the set-up does both.
# SPYDER_BARS makes tqdm take its console bars in a kernel: those of notebooks do not read TQDM_DISABLE.
QUIET := HF_HUB_OFFLINE=1 TQDM_DISABLE=1 SPYDER_BARS=1 HF_HUB_DISABLE_PROGRESS_BARS=1

export TRANSFORMERS_VERBOSITY := error
export TOKENIZERS_PARALLELISM := false
# The kernel is the python3 of .venv, whatever else is installed for the user; figures belong to the kernel's inline backend.
export JUPYTER_PREFER_ENV_PATH := 1
unexport MPLBACKEND

.PHONY: help setup course test notebooks assignment lab badges bench sweep timings lint doctor clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed ## install everything into .venv and prepare the laboratory (models, data, the dense model)
	$(BIN)/python -m pruning_course.lab

course: setup ## the whole course: set up, execute a copy of every notebook into build/, print a table
	$(BIN)/python tools/notebooks.py course

test: setup lint ## set up, then ruff, unit tests, the audit of the notebooks, strict nbval on every notebook
	$(QUIET) $(BIN)/python -m pytest tests
	$(QUIET) $(BIN)/python -m pytest --nbval --nbval-cell-timeout=600 $(or $(NOTEBOOKS),notebooks)

notebooks: setup ## authors: execute each notebooks/source/*.py that changed into its notebook
	$(BIN)/python tools/notebooks.py build

assignment: setup ## teachers: the exercises as an nbgrader assignment, in build/assignment
	$(QUIET) $(BIN)/python -m tools.assignment

lab: setup ## open the course in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. notebooks/00_start_here.ipynb

badges: .venv/.installed ## point every launch badge to REPO=owner/name TAG=v1
	$(BIN)/python tools/badges.py "$(REPO)" "$(TAG)"

bench: setup ## measure against other libraries, side by side
	for script in benchmarks/bench_*.py; do $(BIN)/python "$$script" || exit 1; done

sweep: setup ## the lecture's experiments into results/sweep, about 80 minutes; goes on where it was stopped
	HF_HUB_OFFLINE=1 $(BIN)/python -m pruning_course sweep
	$(BIN)/python -m pruning_course report results/sweep

timings: setup ## measure seconds and memory of each notebook and write docs/timings.md
	$(BIN)/python tools/notebooks.py course --table docs/timings.md

lint: .venv/.installed ## ruff: the rules and the format
	$(BIN)/ruff check $(CODE) && $(BIN)/ruff format --check $(CODE)

doctor: .venv/.installed ## say what this machine has: versions, threads, memory, wheels
	$(BIN)/python -m pruning_course doctor

clean: ## remove what was built (.venv and the laboratory's cache stay)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis docs/_build

.venv/.installed: pyproject.toml constraints.txt requirements-lab.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON): install Python 3.10-3.13, or say make PYTHON=/path/to/python." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; (3, 10) <= v[:2] <= (3, 13) or sys.exit(f"This is Python {v[0]}.{v[1]}; the course needs 3.10-3.13: say make PYTHON=/path/to/python.")'
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[notebooks,test]"
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r requirements-lab.txt
	@touch $@
