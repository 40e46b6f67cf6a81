# Each target does its own set-up in .venv, from a fresh clone: it needs python3 (3.11 or later),
# make and the network. What is set up already is left alone.

PYTHON ?= python3
AUDIO ?= examples/two_voices.flac
# Set it to torch==2.13.0+cpu, with PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu, where
# the wheel of the default index would bring the libraries of a GPU along.
TORCH ?= torch==2.13.0

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export AUDIO

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean
.DELETE_ON_ERROR:

help:
	@echo "make demo               separate examples/two_voices.flac into the folder demo"
	@echo "make demo AUDIO=path    separate a recording of your own"
	@echo "make test               run the tests"
	@echo "make lint               check style and types"
	@echo "make clean              remove what the others made, .venv too"

demo: .venv/.base
	@$(BIN)/vsat separate -o demo -- "$$AUDIO"
	@echo "Look at the picture and listen to the voices in: $(CURDIR)/demo"
	@echo
	@echo "Try next:"
	@echo "  make demo AUDIO=path/to/your/recording.wav"
	@echo "  $(BIN)/vsat models                         what is registered"
	@echo "  $(BIN)/vsat show voice_separator_default   where the model comes from"
	@echo "  $(BIN)/vsat separate --help                engines, precision, JSON"
	@echo "  $(BIN)/vsat doctor                         whether all is well"

test: .venv/.dev
	$(BIN)/python -m pytest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamps: a step is done again only when what it was made from has changed.

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vsat needs Python 3.11 or later; name one with: make PYTHON=python3.12"; exit 1; }
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.base: pyproject.toml .venv/.created
	@echo "Installing vsat into .venv"
	@$(PIP) install --editable .
	@touch $@

.venv/.dev: .venv/.base
	@echo "Installing what the tests and the tuner need into .venv; this takes some minutes"
	@$(PIP) install '$(TORCH)'
	@$(PIP) install --editable '.[tune,onnxruntime,dev]'
	@touch $@
