# Each target sets up what it needs. PYTHON chooses the Python that .venv is made from.
export PYTHON ?= python3
export RETICULATE_PYTHON := $(CURDIR)/.venv/bin/python
export R_LIBS := $(CURDIR)/.Rlib

SOURCES := $(shell find python R man inst/extdata vignettes DESCRIPTION NAMESPACE -type f \
             -not -name '*.pyc' 2>/dev/null)

.PHONY: demo test torture bench check setup system document clean

demo: setup        ## train NT, R-AT and SENSE-AT on the MNIST sample; table and picture
	tools/demo

test: setup        ## pytest, testthat, R CMD check
	tools/test

MINUTES ?= 10
torture: .setup/torture  ## kills, damaged files, full disks ... for MINUTES; failures are kept in torture/
	.venv/bin/python -m tests.torture --minutes $(MINUTES)

bench: setup .setup/bench  ## timings beside other packages; BENCH="attack epoch" chooses
	.venv/bin/python -m bench $(BENCH)

check: setup       ## R CMD build and check alone
	tools/check

document: setup    ## NAMESPACE and man/ from the comments in R/ (needs roxygen2)
	Rscript -e 'roxygen2::roxygenise()'

setup: system .setup/python .setup/r

system:
	tools/system-packages

.setup/python: pyproject.toml python/sense/requirements.txt constraints/debian12.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints/debian12.txt --editable '.[attacks,dev,r]'
	mkdir -p .setup && touch $@

# Without a build of atheris for this Python, the part that needs it says that it is left out.
.setup/torture: .setup/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[torture]' \
	  --constraint constraints/debian12.txt || true
	touch $@

.setup/bench: .setup/python bench/requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --requirement bench/requirements.txt
	touch $@

.setup/r: $(SOURCES)
	mkdir -p .Rlib .setup
	R CMD INSTALL --no-docs --no-test-load --library=.Rlib . >.setup/r.log 2>&1 || (cat .setup/r.log; false)
	touch $@

clean:             ## remove all that make made
	rm -rf .setup .Rlib .venv check demo torture
