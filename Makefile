# The tasks install what they need in a virtual environment, from pinned packages with hashes, and again when the pins
# change. They change nothing outside this folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
CHECKOV := $(VENV)/checkov
BENCH := $(VENV)/bench
LAYER := .aws-sam/build/SessionsLayer/python
REQUIREMENTS := layers/sessions/requirements.txt requirements-dev.txt requirements-uv.txt

export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/sessions
export UV_CACHE_DIR := $(CURDIR)/$(VENV)/uv-cache
# No bytecode in the functions' folders: they are deployed as they are.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
export SAM_CLI_TELEMETRY := 0
export __SAM_CLI_APP_DIR := $(CURDIR)/$(VENV)/sam-cli
export AWS_DEFAULT_REGION ?= $(or $(AWS_REGION),us-east-1)

.DEFAULT_GOAL := help
.PHONY: help dev key test lint format lock clean build local e2e deploy smoke soak fuzz bench bench-quick

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(READY) ## serve the API on http://127.0.0.1:3000 (PORT=, REDIS_URL=, REDIS_CLUSTER=1, AUTH=1)
	@$(BIN)/python -m dev

key: $(READY) ## print a registry entry with a new key (NAME=web APPS=webapp ALLOW=create,get,set,kill)
	@$(BIN)/python -m dev.key

build: $(READY) ## build the stack for SAM and Lambda (RELEASE=1 fails without Python 3.13)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build $(if $(ENV),--config-env $(ENV)) \
		$(if $(wildcard $(LAYER)/rest_sessions/__pycache__),,--no-cached)
	@test -d $(LAYER)/rest_sessions/__pycache__ || { echo \
		"Python 3.13 was not found, so the layer is not compiled. Every cold start will compile its modules and take" \
		"several times longer. Install Python 3.13. With RELEASE=1, make build fails without it."; \
		test -z "$(RELEASE)"; }
	@echo "Layer: $$(find $(LAYER) -type f -exec cat {} + | wc -c | awk '{ printf "%.1f", $$1 / 1000000 }') MB"

local: build ## serve the built stack in Lambda's containers, with Valkey (PORT=; needs Docker)
	@$(BIN)/python -m dev.containers

test: $(READY) ## run the tests (ARGS= adds options for pytest)
	$(BIN)/pytest $(ARGS)

e2e: build ## run the end-to-end tests against the built stack in containers (needs Docker)
	$(BIN)/pytest tests/e2e $(ARGS)

smoke: $(READY) ## run the end-to-end tests against a deployed API: make smoke URL=https://… KEY=…
	@$(if $(and $(URL),$(KEY)),,echo "URL and KEY are required: make smoke URL=https://… KEY=…"; exit 2)
	@$(BIN)/pytest tests/e2e $(ARGS)

deploy: ## build and deploy to AWS: make deploy ENV=dev, staging or prod (FORCE=1 even if nothing changed)
	@grep -q '^\[$(ENV)\.deploy' samconfig.toml || \
		{ echo "ENV must be an environment in samconfig.toml: make deploy ENV=dev"; exit 2; }
	@$(MAKE) build RELEASE=1
	@$(BIN)/python -m dev.revision
	@$(BIN)/sam deploy --config-env $(ENV)

soak: $(READY) ## run long random, growth and limit tests, and write the figures to docs/reliability.md (an hour)
	$(BIN)/pytest --soak $(ARGS) $(patsubst %,tests/integration/test_%.py,limits growth histories state_machine)

fuzz: $(READY) ## run long tests of valid and invalid requests, made from docs/openapi.yaml (ten minutes)
	$(BIN)/pytest --soak $(ARGS) tests/integration/test_fuzz.py

bench: build $(BENCH) ## compare with redis-sessions, and write docs/performance.md (20 minutes; needs Docker, Node)
	@$(BENCH)/bin/python -m benchmarks

bench-quick: $(BENCH) ## measure the operations in under a minute
	@$(BENCH)/bin/python -m benchmarks quick

lint: $(READY) $(CHECKOV) ## check style, types and the template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml
	$(BIN)/sam validate --lint
	$(CHECKOV)/bin/checkov

format: $(READY) ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(READY) ## pin the packages in the *.in files again
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o layers/sessions/requirements.txt layers/sessions/requirements.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o requirements-dev.txt requirements-dev.in
	for tool in checkov bench; do $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o requirements-$$tool.txt requirements-$$tool.in || exit; done
	grep -A 100 '^uv==' requirements-dev.txt | awk 'NR > 1 && /^[a-z]/ { exit } !/# via/' > requirements-uv.txt

clean: ## remove everything that these tasks created
	rm -rf $(VENV) .aws-sam benchmarks/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "This needs Python 3.11 or newer. Say which one to use: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@test -x $(BIN)/uv || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.txt; }
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements-dev.txt
	@mkdir -p $(VENV)/sam-cli
	@touch $@

$(CHECKOV): $(READY) requirements-checkov.txt
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $@
	@$(BIN)/uv pip sync -q --python $@/bin/python --require-hashes requirements-checkov.txt
	@touch $@

# With Lambda's Python version, if it is installed.
$(BENCH): $(READY) requirements-bench.txt
	@for python in python3.13 "$(or $(PYENV_ROOT),$(HOME)/.pyenv)"/versions/3.13.*/bin/python3.13 $(BIN)/python; do \
		if "$$python" -c '' 2>/dev/null; then $(BIN)/uv venv -q --clear --python "$$python" $@; exit; fi; done
	@$(BIN)/uv pip sync -q --python $@/bin/python --require-hashes requirements-bench.txt
	@touch $@
