# Each target does its own set-up in .venv, from a fresh clone: it needs python3 (3.11 or later),
# make and the network. What is set up already is left alone.

PYTHON ?= python3
AUDIO ?= examples/two_voices.flac
SPEECH ?= ../shared/speech
MINUTES ?= 60
# One version for everybody. Where your index would bring the libraries of a GPU along and you have
# none, name a build for processors instead.
TORCH ?= torch==2.13.0

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export AUDIO

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint pack train package clean
.DELETE_ON_ERROR:

help:
	@echo "make demo               separate examples/two_voices.flac into the folder demo"
	@echo "make demo AUDIO=path    separate a recording of your own"
	@echo "make test               run the tests"
	@echo "make test-slow          run the tests that take minutes, too"
	@echo "make pack SPEECH=dir    pack training material into train/voices.zip"
	@echo "make train MINUTES=60   train the default model on from where it stopped"
	@echo "make package            make the packaged model from the training run"
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
	$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/.dev
	$(BIN)/python -m pytest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pack: .venv/.dev
	$(BIN)/python recipes/pack_material.py $(SPEECH) train/voices.zip

# Begins with the state that is kept in the repository, unless a run stands in train/default.
train: .venv/.dev
	test -f train/voices.zip || $(MAKE) pack
	mkdir -p train/default
	test -f train/default/checkpoint.pt || cp recipes/state/* train/default/
	OMP_WAIT_POLICY=passive $(BIN)/python recipes/train_default.py train/voices.zip train/default \
		--config recipes/default.json --minutes $(MINUTES) --threads 1 --processes 2 \
		--valid $(SPEECH)

package: .venv/.dev
	$(BIN)/python recipes/package_default.py train/default $(SPEECH)

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Asteroid is compared with: without what it trains with, which is much, its models run on the few
# packages named after it.

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
	@$(PIP) install --editable '.[tune,convert,hub,onnxruntime,dev]'
	@$(PIP) install --editable '.[evaluate]' || \
		echo "PESQ is not tested: its package is built here, which takes a C compiler."
	@$(PIP) install --no-deps asteroid asteroid-filterbanks
	@$(PIP) install requests
	@touch $@
