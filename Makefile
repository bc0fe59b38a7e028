# Every command sets up what it needs first; a second time that costs milliseconds. ARGS is passed on:
# `make serve ARGS=--help`, `make test ARGS="tests/wire -k random"`.

BIN := .venv/bin
ARGS ?=
TOGETHER := -n 3 --dist loadfile --no-loadscope-reorder

# Where this says that no compiled module may be kept, each program compiles all of them; the tests start hundreds.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.NOTPARALLEL: # the targets share one environment and one apt
.PHONY: help setup setup-tools setup-tests serve demo test check format pictures docs site dist sbom bench endurance lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## find or install SoftHSM2, make .venv for the program, boto3 and the AWS CLI
	@.ci/setup

setup-tools: # what checks the code and builds pages and packages, too
	@.ci/setup --tools

setup-tests: # what only the tests and the benchmark need, too: wrk, p11-kit, pkcs11-tool, certutil, PostgreSQL
	@.ci/setup --tests

serve: setup ## serve the simulator
	@exec $(BIN)/hsmstore serve $(ARGS)

demo: setup ## walk a key store through its life, on a server of its own
	@exec $(BIN)/hsmstore demo $(ARGS)

# All run in three processes, for two cores: much of the time a test waits. Each file runs in one of them, with its
# servers. A selection runs in one process, and may hold nothing for one of the registries, which pytest calls 5.
test: setup-tests check ## check, then run all tests; what meets a registry, on PostgreSQL too
	@$(BIN)/pytest $(or $(ARGS),$(TOGETHER)) $(if $(ARGS),|| [ $$? -eq 5 ])
	@$(BIN)/pytest --registry postgresql $(or $(ARGS),$(TOGETHER)) $(if $(ARGS),|| [ $$? -eq 5 ])

check: setup-tools ## ruff, mypy, import-linter
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: setup-tools ## format the code, mend what ruff can mend
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

pictures: setup-tests ## take the pictures of the console for docs/ anew
	@PYTHONPATH=. $(BIN)/python docs/pictures.py

docs: setup-tools ## write the generated pages of docs/ anew
	@$(BIN)/python docs/generate.py

site: setup-tools ## build the documentation as a site: build/site/index.html
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/site

# The same bytes each time, on every machine; SOURCE_DATE_EPOCH sets another date than hatchling's own.
dist: setup-tools ## build the wheel and the source distribution into dist/
	@rm -rf dist
	@$(BIN)/python -m hatchling build

sbom: setup-tools ## write the bill of materials of a server into dist/ (CycloneDX)
	@$(BIN)/python deploy/sbom.py

bench: setup-tests ## measure all but the long run, which is endurance's
	@$(BIN)/python -m bench $(ARGS)

endurance: setup-tests ## the long runs, at their full length
	@$(BIN)/pytest -m endurance --endurance $(ARGS)
	@$(BIN)/pytest -m endurance --endurance --registry postgresql $(ARGS) || [ $$? -eq 5 ]
	@$(BIN)/python -m bench.soak

# Of the whole lock, .ci/ has the part of who runs the program here, deploy/ that of a server.
RESOLVE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: setup-tools ## resolve pyproject.toml into requirements.lock (ARGS=--upgrade for newer versions)
	@$(RESOLVE) --extra test $(ARGS) -o requirements.lock pyproject.toml
	@printf '%s\n' awscli editables hatchling | $(RESOLVE) --extra otel --extra postgres --extra testing \
		--constraint requirements.lock -o .ci/serve.lock pyproject.toml -
	@$(RESOLVE) --extra postgres --constraint requirements.lock -o deploy/requirements.lock pyproject.toml
	@echo aiobotocore | $(RESOLVE) $(ARGS) -o tests/testing/aiobotocore.lock -

clean: ## remove the environment and everything generated (no data directory)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist tests/clients/javascript/node_modules
	@find . -name __pycache__ -prune -exec rm -rf {} +
