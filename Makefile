# On a machine with Python 3.11 to 3.13 and nothing else, each target does its own set-up.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	&& echo $$p && break; done)
BIN := .venv/bin

.PHONY: setup demo test lint proof clean

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "handbench needs Python 3.11 to 3.13; name one: make PYTHON=/path/to/python3" >&2; exit 3; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# the whole chain on a synthetic hand: synthesise, prepare, train, predict, score, print, time, draw
demo: setup
	$(BIN)/handbench demo

# everything that proves the product in minutes
test: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not proof"

lint: setup
	$(BIN)/ruff check handbench tests benchmarks
	$(BIN)/ruff format --check handbench tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# what takes longer; its figures are kept under results/proof/
proof: setup
	$(BIN)/python -m pytest -q -m proof

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
