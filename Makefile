# `make demo` and `make test` set up their own .venv from nothing but Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all lint lock clean

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Exit code 4 of generate: the minutes are used up, and what there is is told.
demo: $(VENV)/.installed
	rm -rf runs/demo
	$(BIN)/questwell generate --corpus factbook --seeds 8 --llm local --steps 2..3 --max-minutes 7 --out runs/demo || [ $$? -eq 4 ]
	$(BIN)/questwell status runs/demo
	$(BIN)/questwell show runs/demo
	$(BIN)/questwell show runs/demo first

test: lint
	$(BIN)/pytest -m "not slow"

test-all: lint
	$(BIN)/pytest

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

lock: ## renew requirements/dev.txt from pyproject.toml (needs uv)
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --all-extras --group dev \
	  pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache
