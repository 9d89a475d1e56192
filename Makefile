# Every target sets up what it needs. PYTHON is the interpreter that .venv is made with.
export PYTHON ?= python3
export RETICULATE_PYTHON := $(CURDIR)/.venv/bin/python
export R_LIBS := $(CURDIR)/.Rlib

SOURCES := $(shell find python R man inst/extdata vignettes DESCRIPTION NAMESPACE -type f \
             -not -name '*.pyc' 2>/dev/null)

.PHONY: demo test torture bench paper check site setup system document clean

demo: setup        ## train and attack NT, R-AT and SENSE-AT on the MNIST sample; table and picture
	tools/demo

test: setup        ## ruff, mypy, spelling, pytest, testthat, R CMD check
	tools/test

MINUTES ?= 10
torture: .setup/torture  ## random faults for MINUTES; failures are kept in torture/
	.venv/bin/python -m tests.torture --minutes $(MINUTES)

bench: setup .setup/bench  ## times compared with other packages; BENCH="attack epoch" selects sections
	.venv/bin/python -m bench $(BENCH)

SCALE ?= cpu
PAPER_TABLES := fig7 fig8 fig9 table3 table4 table5 table6 table7 mnist cifar10 cifar10-wrn \
  cifar10-fast
PAPER_DATA := $(if $(MNIST),--mnist $(MNIST)) $(if $(CIFAR10),--cifar10 $(CIFAR10))
paper: setup       ## every stored table of the paper at SCALE (cpu: hours), and figures 2 to 6
	.venv/bin/python -m sense.reproduce $(PAPER_TABLES) --scale $(SCALE) $(PAPER_DATA) --compress \
	  --out $(if $(filter smoke,$(SCALE)),reproduce,inst/extdata/reproduce)
	.venv/bin/python -m sense.reproduce fig2 fig3 fig4 fig5 fig6

site: setup .setup/site  ## one offline site in site/, checked in a headless Chromium
	tools/site

check: setup       ## R CMD build and R CMD check only
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

# If atheris cannot be installed for this Python, the part that needs it is skipped with a message.
.setup/torture: .setup/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[torture]' \
	  --constraint constraints/debian12.txt || true
	touch $@

.setup/bench: .setup/python bench/requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --requirement bench/requirements.txt
	touch $@

.setup/site: .setup/python
	tools/system-packages site
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[site]' \
	  --constraint constraints/debian12.txt
	touch $@

.setup/r: $(SOURCES)
	mkdir -p .Rlib .setup
	R CMD INSTALL --no-docs --no-test-load --library=.Rlib . >.setup/r.log 2>&1 || (cat .setup/r.log; false)
	touch $@

clean:             ## remove everything that make created
	rm -rf .setup .Rlib .venv .site check demo site torture
