# The two commands of the README, and what they are made of. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Most tests wait for servers and workers more than they compute. `make test TWO=` runs them one by one.
TWO ?= -n 2 --dist loadscope

.PHONY: help demo test lint unit integration acceptance docs format bench bench-canal bench-debezium bench-flink up down clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(READY)  ## Run the whole pipeline on real servers and compare every row
	$(BIN)/python -m examples.pojo.demo $(ARGS)

test: lint unit integration acceptance  ## Everything that CI runs

lint: $(READY)  ## Format, lint, types, import rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(READY)  ## Tests without I/O
	$(BIN)/pytest $(TWO) tests/unit

# The requests made from the OpenAPI document share one test id, which two processes would take for one test.
integration: $(READY)  ## Each part on its real server
	$(BIN)/python -m stack up
	$(BIN)/pytest tests/integration/runtime/test_rest_fuzz.py
	$(BIN)/pytest $(TWO) tests/integration --ignore tests/integration/runtime/test_rest_fuzz.py

acceptance: $(READY)  ## The pipeline as processes, with kill -9
	$(BIN)/python -m stack up
	$(BIN)/pytest $(TWO) tests/acceptance

docs: $(READY)  ## Write the pages about plugins
	$(BIN)/python -m connectors.runtime.plugin_pages docs/plugins faust-connect

format: $(READY)  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## Measure the pipeline, the enrich stage, the source and the sinks
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.async_io
	$(BIN)/python -m benchmarks.source
	$(BIN)/python -m benchmarks.sinks
	$(BIN)/python -m benchmarks.runtime

bench-canal: $(READY)  ## Measure the binlog source beside Canal
	$(BIN)/python -m benchmarks.peers.canal $(ARGS)

bench-debezium: $(READY)  ## Measure the binlog source beside Debezium
	$(BIN)/python -m benchmarks.peers.debezium $(ARGS)

bench-flink: $(READY) .venv-flink/.ready  ## Measure the enrich stage beside PyFlink, in an environment of its own
	$(BIN)/python -m benchmarks.async_io $(ARGS)

.venv-flink/.ready:
	$(PYTHON) -m venv .venv-flink
	.venv-flink/bin/pip install --quiet 'apache-flink>=2.3,<2.4'
	@touch $@

up: $(READY)  ## Start the servers
	$(BIN)/python -m stack up

down: $(READY)  ## Stop the servers
	$(BIN)/python -m stack down

clean: down  ## Stop the servers, delete data and environment
	rm -rf .venv .venv-flink .stack

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || $(MAKE) --no-print-directory venv-package
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[kudu,dev]'
	@touch $@

# Debian keeps what `python3 -m venv` needs in a package of its own.
.PHONY: venv-package
venv-package:
	@run=; test $$(id -u) = 0 || run=sudo; \
	command -v apt-get >/dev/null && { test -z "$$run" || command -v sudo >/dev/null; } \
	  || { echo "Type: apt-get install python3-venv   (as root), then again"; exit 1; }; \
	$$run apt-get update -q && $$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv
	rm -rf .venv && $(PYTHON) -m venv .venv
