# Everything a newcomer needs: make demo, make test, make check. The first call sets up .venv.
#   PYTHON=/path/to/python3.12   which Python to make .venv with (3.11 to 3.13; else the first one found)
#   DATA=folder                  what `make bench` runs on
# pip takes packages from wherever it is configured to (PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf).

SHELL := /bin/bash
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(firstword $(wildcard ../shared/data/clothing_small examples/clothing))
CODE := src tests examples benchmarks scripts
PYTEST ?=

.DEFAULT_GOAL := help
.PHONY: help demo test coverage test-network check format bench results docs browser clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.bundled ## fit a classifier on the photos in examples/clothing and write runs/demo/report.html
	@$(BIN)/headstart fit examples/clothing --out runs/demo --overwrite

TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not network"

test: $(VENV)/.dev ## run the tests (PYTEST="-k name -x" adds options)
	@$(TESTS) $(PYTEST)

coverage: $(VENV)/.dev ## run the tests and count the lines of src/ that they reach: at least 90 % (half as long again)
	@$(TESTS) --cov --cov-report=term:skip-covered --cov-fail-under=90 $(PYTEST)

test-network: $(VENV)/.dev ## run the tests that talk to a package index
	@$(BIN)/python -m pytest -q -m network $(PYTEST)

check: $(VENV)/.dev ## format, lint, types, import layers, links
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@MYPYPATH=benchmarks:benchmarks/peers $(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_house.py tests/test_layers.py

format: $(VENV)/.dev ## format and mend what can be mended
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

bench: $(VENV)/.dev ## the speed and the method comparison of docs/benchmarks.md (an hour or more; DATA=folder)
	@$(BIN)/python benchmarks/startup.py
	@$(BIN)/python benchmarks/extract.py $(DATA)
	@$(BIN)/python benchmarks/fit.py $(DATA)
	@$(BIN)/python benchmarks/methods.py $(DATA)
	@$(BIN)/python benchmarks/truncation.py $(DATA)
	@$(BIN)/python benchmarks/memory.py

results: $(VENV)/.dev ## what headstart reaches on real sets of every modality: docs/results.md (an hour)
	@$(BIN)/python benchmarks/results.py
	@$(BIN)/python benchmarks/cross_lingual.py
	@$(MAKE) --no-print-directory docs

docs: $(VENV)/.dev ## write the generated pages of docs/ again and check every link
	@$(BIN)/python scripts/generate_docs.py
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_house.py

browser: ## a browser for the report's tests: Debian's chromium, if there is none
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then \
		echo "A browser is here."; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing chromium"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "Install chromium (Debian, Ubuntu: sudo apt-get install chromium); without it the browser tests skip." >&2; exit 1; \
	fi

clean: ## remove what tools left behind; .venv and runs stay
	@rm -rf build dist .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once for each change of what is named there. pip's output is cut down to the large downloads.
install = @set -o pipefail; scripts/venv.sh $(VENV) $(PYTHON); \
	echo "Installing headstart[$(1)] into $(VENV) (minutes at first; torch is large)"; \
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(1)]' \
	| awk '/Downloading .*[MG]B\)/ { print "  " $$2, $$3, $$4; fflush() }'

$(VENV)/.bundled: pyproject.toml constraints.txt
	$(call install,bundled)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call install,dev)
	@touch $@ $(VENV)/.bundled
