.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup pins demo demo-train test test-slow test-docs test-browser fuzz test-kill
.PHONY: test-long docs lint doctor

# The first interpreter that really runs and can make a virtual environment (a name on PATH may be
# a dead shim). 3.12 comes last: xtcocotools has no wheel for it and needs a compiler.
PYTHON ?= $(shell for python in python3.11 python3.10 python3.12 python3; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
	2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
# Written last, so that an interrupted installation is taken up again.
STAMP := .venv/installed
DOCS_STAMP := .venv/installed-docs
# One process on each core. A test that hangs ends its process, with a traceback, and fails.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal \
	-o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
# Further options, for example `make test ARGS='-k relation'`.
ARGS ?=

help:  ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1  \2/p' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv and install the pinned requirements, where not done yet

$(STAMP): $(wildcard requirements/*.txt) setup.py
	@test -n '$(PYTHON)' || { echo 'No Python 3.10, 3.11 or 3.12 with venv was found.' \
		'Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'Installing into .venv (a minute or two; more where torch is downloaded first) ...'
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements/base.txt -r requirements/export.txt -r requirements/serve.txt \
		-r requirements/cluster.txt -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -r requirements/openmmlab.txt \
		-r requirements/mediapipe.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# Versions stay as they are where the .in files still allow them.
COMPILE := cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.10 \
	--fork-strategy fewest --no-python-downloads --annotation-style line \
	--custom-compile-command 'make pins' $(ARGS)

# Without the stamp, since pins that cannot be installed must be renewable.
$(BIN)/uv:
	$(PYTHON) -m venv .venv
	$(PIP) --constraint requirements/dev.txt uv

pins: $(BIN)/uv  ## renew requirements/*.txt from the .in files; ARGS=--upgrade takes newer versions
	$(COMPILE) base.in -o base.txt
	@# A build of torch for CUDA asks for these by itself; pinned, they would come with any build.
	cd requirements && sed '/^cuda-/d; /^nvidia-/d; /^triton/d' base.txt > base.new && mv base.new base.txt
	$(COMPILE) export.in -o export.txt
	$(COMPILE) dev.in -o dev.txt
	$(COMPILE) serve.in -o serve.txt
	$(COMPILE) cluster.in -o cluster.txt
	$(COMPILE) docs.in -o docs.txt
	$(COMPILE) browser.in -o browser.txt
	$(COMPILE) --no-deps openmmlab.in -o openmmlab.txt
	$(COMPILE) --no-deps mediapipe.in -o mediapipe.txt

demo: $(STAMP)  ## the shipped model on a real squat: joints, beside MediaPipe, and a report of the form
	$(BIN)/python tools/demo.py $(ARGS)

demo-train: $(STAMP)  ## train on synthetic clips, compare with the single-frame baseline
	$(BIN)/python tools/research/demo_train.py $(ARGS)

test: $(STAMP)  ## run the tests, but those marked slow
	$(PYTEST) -m 'not slow and not engines' $(ARGS)
	$(PYTEST) -m 'engines and not slow' $(ARGS)

test-slow: $(STAMP)  ## run the tests marked slow
	$(BIN)/python -m pytest -m slow $(ARGS)

HARNESS = PYTHONPATH=$(CURDIR):$(CURDIR)/tests OMP_NUM_THREADS=1 $(BIN)/python -m reliability

fuzz: $(STAMP)  ## spoilt inputs of every kind: a right result, or one line (minutes)
	$(HARNESS).fuzz $(ARGS)

test-kill: $(STAMP)  ## stop runs and trainings at random moments, take them up again (minutes)
	$(HARNESS).kill $(ARGS)

test-long: $(STAMP)  ## 100,000 frames, 1,000 inputs: memory, threads and files (half an hour)
	$(HARNESS).long $(ARGS)

docs: $(DOCS_STAMP)  ## build the pages of docs/ into build/docs/
	$(BIN)/python -m mkdocs build --strict $(ARGS)

test-docs: $(DOCS_STAMP)  ## run the tests that build the pages
	$(BIN)/python -m pytest -m docs $(ARGS)

test-browser: $(STAMP)  ## run the tests that open reports in headless Chromium (Debian: apt install chromium)
	$(PIP) -r requirements/browser.txt
	$(BIN)/python -m pytest -m browser $(ARGS)

$(DOCS_STAMP): $(STAMP)
	$(PIP) -r requirements/docs.txt
	@touch $@

lint: $(STAMP)  ## check the style, the pins, and that importing brings no new warning
	$(BIN)/ruff check $(ARGS) .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_requirements.py tests/test_warnings.py

doctor: $(STAMP)  ## tell what is installed, what is patched, what is wrong
	$(BIN)/rpstn doctor $(ARGS)
