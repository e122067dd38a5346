# Everything from a machine with nothing but Python 3.11+ and make. See README.md.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help quickstart starter screenshots test test-fast lint types clean

help:
	@echo "make quickstart   set up, then score a clip, learn from a few ratings, and train Self-MM"
	@echo "make starter      fit the runs that come with selfmm again, to the same bytes; takes 20 minutes"
	@echo "make screenshots  draw the pictures of the app in docs/ again; needs Chromium"
	@echo "make test         set up, then run all tests"
	@echo "make test-fast    set up, then run the tests that are not slow: a minute"
	@echo "make lint types   check style and types"

# What a user installs: the core, the app, what reads recordings, and what draws pictures. Constraints pin every version.
$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "selfmm needs Python 3.11 or newer; pass PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[app,video,report]'
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/.weights: $(VENV)/.core
	$(BIN)/selfmm weights get minilm e5 tiny.en face
	touch $@

$(VENV)/.languages: $(VENV)/.weights
	$(BIN)/selfmm weights get base
	touch $@

quickstart: $(VENV)/.weights
	$(BIN)/selfmm quickstart

starter: $(VENV)/.weights
	rm -rf build/starter build/starter_minilm
	$(BIN)/selfmm starter --out build/starter
	$(BIN)/selfmm starter --encoder minilm --out build/starter_minilm
	cp -r build/starter build/starter_minilm src/selfmm/runs/

screenshots: $(VENV)/.dev $(VENV)/.weights
	$(BIN)/python tests/app/screenshots.py

test: $(VENV)/.dev $(VENV)/.languages
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test-fast: $(VENV)/.dev $(VENV)/.weights
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

clean:
	rm -rf $(VENV) quickstart
