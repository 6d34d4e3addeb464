PYTHON = .venv/bin/python
LOCK = $(PYTHON) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q

# Of `make newest`: the Debian release whose servers are used, and what is run on them.
RELEASE = trixie
ON_SERVERS = tests/auth tests/chaos tests/deploy/local tests/e2e tests/gateway tests/shared tests/sms

.PHONY: help setup run test chaos newest containers lint types imports format lock monitoring bench clean
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

newest: setup ## the tests on servers of the next Debian: RabbitMQ 4, MariaDB 11.8, Valkey 8 (root, Debian)
	programs=$$($(PYTHON) -m deploy.local servers $(RELEASE)) && \
	    SERVER_PROGRAMS=$$programs $(PYTHON) -m pytest $(ON_SERVERS) --timeout 300

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
	$(LOCK) tests/vendors/requirements.in -o requirements/vendors.txt

monitoring: setup ## generate dashboards and the PrometheusRule from deploy/monitoring/
	$(PYTHON) -m deploy.monitoring.generate

bench: setup ## run the benchmarks
	$(PYTHON) -m benchmarks

clean: ## remove .run/: data, secrets and logs of earlier runs
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m deploy.local clean; else rm -rf .run; fi
