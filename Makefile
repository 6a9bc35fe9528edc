# Everything runs in .venv/, which these targets create and complete when it is missing or out of date.
#
#   make demo       install, fetch the default model, show real completions
#   make test       everything a change must pass (the same as CI)
#   make dashboard  build the page that the daemon serves; needs Node.js and npm
#   make check      formatting, lint, types, layers: seconds, no model
#   make bench      measure again and write benchmarks/results/ (long; quiet machine)
#   make goals      print every goal beside its measured value
#
# PYTHON=...      the interpreter to build .venv from (3.11 or later)
# PIP_FLAGS=...   extra flags for pip, such as a mirror or a folder of wheels with a CPU build of torch
# PYTEST_FLAGS=.. extra flags for pytest, such as -k or -x
# BENCH_FLAGS=... see CONTRIBUTING.md, "Benchmarks"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.fimble-installed
TEST_INSTALLED := $(VENV)/.fimble-test-installed

PYTHON ?=
PIP_FLAGS ?=
PYTEST_FLAGS ?=
BENCH_FLAGS ?=

# The first interpreter that really starts and is new enough; a shim on PATH may do neither.
define FIND_PYTHON
found=""; \
for candidate in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3.14 python3); do \
  if "$$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
    found="$$candidate"; break; \
  fi; \
done; \
if [ -z "$$found" ]; then \
  echo "make: no Python 3.11 or later with the venv module found; install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; \
  exit 1; \
fi
endef

.PHONY: help demo test check dashboard bench goals clean
help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

$(BIN)/python:
	@$(FIND_PYTHON); \
	echo "creating $(VENV)/ with $$($$found --version)"; \
	"$$found" -m venv --clear $(VENV)

# --group needs pip 25.1.
$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing fimble into $(VENV)/ (torch is the large part)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e .
	@touch $@

$(TEST_INSTALLED): $(INSTALLED)
	@echo "installing the tools for tests into $(VENV)/"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e . --group test
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/fimble models pull
	@$(BIN)/python docs/demo.py

check: $(TEST_INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/editors/check_extension.py

# What it makes is committed, so that nobody needs Node.js to install fimble.
dashboard:
	cd lsp_server/dashboard && npm ci --ignore-scripts --no-audit --no-fund && npm run build

test: check
	$(BIN)/fimble models pull
	$(BIN)/python tests/editors/install.py $(PIP_FLAGS)
	$(BIN)/pytest $(PYTEST_FLAGS)

bench: $(TEST_INSTALLED)
	$(BIN)/python -m benchmarks $(BENCH_FLAGS)

goals: $(TEST_INSTALLED)
	@$(BIN)/python -m benchmarks.goals

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
