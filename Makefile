# `make help` lists the targets. Wants GNU make 3.81 or later and a Python 3.11 or later on the PATH,
# nothing else: everything it needs goes into .venv, everything it writes into var.

# The Python to make the virtual environment with; found on the PATH unless named here.
PYTHON ?=
# What `make test` hands to pytest, such as ARGS="tests/calendars -x".
ARGS ?=
# How many processes run the tests, each with servers of its own: as many as there are processors, at
# most four. ARGS="-n 0 …" has one process do it all, and shows output as it comes.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# How long `make soak` runs; SEED repeats a storm.
ROUNDS ?= 100
SEED ?=

VENV := .venv
PY := $(VENV)/bin/python
# Programs are started as modules, $(PY) -m …: scripts in a virtual environment break when it is moved.
RUNTIME := $(VENV)/requirements.installed
DEVELOPMENT := $(VENV)/requirements-dev.installed

# What production would see, whatever this shell and var/local.env say.
PRODUCTION_LIKE := env -u DEBUG ENV_FILE=/dev/null SECRET_KEY=$$(head -c 48 /dev/urandom | base64 | tr -d '\n') \
	CREDENTIAL_KEYS=check:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= \
	DATABASE_URL=postgresql://talkover@127.0.0.1/talkover REDIS_URL=redis://127.0.0.1:6379/0 \
	PUBLIC_BASE_URL=https://calendars.example.com EMAIL_URL=smtp://localhost

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test test-embedded coverage contract soak check types bench format requirements install install-dev clean distclean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(RUNTIME) ## run everything here, with a demo environment, until Ctrl-C (PORT, SANDBOX_PORT, CALDAV_PORT)
	@exec $(PY) manage.py run_local

test: $(DEVELOPMENT) ## all tests, on a PostgreSQL and a Redis of their own
	@$(PY) -m pytest $(PARALLEL) $(ARGS)

test-embedded: $(DEVELOPMENT) ## the tests that use a database, on SQLite and the file broker instead
	@$(PY) -m pytest --embedded -m "not stack and not browser" tests/calendars tests/providers tests/talkover $(PARALLEL) $(ARGS)

coverage: $(DEVELOPMENT) ## the tests again, with a report of the lines they do not reach
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest -m "not stack and not browser" $(ARGS)
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

contract: $(DEVELOPMENT) ## every provider's contract, and docs/contract.md from its results
	@$(PY) -m tests.contract_table

soak: $(DEVELOPMENT) ## syncs through a storm of faults, judged at its end (ROUNDS, SEED)
	@$(PY) -m tests.soak --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

check: $(DEVELOPMENT) ## formatting, lint, types, import rules, templates, migrations, deployment
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -c 'from importlinter.cli import lint_imports_command as run; run()' --no-cache
	$(PY) -m djlint --check --lint --quiet templates providers/sandbox
	$(PRODUCTION_LIKE) DATABASE_URL=sqlite://:memory: $(PY) manage.py makemigrations --check --dry-run
	$(PRODUCTION_LIKE) $(PY) manage.py check --deploy --fail-level WARNING
	@$(MAKE) --no-print-directory types

types: $(DEVELOPMENT) ## mypy, strict, over the whole tree
	$(PY) -m mypy .
	$(PY) -m mypy --config-file providers/sandbox/mypy.ini providers/sandbox

bench: $(DEVELOPMENT) ## the benchmarks, as ratios; also written to var/bench.json
	@$(PY) -m benchmarks

format: $(DEVELOPMENT) ## put the code and the templates into shape
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(PY) -m djlint --reformat --quiet templates providers/sandbox

COMPILE = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make requirements'

requirements: $(DEVELOPMENT) ## compile the .in files into pinned, hashed .txt files (UPGRADE=1: newest)
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements.in -o requirements.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements-dev.in -o requirements-dev.txt

install: $(RUNTIME) ## the virtual environment with what the product needs
	@echo "$(VENV) is ready"

install-dev: $(DEVELOPMENT) ## the same with what tests and checks need
	@echo "$(VENV) is ready"

clean: ## remove caches and reports; keeps .venv and var
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage .coverage.* staticfiles
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## also the virtual environment and the local data
	rm -rf $(VENV) var

# The virtual environment -------------------------------------------------------------------------

CANDIDATES = $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3 python)
# Each is tried, not only looked for: a version manager's shim may be there without its Python.
FIND_PYTHON = for python in $(CANDIDATES); do "$$python" -c 'import sys, ensurepip, sqlite3, ssl, venv; \
	sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$python" && break; done
WRITABLE = $(if $(shell test -w . && echo yes),,$(error This folder cannot be written to. Clone the \
	repository where you may write, and run make there))

$(PY):
	$(WRITABLE)
	$(eval FOUND := $(shell $(FIND_PYTHON)))
	$(if $(FOUND),,$(error No Python 3.11 or later with venv and sqlite3 found (tried: $(CANDIDATES)). \
	Install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3))
	@echo "Making a virtual environment with $$($(FOUND) --version)"
	@$(FOUND) -m venv --clear $(VENV)

# $(1): a requirements file. pip is quiet unless it fails; then all it said is shown.
define INSTALL
	$(WRITABLE)
	@echo "Installing $(1)"
	@$(PY) -m pip install --disable-pip-version-check --no-input --require-hashes -r $(1) \
		>$(VENV)/install.log 2>&1 || { cat $(VENV)/install.log >&2; exit 1; }
	@touch $@
endef

$(RUNTIME): requirements.txt $(PY)
	$(call INSTALL,requirements.txt)

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	$(call INSTALL,requirements-dev.txt)
