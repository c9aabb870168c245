# `make run` sets everything up and serves; `make test` sets everything up and tests. Both need Python 3.11+ and make.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUN_STAMP := .venv/.requirements
DEV_STAMP := .venv/.requirements-dev

.PHONY: run run-services test test-services soak bench lint lock clean

run: $(RUN_STAMP)
	@exec $(BIN)/python manage.py serve

run-services: $(RUN_STAMP)
	@test -n "$$DATABASE_URL" -a -n "$$REDIS_URL" -a -n "$$SECRET_KEY" || test -f .env || { echo "Set DATABASE_URL, REDIS_URL and SECRET_KEY, in the environment or in .env."; exit 2; }
	@$(BIN)/python manage.py prepare
	@mkdir -p "$${TASKMASTER_DATA_DIR:-var}"
	@exec env SUPERVISOR_USER="$$(id -un)" TASKMASTER_RUN_DIR="$${TASKMASTER_DATA_DIR:-var}" \
	  TASKMASTER_WEB_PROCESSES="$${TASKMASTER_WEB_PROCESSES:-2}" TASKMASTER_WORKER_PROCESSES="$${TASKMASTER_WORKER_PROCESSES:-2}" \
	  $(BIN)/supervisord --configuration deploy/supervisord.conf

test: $(DEV_STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadscope $(ARGS)

test-services: $(DEV_STAMP)
	@test -n "$$DATABASE_URL" -a -n "$$REDIS_URL" || { echo "Set DATABASE_URL and REDIS_URL."; exit 2; }
	$(BIN)/python -m pytest -n 2 --dist loadscope $(ARGS)

soak: $(DEV_STAMP)
	$(BIN)/python -m pytest -m soak --timeout 3600 $(ARGS)

bench: $(DEV_STAMP)
	$(BIN)/python -m bench $(ARGS)

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: $(DEV_STAMP)
	$(BIN)/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --allow-unsafe -o requirements.txt requirements.in
	$(BIN)/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --allow-unsafe -o requirements-dev.txt requirements-dev.in

$(RUN_STAMP): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Task Master needs Python 3.11 or newer; set PYTHON=/path/to/python."; exit 2; }
	@test -x $(BIN)/python || { echo "Making the virtual environment …"; $(PYTHON) -m venv .venv; }
	@echo "Installing the locked dependencies (a minute or two, once) …"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache
