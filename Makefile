# Everything sets itself up: a virtual environment in .venv, from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# One process a core, of one thread each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

.PHONY: demo test check docs dist clean

demo: $(READY)
	$(BIN)/cmsr demo -o demo --overwrite

test: $(READY)
	$(PYTEST)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PYTEST)

# The pages, in site/; a warning is an error.
docs: $(READY)
	$(BIN)/python -m docs.benchmark_tables
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Wheel and sdist, checked and tried on each Python that is there.
dist: $(READY)
	.ci/dist $(BIN)/python

clean:
	rm -rf .venv demo dist out site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "cmsr needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@
