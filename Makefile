# All set-up happens here: a virtual environment from pinned, hashed packages, renewed when the pins change. Nothing
# outside this folder is touched.

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
# A function's folder is shipped as it is.
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
		"No Python 3.13 was found to compile the layer: its modules will be compiled at each cold start, which" \
		"makes that several times slower. Install it, or use: make build RELEASE=1, which fails without it."; \
		test -z "$(RELEASE)"; }
	@echo "Layer: $$(find $(LAYER) -type f -exec cat {} + | wc -c | awk '{ printf "%.1f", $$1 / 1000000 }') MB"

local: build ## serve the built stack in Lambda's containers, beside Valkey in another (PORT=; needs Docker)
	@$(BIN)/python -m dev.containers

test: $(READY) ## run the tests (ARGS= for pytest)
	$(BIN)/pytest $(ARGS)

e2e: build ## run the end-to-end tests on the built stack, in containers (needs Docker)
	$(BIN)/pytest tests/e2e $(ARGS)

smoke: $(READY) ## run them on a deployed API: make smoke URL=https://… KEY=…
	@$(if $(and $(URL),$(KEY)),,echo "Say which: make smoke URL=https://… KEY=…"; exit 2)
	@$(BIN)/pytest tests/e2e $(ARGS)

deploy: ## build and deploy to AWS: make deploy ENV=dev, staging or prod (FORCE=1 though nothing changed)
	@grep -q '^\[$(ENV)\.deploy' samconfig.toml || \
		{ echo "Say where to, as samconfig.toml names it: make deploy ENV=dev"; exit 2; }
	@$(MAKE) build RELEASE=1
	@$(BIN)/python -m dev.revision
	@$(BIN)/sam deploy --config-env $(ENV)

soak: $(READY) ## run the random tests, growth and limits at length, into docs/reliability.md (an hour)
	$(BIN)/pytest --soak $(ARGS) $(patsubst %,tests/integration/test_%.py,limits growth histories state_machine)

fuzz: $(READY) ## ask the API all that its description allows and forbids, at length (ten minutes)
	$(BIN)/pytest --soak $(ARGS) tests/integration/test_fuzz.py

bench: build $(BENCH) ## measure it beside redis-sessions, into docs/performance.md (20 minutes; needs Docker, Node)
	@$(BENCH)/bin/python -m benchmarks

bench-quick: $(BENCH) ## measure the operations in under a minute
	@$(BENCH)/bin/python -m benchmarks quick

lint: $(READY) $(CHECKOV) ## check style, types and template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml
	$(BIN)/sam validate --lint
	$(CHECKOV)/bin/checkov

format: $(READY) ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(READY) ## pin the packages of the *.in files anew
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o layers/sessions/requirements.txt layers/sessions/requirements.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o requirements-dev.txt requirements-dev.in
	for tool in checkov bench; do $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o requirements-$$tool.txt requirements-$$tool.in || exit; done
	grep -A 100 '^uv==' requirements-dev.txt | awk 'NR > 1 && /^[a-z]/ { exit } !/# via/' > requirements-uv.txt

clean: ## remove all that these tasks made
	rm -rf $(VENV) .aws-sam benchmarks/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@test -x $(BIN)/uv || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.txt; }
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements-dev.txt
	@mkdir -p $(VENV)/sam-cli
	@touch $@

$(CHECKOV): $(READY) requirements-checkov.txt
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $@
	@$(BIN)/uv pip sync -q --python $@/bin/python --require-hashes requirements-checkov.txt
	@touch $@

# On the Python of Lambda, where there is one.
$(BENCH): $(READY) requirements-bench.txt
	@for python in python3.13 "$(or $(PYENV_ROOT),$(HOME)/.pyenv)"/versions/3.13.*/bin/python3.13 $(BIN)/python; do \
		if "$$python" -c '' 2>/dev/null; then $(BIN)/uv venv -q --clear --python "$$python" $@; exit; fi; done
	@$(BIN)/uv pip sync -q --python $@/bin/python --require-hashes requirements-bench.txt
	@touch $@
