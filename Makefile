# The tasks install what they need in a virtual environment, from pinned packages with hashes, and again when the pins
# change. They change nothing outside this folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
CHECKOV := $(VENV)/checkov
BENCH := $(VENV)/bench
CLIENTS := $(VENV)/clients
NODE_CLIENT := clients/node/node_modules/.package-lock.json
LAYER := .aws-sam/build/SessionsLayer/python
REQUIREMENTS := layers/sessions/requirements.txt requirements-dev.txt requirements-uv.txt

export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/sessions
# Where the tools put what they keep and what is temporary. pip runs `rustc --version`, and rustup makes a folder then.
export TMPDIR := $(CURDIR)/$(VENV)/tmp
export UV_CACHE_DIR := $(CURDIR)/$(VENV)/uv-cache
export PIP_CACHE_DIR := $(CURDIR)/$(VENV)/pip-cache
export RUSTUP_HOME := $(CURDIR)/$(VENV)/rustup
export XDG_CACHE_HOME := $(CURDIR)/$(VENV)/cache
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib
export npm_config_cache := $(CURDIR)/$(VENV)/npm
# No bytecode in the functions' folders: they are deployed as they are.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
export SAM_CLI_TELEMETRY := 0
export __SAM_CLI_APP_DIR := $(CURDIR)/$(VENV)/sam-cli
export AWS_DEFAULT_REGION ?= $(or $(AWS_REGION),us-east-1)

# Lambda's Python version, if it is installed. pyenv may have it, even if it is not on the PATH.
LAMBDA_PYTHON = $(shell for python in python3.13 "$(or $(PYENV_ROOT),$(HOME)/.pyenv)"/versions/3.13.*/bin/python3.13 \
	$(BIN)/python $(PYTHON); do if "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; \
	then echo "$$python"; break; fi; done)
CONNECT := connect to the network, or name a proxy (HTTPS_PROXY) or a mirror (PIP_INDEX_URL and UV_DEFAULT_INDEX)
# Makes the packages in the virtual environment $1 those in the file $2. uv shows its progress, and why it fails.
install = $(BIN)/uv pip sync --python $1/bin/python --require-hashes $2 || \
	{ echo "The packages were not installed. If no package index can be reached, $(CONNECT)."; exit 1; }
# A Python that can make the virtual environment.
OTHER_PYTHON = $(shell for python in python3.14 python3.13 python3.12 python3.11; do \
	if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then echo "$$python"; break; fi; done)

.DEFAULT_GOAL := help
# A task first checks what it needs, and then builds.
.NOTPARALLEL:
.PHONY: docker redis node valgrind python3.13 address
.PHONY: help dev demo key test test-clients test-console lint format lock clean build local e2e deploy smoke soak fuzz bench bench-quick bench-instructions parallel pictures

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(READY) ## serve the API on http://127.0.0.1:3000 (PORT=, REDIS_URL=, REDIS_CLUSTER=1, AUTH=1)
	@$(BIN)/python -m dev

demo: $(CLIENTS) $(if $(shell command -v npm),$(NODE_CLIENT)) ## show Flask, Express and PHP sharing a session, on http://127.0.0.1:8000 (PORT=)
	@$(CLIENTS)/bin/python demo

key: $(READY) ## print a registry entry with a new key (NAME=web APPS=webapp ALLOW=create,get,set,kill)
	@$(BIN)/python -m dev.key

build: $(if $(RELEASE),python3.13) $(READY) ## build the stack for SAM and Lambda (RELEASE=1 fails without Python 3.13)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build $(if $(ENV),--config-env $(ENV)) \
		$(if $(wildcard $(LAYER)/rest_sessions/__pycache__),,--no-cached)
	@test -d $(LAYER)/rest_sessions/__pycache__ || { echo \
		"Python 3.13 was not found, so the layer is not compiled. Every cold start will compile its modules and take" \
		"several times longer. Install Python 3.13. With RELEASE=1, make build fails without it."; \
		test -z "$(RELEASE)"; }
	@echo "Layer: $$(find $(LAYER) -type f -exec cat {} + | wc -c | awk '{ printf "%.1f", $$1 / 1000000 }') MB"

local: docker build ## serve the built stack in Lambda's containers, with Valkey (PORT=; needs Docker)
	@$(BIN)/python -m dev.containers

test: $(READY) ## run the tests (ARGS= adds options for pytest)
	$(BIN)/pytest $(ARGS)

test-clients: node $(CLIENTS) $(NODE_CLIENT) ## run the tests of the clients against make dev (ARGS= adds options for pytest; needs Node)
	cd clients/python && PYTHONPATH= $(CURDIR)/$(CLIENTS)/bin/pytest $(ARGS)
	cd clients/php && PYTHONPATH= $(CURDIR)/$(CLIENTS)/bin/pytest tests $(ARGS)
	cd clients/node && node --test
	PYTHONPATH=$(CURDIR) $(CLIENTS)/bin/pytest --rootdir=demo -c demo/pytest.ini demo $(ARGS)

test-console: $(CLIENTS) ## run the tests of the console (ARGS= adds options for pytest; needs Chromium)
	PYTHONPATH=$(CURDIR) $(CLIENTS)/bin/pytest --rootdir=tests/console -c tests/console/pytest.ini tests/console $(ARGS)

e2e: docker build ## run the end-to-end tests against the built stack in containers (needs Docker)
	$(BIN)/pytest tests/e2e $(ARGS)

smoke: address $(READY) ## run the end-to-end tests against a deployed API: make smoke URL=https://… KEY=…
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

bench: redis docker node build $(BENCH) ## compare with redis-sessions, and write docs/performance.md (20 minutes; needs Docker, Node)
	@$(BENCH)/bin/python -m benchmarks

bench-quick: redis $(BENCH) ## measure the operations in under a minute
	@$(BENCH)/bin/python -m benchmarks quick

bench-instructions: valgrind $(BENCH) ## count Redis's instructions per operation (ARGS="get redis-sessions"; needs Valgrind)
	@$(BENCH)/bin/python -m benchmarks.instructions $(ARGS)

parallel: redis $(CLIENTS) ## compare frameworks' sessions in parallel requests, and write docs/clients.md's table (10 seconds)
	@$(CLIENTS)/bin/python -m benchmarks.parallel

pictures: node $(CLIENTS) $(NODE_CLIENT) ## make the pictures of the documents (needs Chromium, Node, PHP)
	@PYTHONPATH=$(CURDIR) $(CLIENTS)/bin/python -m demo.screenshot
	@PYTHONPATH=$(CURDIR) $(CLIENTS)/bin/python tests/console/pictures.py

lint: $(READY) $(CHECKOV) $(CLIENTS) ## check style, types and the template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	cd clients/python && $(CURDIR)/$(CLIENTS)/bin/mypy
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
	for tool in checkov bench clients; do $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		-o requirements-$$tool.txt requirements-$$tool.in || exit; done
	grep -A 100 '^uv==' requirements-dev.txt | awk 'NR > 1 && /^[a-z]/ { exit } !/# via/' > requirements-uv.txt

clean: ## remove everything that these tasks created
	rm -rf $(VENV) .aws-sam benchmarks/node/node_modules clients/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage demo/node_modules

# What a task needs that it does not install. It says so before it installs or builds anything.
docker:
	@docker info >/dev/null 2>&1 || { echo "This needs a running Docker engine. make dev works without one."; exit 1; }

redis:
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null || \
		{ echo "This needs redis-server or valkey-server. Install one (Debian, Ubuntu: apt install redis-server)."; exit 1; }

valgrind:
	@command -v valgrind >/dev/null && command -v redis-server >/dev/null || \
		{ echo "This needs Valgrind and redis-server. Install them (Debian, Ubuntu: apt install valgrind redis-server)."; exit 1; }

node:
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null && command -v npm >/dev/null || \
		{ echo "This needs Node and npm, Node 20 or newer. make test and make bench-quick work without them."; exit 1; }

python3.13:
	@test -n "$(LAMBDA_PYTHON)" || \
		{ echo "This needs python3.13, to compile the layer for Lambda. Install it, or use pyenv: pyenv install 3.13"; exit 1; }

address:
	@test -n "$(and $(URL),$(KEY))" || { echo "URL and KEY are required: make smoke URL=https://… KEY=…"; exit 2; }

$(READY): $(REQUIREMENTS)
	@if ! $(PYTHON) -c '' 2>/dev/null; then found="$(PYTHON) was not found"; \
	elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then found="$(PYTHON) is too old"; \
	elif ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then found="$(PYTHON) has no venv module"; \
	else exit 0; fi; \
	echo "$$found. Python 3.11 or newer is needed, with venv;" \
		"$(if $(OTHER_PYTHON),name it: PYTHON=$(OTHER_PYTHON),install it (Debian, Ubuntu: apt install python3-venv).)"; exit 1
	@test -x $(BIN)/uv || { rm -rf $(VENV) && mkdir -p $(TMPDIR) && \
		echo "Installing the tools in $(VENV), once: about 200 MB to download, 480 MB on disk" && $(PYTHON) -m venv $(VENV) && { \
		$(BIN)/python -m pip install --retries 0 --disable-pip-version-check --require-hashes -r requirements-uv.txt \
			2>$(TMPDIR)/pip.log || { if grep -q 'from versions: none' $(TMPDIR)/pip.log; \
			then echo "No package index can be reached: $(CONNECT)."; else cat $(TMPDIR)/pip.log; fi; false; }; }; }
	@mkdir -p $(TMPDIR) $(__SAM_CLI_APP_DIR)
	@$(call install,$(VENV),requirements-dev.txt)
	@touch $@

$(CHECKOV): $(READY) requirements-checkov.txt
	@test -d $@ || echo "Installing Checkov in $@, once: about 100 MB to download, 200 MB on disk"
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $@
	@$(call install,$@,requirements-checkov.txt)
	@touch $@

$(BENCH): $(READY) requirements-bench.txt
	@test -d $@ || echo "Installing what the benchmarks need in $@, once: about 160 MB to download, 280 MB on disk"
	@$(BIN)/uv venv -q --clear --python "$(or $(LAMBDA_PYTHON),$(BIN)/python)" $@
	@$(call install,$@,requirements-bench.txt)
	@touch $@

$(CLIENTS): $(READY) requirements-clients.txt clients/python/pyproject.toml
	@test -d $@ || echo "Installing what the tests of the clients need in $@, once: about 40 MB to download"
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $@
	@$(call install,$@,requirements-clients.txt)
	@$(BIN)/uv pip install -q --python $@/bin/python --no-deps --no-build-isolation --editable clients/python
	@touch $@

$(NODE_CLIENT): clients/node/package-lock.json
	cd clients/node && npm ci --no-audit --no-fund --silent
	@touch $@
