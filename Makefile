# Everything sets itself up: a .venv with pinned dependencies, and the programs the tests drive (in .tools/).
# `make run ARGS="--count 20"` passes options on; `make test TESTS=tests/mqtt` runs a part.
.DEFAULT_GOAL := help
.PHONY: help run test docs lint collected format test-web screenshots soak bench hardware setup setup-test clean
SHELL := /bin/sh
# Whatever the caller says: every `buoy` that a test starts would compile the whole program again.
export PYTHONDONTWRITEBYTECODE :=
BIN := .venv/bin
FLEET ?=
ARGS ?=
PORTS ?=
TESTS ?= tests
# Tests wait half of their time: five workers for two cores.
# In the order that tests/conftest.py gives, not by how many tests a file has.
BY_FILE := --dist loadfile --no-loadscope-reorder
# Seconds for a test that has no limit of its own.
SOAK_LIMIT := 600
# Tests that draw their examples: `make soak` draws new ones each time, `make test` the same ones.
PROPERTIES = $$(grep -rlE '^from hypothesis import .*given|^import hypothesis' tests --include='test_*.py')

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1 | /p' Makefile | awk -F'|' '{ printf "%-18s%s\n", $$1, $$2 }'

run: setup ## the fleet of boards.yaml against the local twin, to the verdict
	@$(BIN)/buoy run $(FLEET) $(ARGS)

test: setup-test ## every check and every test
	@$(MAKE) --no-print-directory -j 2 lint collected
	$(BIN)/pytest -n 5 $(BY_FILE) $(TESTS)

# Compiles the tests once, while the types are checked; else each of the workers would. Their run says what fails.
collected: setup-test
	@$(BIN)/pytest --collect-only -q $(TESTS) >/dev/null 2>&1 || true

lint: setup-test ## format, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup-test ## let ruff rewrite what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-web: setup-test ## the browser interface in Chromium, which the system must have
	$(BIN)/pytest -m web --timeout $(SOAK_LIMIT) tests/web

screenshots: setup-test ## pictures of every page of the browser interface, in docs/screenshots
	$(BIN)/python tests/web/screenshots.py

soak: setup-test ## the long tests that `make test` leaves out, and property tests with new examples
	$(BIN)/pytest -n 4 $(BY_FILE) -m soak --timeout $(SOAK_LIMIT) $(TESTS)
	$(BIN)/pytest -n 2 $(BY_FILE) --timeout $(SOAK_LIMIT) --hypothesis-profile explore $(PROPERTIES)

bench: setup-test ## every benchmark, one after another
	@set -e; for file in benchmarks/[!_]*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

docs: setup-test ## the documentation as a site, in dist/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "to read it: $(BIN)/python -m http.server --directory dist/site"

hardware: setup-test ## tests on attached boards, e.g. PORTS="/dev/ttyUSB0 /dev/ttyUSB1"; report of differences
	$(BIN)/python tests/hardware/on_boards.py $(PORTS)

setup: ## only the set-up of `make run`
	@tools/setup.sh run

setup-test: ## only the set-up of `make test`
	@tools/setup.sh test

clean: ## remove the set-up and all caches; runs/ stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
