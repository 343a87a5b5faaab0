PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/pip --quiet --disable-pip-version-check
# TORCH_INDEX: address of a package index whose torch brings no CUDA libraries.
# WHEELHOUSE: a folder made by `make wheelhouse`; everything is then taken from there, without a net.
TORCH_INDEX ?=
WHEELHOUSE ?=
WORKERS ?= 2
TORCH = --no-deps torch torchvision -c constraints.txt
OFFLINE = $(if $(WHEELHOUSE),--no-index --find-links $(abspath $(WHEELHOUSE)))

.PHONY: help install wheelhouse demo test check lab class notebooks site slides clean
help:            ## list what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(VENV)/.installed   ## make .venv with pinned dependencies
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
ifneq ($(TORCH_INDEX),)
	$(PIP) install $(TORCH) --index-url $(TORCH_INDEX)
endif
	$(PIP) install $(OFFLINE) -e '.[notebooks]' -c constraints.txt
	@touch $@

$(VENV)/.developed: pyproject.toml constraints.txt | install
	$(PIP) install $(OFFLINE) -e '.[dev,matting,ray,site,video]' -c constraints.txt
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 install"; exit 1; }
	$(PYTHON) -m venv $(VENV)

wheelhouse: | $(BIN)/python   ## collect in wheelhouse/ all that make install needs on machines like this one
ifneq ($(TORCH_INDEX),)
	$(PIP) wheel $(TORCH) --index-url $(TORCH_INDEX) --wheel-dir wheelhouse
endif
	$(PIP) wheel --find-links wheelhouse --wheel-dir wheelhouse '.[notebooks]' 'setuptools>=80' -c constraints.txt
	rm -f wheelhouse/deepcut_lib-*.whl

demo: install    ## segment every picture in data/ into results/
	$(BIN)/python -m deepcut_lib segment data/images --masks data/masks --refine --out results

test: $(VENV)/.developed  ## run the test suite, in WORKERS processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(VENV)/.developed ## lint and check types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lab: install     ## open JupyterLab on notebooks/
	$(BIN)/jupyter lab notebooks

class: install   ## make class/student and class/teacher from notebooks/
	$(BIN)/python -m deepcut_lib class

notebooks: install ## run every notebook and save it with its outputs
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
	  --log-level=WARN notebooks/*.ipynb
	$(BIN)/python docs/thumbnails.py

site: $(VENV)/.developed ## make site/ from lessons, guide, results and docstrings, and check its links
	$(BIN)/python -m sphinx -b html -c docs --fail-on-warning --keep-going --quiet . site
	$(BIN)/python -m docs.links site

slides: $(VENV)/.developed ## make slides/ from the saved lessons
	$(BIN)/python -m docs.slides notebooks/*.ipynb --out slides
	$(BIN)/python -m docs.links slides

clean:           ## remove results and caches, keep .venv
	rm -rf results site slides .pytest_cache .mypy_cache .ruff_cache
