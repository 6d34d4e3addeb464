PYTHON = .venv/bin/python
LOCK = $(PYTHON) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q

.PHONY: help setup run test chaos containers lint types imports format lock monitoring bench clean
.NOTPARALLEL:

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## create .venv with the locked dependencies
	@deploy/local/bootstrap.sh

run: setup ## run the whole system on this machine until Ctrl-C
	@$(PYTHON) -m deploy.local up

test: setup lint types imports ## lint, types, import contracts, all tests
	$(PYTHON) -m pytest

chaos: setup ## the chaos tests in their long mode: workers that come and go, failovers, cuts at every byte, hangs
	CHAOS=long $(PYTHON) -m pytest tests/chaos --timeout 300

containers: setup ## a sign-up through the compose file, in a Docker engine
	$(PYTHON) -m pytest tests/containers

lint: setup ## ruff: rules and format
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: setup ## mypy, strict
	$(PYTHON) -m mypy

imports: setup ## import-linter: the contracts in pyproject.toml
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command as main; main()'

format: setup ## fix and format with ruff
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

lock: setup ## resolve pyproject.toml into requirements/
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) --extra dev pyproject.toml -o requirements/dev.txt

monitoring: setup ## generate dashboards and the PrometheusRule from deploy/monitoring/
	$(PYTHON) -m deploy.monitoring.generate

bench: setup ## run the benchmarks
	$(PYTHON) -m benchmarks

clean: ## remove .run/: data, secrets and logs of earlier runs
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m deploy.local clean; else rm -rf .run; fi
