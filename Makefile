PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test check lab notebooks site slides clean
help:            ## list what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(VENV)/.installed   ## make .venv with pinned dependencies
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 install"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[notebooks,dev]' -c constraints.txt
	@# Notebooks may import torch before deepcut_lib; see deepcut_lib/threads.py
	$(BIN)/python -m ipykernel install --sys-prefix --env GOMP_SPINCOUNT 3000 >/dev/null
	@touch $@

demo: install    ## segment every picture in data/ into results/
	$(BIN)/python -m deepcut_lib segment data/images --masks data/masks --refine --out results

test: install    ## run the test suite
	$(BIN)/python -m pytest

check: install   ## lint and check types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lab: install     ## open JupyterLab on notebooks/
	$(BIN)/jupyter lab notebooks

notebooks: install ## run every notebook and save it with its outputs
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
	  --log-level=WARN notebooks/*.ipynb
	$(BIN)/python docs/thumbnails.py

$(VENV)/.site: pyproject.toml constraints.txt | install
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[site]' -c constraints.txt
	@touch $@

site: $(VENV)/.site ## make site/ from lessons, guide, results and docstrings, and check its links
	$(BIN)/python -m sphinx -b html -c docs --fail-on-warning --keep-going --quiet . site
	$(BIN)/python -m docs.links site

slides: $(VENV)/.site ## make slides/ from the saved lessons
	$(BIN)/python -m docs.slides notebooks/*.ipynb --out slides
	$(BIN)/python -m docs.links slides

clean:           ## remove results and caches, keep .venv
	rm -rf results site slides .pytest_cache .mypy_cache .ruff_cache
