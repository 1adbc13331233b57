# Everything sets itself up: a virtual environment in .venv, from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# One process a core, of one thread each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

.PHONY: demo test check docs dist qgis-plugin test-qgis clean

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

# A zip for QGIS: Plugins > Manage and Install Plugins > Install from ZIP.
qgis-plugin: $(READY)
	$(BIN)/python integrations/qgis/build.py

# In the real QGIS, without a window; on Debian it is installed first (1.2 GB).
test-qgis: $(READY)
	@command -v qgis_process >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update && apt-get install -y --no-install-recommends qgis python3-qgis; } || \
		{ echo "QGIS is missing: install it, or run this as root on Debian" >&2; exit 2; }
	OMP_NUM_THREADS=1 QT_QPA_PLATFORM=offscreen $(BIN)/pytest tests/test_qgis.py

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
