# `make demo` and `make test` need nothing but Python 3.11 or later and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?=

.PHONY: fuzz spoiled demo test test-fast cluster coverage photos recipes chaos lint format bench bench-long clean help quiet bench-service

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "the venv module is missing; on Debian: apt-get install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[yolo,export,serve,search,dev]'
	@touch $(STAMP)

demo: $(STAMP) ## draw a collection, run a whole study over it, print table and report
	$(BIN)/wreckognize demo --out runs/demo

test: $(STAMP) ## all tests, the demo in a short form included; two at a time
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

test-fast: $(STAMP) ## tests that take no more than a few seconds each
	$(BIN)/pytest -m "not slow and not photos"

recipes: $(STAMP) ## each recipe with its own architecture and size, random weights, one epoch
	$(BIN)/python tests/recipes/run.py

fuzz: $(STAMP) ## every reader against coverage-guided random bytes, FUZZ_SECONDS (600) each, FUZZ_TARGETS (all)
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

spoiled: $(STAMP) ## 1,000 inputs of each type of source spoiled in more than 25 ways, and a folder of a million entries
	WRECKOGNIZE_SPOILED=1000 WRECKOGNIZE_ENTRIES=1000000 $(BIN)/pytest tests/spoiled tests/hostile/test_many_entries.py

chaos: $(STAMP) ## kill a study a hundred times within its work, half an hour or more on two cores (WRITE=--write: into the docs)
	$(BIN)/python tests/chaos/run.py $(WRITE)

coverage: $(STAMP) ## all tests with line coverage; engines and drawing are left out, the rest must reach 95 %
	$(BIN)/pytest --cov --cov-report=term-missing

quiet: $(STAMP) ## commands in plain processes, watched for connections and look-ups; some ten minutes
	WRECKOGNIZE_QUIET_LONG=1 $(BIN)/pytest tests/offline

cluster: $(STAMP) ## tests on a real Ray cluster of two local nodes and a real S3 API (installs the extra [ray], 450 MB); some ten minutes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cluster]'
	$(BIN)/pytest tests/scale

photos: $(STAMP) ## the study on real photos (WRECKOGNIZE_PHOTOS), two to five hours on two cores
	$(BIN)/python tests/photos/run.py

lint: $(STAMP) ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure speed against the usual way, less than half an hour on two cores
	$(BIN)/python benchmarks/run.py

bench-long: $(STAMP) ## the same at full size: YOLOv8x, half a million labels, 20,000 photos; some hours
	$(BIN)/python benchmarks/run.py --long

bench-service: $(STAMP) ## the service against FastAPI calling YOLO, hostile requests, memory, a killed worker; about an hour
	$(BIN)/python benchmarks/service.py

clean: ## remove what the targets above made
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
