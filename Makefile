# make demo, test, browser, slow, gpu, coverage, bench, fuzz, mutants, dist, check: each makes the environment it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test browser slow gpu coverage bench fuzz mutants dist check format

demo: $(READY)
	$(BIN)/python -m samples.demo

# One process a core, each with one thread: two threads of torch in each would wait for each other.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

# What the tests of pages need: playwright, gradio and Chromium. Without them these tests are skipped.
browser: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ui]' playwright
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get; then apt-get update -q -o Acquire::Retries=0 && apt-get install -qy --no-install-recommends chromium; \
	else echo "no Chromium: install it with your system's packages (Debian: apt install chromium)"; exit 1; fi

slow: $(READY)
	$(BIN)/python -m pytest -q -m "slow and not gpu"

gpu: $(READY)
	$(BIN)/python -m pytest -q -m gpu

# A test that fails still leaves the table of what ran.
coverage: $(READY)
	$(BIN)/python -m coverage erase
	-OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -q -n auto --dist loadfile
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m tests.rooms_covered

bench: $(READY)
	$(BIN)/pnpvideo bench -o out/bench

fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --inputs 10000 --seed 0

mutants: $(READY)
	$(BIN)/python -m tests.mutants

# The sdist and the wheel in dist/, tried in an environment of their own; some gigabytes are installed there.
dist: $(READY)
	$(BIN)/python -m tests.dist

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# PyTorch first and by itself, so that an interrupted install need not fetch it again.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,dev]'
	touch $(READY)
