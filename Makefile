# All set-up happens here: a virtual environment from pinned, hashed packages, renewed when the pins change. Nothing
# outside this folder is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
REQUIREMENTS := layers/sessions/requirements.txt requirements-dev.txt requirements-uv.txt

export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/sessions
export UV_CACHE_DIR := $(CURDIR)/$(VENV)/uv-cache
export SAM_CLI_TELEMETRY := 0
export __SAM_CLI_APP_DIR := $(CURDIR)/$(VENV)/sam-cli
export AWS_DEFAULT_REGION ?= us-east-1

.DEFAULT_GOAL := help
.PHONY: help dev key test lint format lock clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(READY) ## serve the API on http://127.0.0.1:3000 (PORT=, REDIS_URL=, REDIS_CLUSTER=1, AUTH=1)
	@$(BIN)/python -m dev

key: $(READY) ## print a registry entry with a new key (NAME=web APPS=webapp ALLOW=create,get,set,kill)
	@$(BIN)/python -m dev.key

test: $(READY) ## run the tests (ARGS= for pytest)
	$(BIN)/pytest $(ARGS)

lint: $(READY) ## check style, types and template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml
	$(BIN)/sam validate --lint

format: $(READY) ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(READY) ## pin the packages of the *.in files anew
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o layers/sessions/requirements.txt layers/sessions/requirements.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o requirements-dev.txt requirements-dev.in
	grep -A 100 '^uv==' requirements-dev.txt | awk 'NR > 1 && /^[a-z]/ { exit } !/# via/' > requirements-uv.txt

clean: ## remove all that these tasks made
	rm -rf $(VENV) .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@test -x $(BIN)/uv || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.txt; }
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements-dev.txt
	@mkdir -p $(VENV)/sam-cli
	@touch $@
