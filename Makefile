# Two commands to begin with: `make demo` and `make test`. They need Python 3.11 or later, and nothing else.

MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
SERVICES := workflowexecution datastorage gateway aianalysis notification remediationorchestrator signalprocessing

.PHONY: help setup docs demo test test-long coverage test-e2e $(SERVICES:%=test-e2e-%) test-kubernetes test-regress lint format bench lock clean

help:  ## List what make can do
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / { printf "make %-28s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed  ## The virtual environment, from requirements.lock

demo: setup  ## The main job on real migrations: plan, apply, verify, look, tear down
	@$(BIN)/python examples/demo.py

test: setup  ## All tests; six to eight minutes on two cores
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal --doctest-modules tests src datastorage/src

test-long: setup  ## The tests again, with thousands of random histories and hundreds of kills
	@PGSLATE_LONG=1 $(BIN)/python -m pytest -q -n 2 tests

coverage: setup  ## All tests, and which lines and branches they don't reach; htmlcov/index.html shows them
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal --cov --cov-report=term --cov-report=html tests

test-e2e: $(SERVICES:%=test-e2e-%)  ## The seven services' end-to-end suites

$(SERVICES:%=test-e2e-%): test-e2e-%: setup  ## One service's suite
	@$(BIN)/python -m datastorage.e2e $*

test-kubernetes: setup  ## The Kubernetes tests against the current kubeconfig's cluster, in a namespace of their own
	@PGSLATE_TEST_KUBERNETES=1 $(BIN)/python -m pytest -q tests/kubernetes

test-regress: setup  ## PostgreSQL's own regression tests as catalogs, from a source tree: make test-regress PGSRC=DIR
	@$(BIN)/python -m bench.regress $(PGSRC)

lint: setup  ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup  ## Put the code into ruff's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup  ## docs/cli.md, from what --help prints
	@$(BIN)/python -m pgslate.cli.manual > docs/cli.md

bench: setup  ## The budgets, as ratios measured in one run
	@$(BIN)/python -m bench

lock:  ## Resolve both pyproject.toml anew into requirements.lock (needs uv)
	@uv pip compile pyproject.toml datastorage/pyproject.toml --all-extras --group dev --universal \
		--python-version 3.11 --no-emit-package pgslate --no-emit-package datastorage \
		--generate-hashes --no-header --no-emit-index-url --no-emit-find-links --quiet -o requirements.lock

clean:  ## Remove what make has made
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov .benchmarks build dist

# Two steps, so that a change of pyproject.toml doesn't look at every dependency again.
$(VENV)/.installed: $(VENV)/.dependencies pyproject.toml datastorage/pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		-e . -e datastorage
	@touch $@

$(VENV)/.dependencies: requirements.lock
	@for name in python3.11 python3 python3.12 python3.13 python3.14 python; do \
		if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			[ -x $(BIN)/python ] || "$$name" -m venv $(VENV); \
			break; \
		fi; \
	done
	@[ -x $(BIN)/python ] || { \
		echo "pgslate needs Python 3.11 or later with venv (Debian: apt-get install python3-venv)" >&2; \
		exit 1; \
	}
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r requirements.lock
	@touch $@
