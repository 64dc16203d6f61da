# Everything that people and CI type; each target sets up what it needs.
# A second call takes seconds: stamp files in .venv remember which lock was installed.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for name in python3.12 python3.11 python3.13 python3; do \
            if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$name; break; fi; done)
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test check lint types contracts docs audit schema bench chaos lock clean

help:  ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# `exec`, so that Ctrl-C and SIGTERM reach MindBot itself and not a shell around it.
run: $(VENV)/.run  ## start everything on this machine (PORT, default 8000)
	@exec $(BIN)/mindbot up

# Most tests wait more than they compute, so four at a time; the flows, which look at the clock, go alone. The order
# is that of tests/conftest.py, longest files first. What fails is tried once more and told at the end all the same;
# not so the flows and the kill tests: they are what is promised.
test: check  ## lint, types, contracts, docs, audit; then all tests
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --reruns 1 -m "not chaos" --ignore tests/flows
	$(BIN)/pytest tests/flows
	$(BIN)/pytest -n 3 --dist load -m chaos

check: lint types contracts schema docs audit  ## everything but the tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

docs: $(VENV)/.dev  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

schema: $(VENV)/.dev
	@$(BIN)/mindbot config schema | diff -u docs/mindbot.schema.json - || { \
	  echo "docs/mindbot.schema.json is out of date: mindbot config schema --output docs/mindbot.schema.json" >&2; exit 1; }

audit: $(VENV)/.dev
	$(BIN)/python -m tests.audit

bench: $(VENV)/.dev  ## measure; the table goes to docs/performance.md
	$(BIN)/python -m benchmarks

chaos: $(VENV)/.dev  ## the long kill test, 200 kills, 10,000 messages; a long walk through the states of the ledger
	$(BIN)/python -m tests.chaos --kills 200 --messages 10000
	HYPOTHESIS_PROFILE=long $(BIN)/pytest -n 2 tests/stores/test_state_machine.py

# The lock holds for every platform and no package index is written into it.
lock:  ## write requirements.txt and requirements-dev.txt anew from pyproject.toml
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --disable-pip-version-check install --quiet uv
	$(VENV)-lock/bin/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --quiet pyproject.toml -o requirements.txt
	$(VENV)-lock/bin/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --quiet --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	rm -rf $(VENV)-lock

clean:  ## remove what was built; .venv and the data in var/ stay
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "MindBot needs Python 3.11 or newer; found: $$(python3 --version 2>&1)" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "MindBot needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no ensurepip; install it first (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# --no-deps: the lock is complete, so nothing is resolved anew. A .pth file and a two-line script make the checkout
# the installed program; building a package for that would need a build tool from the network.
$(VENV)/.run: requirements.txt pyproject.toml .ci/install_checkout.py | $(BIN)/python
	@echo "installing the locked packages into $(VENV); the first time this takes a minute or two"
	@test -e $(VENV)/.dev && test $(VENV)/.dev -nt requirements.txt || $(PIP) install -qq --no-deps -r requirements.txt
	@$(BIN)/python .ci/install_checkout.py
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml .ci/install_checkout.py | $(BIN)/python
	@echo "installing the locked packages and developer tools into $(VENV); the first time this takes a few minutes"
	@$(PIP) install -qq --no-deps -r requirements-dev.txt
	@$(BIN)/python .ci/install_checkout.py
	@touch $@
