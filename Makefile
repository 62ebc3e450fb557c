# `make demo` and `make test` set everything up; they need only Python 3.10 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Test processes; each uses one torch thread.
WORKERS ?= 2

.PHONY: demo test test-slow lint bench docs

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c "import sys; sys.exit('anchor-hub needs Python 3.10 or newer, this is ' + sys.version.split()[0] + ': run make PYTHON=/path/to/newer/python') if sys.version_info < (3, 10) else None"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $(STAMP)

demo: $(STAMP)
	@mkdir -p demo
	$(BIN)/anchor translate --from seg --to face domains/anchor_faces/samples/seg --grid demo/seg-to-face.png

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow --timeout 3600 $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(STAMP)
	$(BIN)/python -m anchor_cli.reference docs/cli.md
