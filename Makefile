# The two commands: `make run` and `make test`. They assume Python 3.13 or newer and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
export PYTHONUTF8 := 1
# Every process of a service would compile all modules again where the environment forbids to keep them compiled.
export PYTHONDONTWRITEBYTECODE :=

# A bare `python3.13` may be a shim that does not run, so each candidate is asked for its version.
FIND_PYTHON = for candidate in "$(PYTHON)" python3.13 python3.14 python3 /usr/bin/python3.13 /usr/bin/python3 /usr/local/bin/python3; do \
	if [ -n "$$candidate" ] && "$$candidate" -c 'import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 13))' >/dev/null 2>&1; then echo "$$candidate"; exit 0; fi; done; \
	echo "CQOx needs Python 3.13 or newer with venv (tried python3.13, python3.14, python3). Install it, or name one: make PYTHON=/path/to/python3.13 ..." >&2; exit 1

# How many tests with real processes run at once.
SERVICE_TESTS ?= 4

# Tests that kill, fill and wait for minutes: `make faults` runs them.
FAULT_TESTS := tests/e2e/test_recorded_jobs.py tests/e2e/test_stores_kills.py tests/e2e/test_rekeying.py tests/e2e/test_turns.py \
	tests/e2e/test_uploads_in_pieces.py tests/e2e/page/test_faults.py tests/e2e/page/test_tutorials.py tests/e2e/test_erasure.py \
	tests/e2e/test_alerts_that_last.py tests/e2e/test_full_disk.py tests/e2e/test_stores_faults.py tests/e2e/test_clock_skew.py tests/e2e/test_programs.py \
	tests/storage/test_power_loss.py tests/storage/test_power_loss_of_keys.py tests/services/simulation/stores/test_contention.py tests/e2e/test_object_store.py \
	tests/deploy/test_edge.py

# Tests that wait for leases and certificates to end, and those of a cluster: `make vault` runs them.
VAULT_TESTS := tests/e2e/test_vault.py tests/e2e/test_vault_rotations.py tests/storage/postgres/test_user_rotations.py tests/vault/test_cluster.py \
	tests/vault/test_rotations.py

# Tests of engines whose packages are a gigabyte: `make engines` runs them.
ENGINE_TESTS := tests/engines/test_clickhouse_engine.py tests/engines/test_spark_engine.py

# The tests that `make coverage` measures: those without processes of their own.
COVERAGE ?= --ignore=tests/e2e --ignore=tests/mesh --ignore=tests/services --ignore=tests/fuzz $(ENGINE_TESTS:%=--ignore=%)

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
EDITABLE = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
EXPORT = uv export --quiet --format requirements.txt --no-header --no-emit-workspace --no-annotate

.PHONY: help
help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@python=$$($(FIND_PYTHON)); echo "Creating $(VENV) with $$($$python --version)"; "$$python" -m venv $(VENV)

# The services come last: an older `cqox`, to which the command belonged, would remove it when it is replaced.
$(VENV)/.run-ready: $(BIN)/python requirements.lock pyproject.toml $(wildcard packages/*/pyproject.toml)
	@echo "Installing what the services need (requirements.lock) ..."
	@$(INSTALL) -r requirements.lock
	@$(EDITABLE) --editable . --editable packages/cqox-analysis --editable packages/cqox-assets
	@$(EDITABLE) --editable packages/cqox-services
	@touch $@

$(VENV)/.test-ready: $(VENV)/.run-ready requirements-test.lock
	@echo "Installing what the tests need (requirements-test.lock) ..."
	@$(INSTALL) -r requirements-test.lock
	@touch $@

$(VENV)/.bench-ready: $(VENV)/.run-ready requirements-peers.lock
	@echo "Installing the peers that benchmarks measure against (requirements-peers.lock) ..."
	@$(INSTALL) -r requirements-peers.lock
	@touch $@

# An environment of its own: one of these peers needs older versions.
$(VENV)/.tasks-ready: $(VENV)/.test-ready benchmarks/side_by_side/requirements.lock
	@echo "Installing the peers of the tasks (benchmarks/side_by_side/requirements.lock) ..."
	@$(BIN)/python -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/side_by_side/requirements.lock
	@touch $@

# An environment of its own: duckreg runs with no newer DuckDB.
$(VENV)/.large-peers-ready: $(VENV)/.test-ready benchmarks/large_peers/requirements.lock
	@echo "Installing the peers of large tables (benchmarks/large_peers/requirements.lock) ..."
	@$(BIN)/python -m venv $(VENV)/large-peers
	@$(VENV)/large-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/large_peers/requirements.lock
	@touch $@

$(VENV)/.mutants-ready: $(VENV)/.test-ready requirements-mutants.lock
	@echo "Installing what mutation runs and measured coverage need (requirements-mutants.lock) ..."
	@$(INSTALL) -r requirements-mutants.lock
	@touch $@

$(VENV)/.engines-ready: $(VENV)/.test-ready requirements-engines.lock
	@echo "Installing ClickHouse and Spark (requirements-engines.lock; a gigabyte) ..."
	@$(INSTALL) -r requirements-engines.lock
	@touch $@

# An environment of its own: nothing else needs it, and it starts Python as the first of the path.
$(VENV)/.chaos-toolkit-ready: $(VENV)/.test-ready deploy/chaos/requirements.lock
	@echo "Installing Chaos Toolkit (deploy/chaos/requirements.lock) ..."
	@$(BIN)/python -m venv $(VENV)/chaos-toolkit
	@$(VENV)/chaos-toolkit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/chaos/requirements.lock
	@touch $@

# An environment of its own: nothing else needs it.
$(VENV)/.sbom-ready: $(VENV)/.test-ready deploy/sbom/requirements.lock
	@echo "Installing cyclonedx-py (deploy/sbom/requirements.lock) ..."
	@$(BIN)/python -m venv $(VENV)/sbom
	@$(VENV)/sbom/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r deploy/sbom/requirements.lock
	@touch $@

.PHONY: setup
setup: $(VENV)/.run-ready  ## create .venv and install the locked requirements

.PHONY: run
run: setup  ## start gateway and engine, run one analysis, print the address of the page, serve until Ctrl-C
	@exec $(BIN)/cqox up --demo

.PHONY: test
test: $(VENV)/.test-ready $(VENV)/.bench-ready check  ## format, lint, types, import contracts, tests (all but `make faults`, `make mesh`, `make vault`, `make engines` and the slow ones)
	@tests/servers/redis.sh $(VENV)
	@tests/servers/promtool.sh $(VENV)
	@tests/servers/prometheus.sh $(VENV)
	@tests/servers/faketime.sh
	@tests/servers/chromium.sh $(VENV)
	@tests/servers/identity_provider.sh $(VENV)
	@tests/servers/openbao.sh $(VENV)
	@tests/servers/object_store.sh $(VENV)
	@$(BIN)/python -m tests.run --first --ignore=tests/e2e --ignore=tests/mesh --ignore=tests/services --ignore=tests/fuzz $(FAULT_TESTS:%=--ignore=%) $(VAULT_TESTS:%=--ignore=%) $(ENGINE_TESTS:%=--ignore=%)
	@$(BIN)/python -m cqox.chaos simulate --seeds 0-79 --minutes 4 --quiet
	@# Real processes are started and killed here: they wait more than they work.
	@$(BIN)/python -m tests.run -n $(SERVICE_TESTS) --dist loadfile tests/services tests/e2e tests/fuzz $(FAULT_TESTS:%=--ignore=%) $(VAULT_TESTS:%=--ignore=%)

.PHONY: check
check: $(VENV)/.test-ready  ## format, lint, types, import contracts, words, messages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.words
	@$(BIN)/python -m tools.messages

.PHONY: docs
docs: $(VENV)/.test-ready  ## the documentation site in build/docs/site; a broken link fails it
	@$(BIN)/python -m tools.site

.PHONY: pictures
pictures: $(VENV)/.test-ready  ## pictures of the page in docs/images, from real services and a real browser
	@tests/servers/chromium.sh $(VENV)
	@$(BIN)/python -m tests.e2e.page.pictures

.PHONY: examples
examples: $(VENV)/.test-ready $(VENV)/.bench-ready  ## run the examples of pages and notebooks, and write what they print
	@$(BIN)/python -m tools.examples
	@$(BIN)/python -m tools.notebooks

.PHONY: page-test
page-test: $(VENV)/.test-ready  ## the page in a real Chromium; screenshots in build/page
	@tests/servers/chromium.sh $(VENV)
	@tests/servers/identity_provider.sh $(VENV)
	@$(BIN)/python -m pytest -n0 tests/e2e/page

.PHONY: faults
faults: $(VENV)/.test-ready  ## the tests that `make test` leaves out: kills, full stores, power losses, alerts that last, faults of the page (a quarter of an hour)
	@tests/servers/redis.sh $(VENV)
	@tests/servers/prometheus.sh $(VENV)
	@tests/servers/haproxy.sh
	@tests/servers/object_store.sh $(VENV)
	@tests/servers/chromium.sh $(VENV)
	@$(BIN)/python -m pytest -n $(SERVICE_TESTS) --dist loadfile $(FAULT_TESTS)

.PHONY: vault
vault: $(VENV)/.test-ready  ## everything from a vault while all of it is replaced and the vault is sealed (four minutes)
	@tests/servers/openbao.sh $(VENV)
	@$(BIN)/python -m pytest -n0 $(VAULT_TESTS)
	@$(BIN)/python -m tests.e2e.vaulted $(VAULT)

.PHONY: engines
engines: $(VENV)/.engines-ready  ## estimates by sums in ClickHouse and in Spark, which is started here, and the table of all engines in docs/engines.md (some minutes; installs a gigabyte)
	@tests/servers/java.sh
	@$(BIN)/python -m pytest -n0 $(ENGINE_TESTS)
	@$(BIN)/python -m tests.engines

.PHONY: chaos
chaos: $(VENV)/.test-ready  ## break gateway, engines, servers, links, disks and clocks while requests come in (CHAOS="engine-killed"; half an hour)
	@tests/servers/redis.sh $(VENV)
	@tests/servers/faketime.sh
	@tests/servers/identity_provider.sh $(VENV)
	@tests/servers/openbao.sh $(VENV)
	@tests/servers/object_store.sh $(VENV)
	@$(BIN)/python -m cqox.chaos experiments run $(CHAOS)

.PHONY: mesh
mesh: $(VENV)/.test-ready  ## gateways and engines behind Envoy in network namespaces, with the values of the chart (as root; eight minutes)
	@tests/servers/envoy.sh $(VENV)
	@$(BIN)/python -m pytest -n0 -rP tests/mesh

.PHONY: staging
staging: $(VENV)/.test-ready  ## every alert, from its cause to its receiver and back, in real time; the table is in build/staging.md (STAGING="locked jammed"; an hour and a half)
	@tests/servers/redis.sh $(VENV)
	@tests/servers/prometheus.sh $(VENV)
	@$(BIN)/python -m tests.alerts $(STAGING)

.PHONY: panels
panels: $(VENV)/.test-ready  ## every panel of both dashboards with its query and a value of a real run, in docs/dashboard-panels.md (two minutes)
	@tests/servers/redis.sh $(VENV)
	@$(BIN)/python -m tests.panels

.PHONY: game-day
game-day: $(VENV)/.test-ready  ## break engines, disk, PostgreSQL and a certificate; see who is notified and what the board shows; the page is build/game-day/index.html (GAME_DAY="--factor 20"; half an hour)
	@tests/servers/prometheus.sh $(VENV)
	@tests/servers/chromium.sh $(VENV)
	@$(BIN)/python -m tests.game_day $(GAME_DAY)

.PHONY: simulate
simulate: $(VENV)/.test-ready  ## ten thousand seeds of six simulated minutes, resumable; 100 of six hours (SEEDS="0-99"; some CPU hours)
	@$(BIN)/python -m cqox.chaos simulate --seeds 0-19 --minutes 4 --quiet --twice
	@$(BIN)/python -m cqox.chaos simulate --seeds $(or $(SEEDS),0-9999) --minutes 6 --quiet --ledger build/simulation/ledger.jsonl
	@$(BIN)/python -m cqox.chaos simulate --seeds $(or $(LONG_SEEDS),0-99) --minutes 360 --quiet --ledger build/simulation/hours.jsonl

.PHONY: simulate-mutants
simulate-mutants: $(VENV)/.test-ready  ## planted defects, each of which the simulation of gateways and engines must catch (MUTANTS="-j 2"; some minutes)
	@$(BIN)/python -m cqox.chaos simulate --mutants services/simulation/mutants.toml $(MUTANTS)

# The last run is of a product that loses what it has stored: it has to deviate.
.PHONY: chaos-toolkit
chaos-toolkit: $(VENV)/.chaos-toolkit-ready  ## experiments of deploy/chaos/toolkit with Chaos Toolkit (CHAOS="engine-paused"; ten minutes)
	@export PATH="$(abspath $(BIN)):$$PATH"; run="python -m cqox.chaos toolkit run --chaos $(VENV)/chaos-toolkit/bin/chaos"; \
	$$run; \
	$$run $(or $(CHAOS),engine-killed gateway-killed gateway-to-engine-reset); \
	CHAOS_SYSTEM=tests.chaos.losing:open_system $$run --expect deviated engine-killed-at-work

.PHONY: fuzz
fuzz: $(VENV)/.test-ready $(VENV)/.bench-ready  ## 50,000 raw exchanges with both services (FUZZ="--seed S --exchanges N")
	@$(BIN)/python -m tests.fuzz $(FUZZ)

.PHONY: fuzz-tokens
fuzz-tokens: $(VENV)/.test-ready  ## 100,000 hostile bearer tokens to the gateway (FUZZ="--seed S --count N")
	@$(BIN)/python -m tests.fuzz.tokens $(FUZZ)

.PHONY: slow
slow: $(VENV)/.test-ready $(VENV)/.bench-ready  ## the slow suites too (Monte-Carlo coverage)
	@$(BIN)/python -m pytest -m slow

.PHONY: validate
validate: $(VENV)/.test-ready $(VENV)/.bench-ready  ## Monte-Carlo runs of every estimator, and their table in docs/validation.md
	@rm -f build/validation.jsonl && mkdir -p build
	@CQOX_VALIDATION_FILE=$(CURDIR)/build/validation.jsonl $(BIN)/python -m pytest -m slow tests/estimators tests/diagnostics
	@$(BIN)/python docs/validate.py build/validation.jsonl

.PHONY: studies
studies: $(VENV)/.test-ready  ## verdicts on simulated studies, and their table in docs/validation.md (STUDIES="--runs 40 --only NAME"; an hour and a half on two cores)
	@$(BIN)/python -m tests.studies --page $(STUDIES)

.PHONY: coverage
coverage: $(VENV)/.mutants-ready $(VENV)/.bench-ready  ## lines and branches that the fast suites reach (COVERAGE=tests/resilience)
	@rm -rf build/coverage && mkdir -p build/coverage
	@$(BIN)/coverage run -m pytest $(COVERAGE)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

.PHONY: policy-machine
policy-machine: $(VENV)/.test-ready  ## 10,000 generated policies with concurrent calls against a naive model, on each loop (two minutes)
	@$(BIN)/python -m pytest -n0 -m slow tests/resilience/composition/test_policy_machine.py

.PHONY: hidden-names
hidden-names: $(VENV)/.test-ready  ## the tests of the library without private names of AnyIO and Trio
	@$(BIN)/python -m pytest -n0 -p tests.resilience.hidden_names tests/resilience

# PYTHON on the command line alone: the one of `make setup` has a GIL.
.PHONY: free-threading
free-threading: $(VENV)/.test-ready  ## the tests of the library in a Python without a GIL (PYTHON=/path/to/python3.13t; two minutes)
	@tests/resilience/free_threading/run.sh $(VENV) $(if $(filter command line,$(origin PYTHON)),"$(PYTHON)")

.PHONY: mutants
mutants: $(VENV)/.mutants-ready  ## changes of the code that no test notices (MUTANTS="--all 'cqox.resilience.retry.*'")
	@$(BIN)/python -m tools.mutants $(MUTANTS)

.PHONY: compose-test
compose-test: $(VENV)/.test-ready $(VENV)/.bench-ready  ## the containers, on a Docker engine of its own (as root; half an hour)
	@tests/deploy/compose_test.sh $(BIN)/python

.PHONY: image-sizes
image-sizes: $(VENV)/.test-ready  ## install what the images have, and fail where a layer is too large (some minutes)
	@$(BIN)/python -m tools.images sizes

.PHONY: sbom
sbom: $(VENV)/.sbom-ready  ## list what the images have as CycloneDX, in build/sbom
	@$(BIN)/python -m tools.images sbom $(VENV)/sbom/bin/cyclonedx-py

.PHONY: bench
bench: $(VENV)/.bench-ready $(VENV)/.engines-ready $(VENV)/.large-peers-ready  ## ratios against peers, measured in this run and kept in docs/speed.md and its history (half an hour; installs two gigabytes)
	@tests/servers/java.sh
	@$(BIN)/python -m benchmarks --page

.PHONY: side-by-side
side-by-side: $(VENV)/.tasks-ready  ## five tasks with CQOx and with the libraries of others: lines, seconds, answers, in docs/side-by-side.md
	@$(BIN)/python -m benchmarks.side_by_side --peers $(VENV)/peers/bin/python --page

.PHONY: tls-rotation
tls-rotation: $(VENV)/.test-ready  ## 10,000 requests by mutual TLS over 12 rotations and a change of authority
	@$(BIN)/python -m tests.e2e.tls_rotation $(TLS_ROTATION)

.PHONY: lock
lock:  ## resolve again and rewrite the lock files (needs uv)
	@uv lock --upgrade
	@$(EXPORT) --group services --group build -o requirements.lock
	@$(EXPORT) --only-group gateway --only-group build -o requirements-gateway.lock
	@$(EXPORT) --only-group test --only-group docs -o requirements-test.lock
	@$(EXPORT) --only-group peers -o requirements-peers.lock
	@$(EXPORT) --only-group engines -o requirements-engines.lock
	@$(EXPORT) --only-group mutants -o requirements-mutants.lock
	@uv pip compile --upgrade --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate benchmarks/side_by_side/requirements.in -o benchmarks/side_by_side/requirements.lock
	@uv pip compile --upgrade --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate benchmarks/large_peers/requirements.in -o benchmarks/large_peers/requirements.lock
	@uv pip compile --upgrade --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate deploy/chaos/requirements.in -o deploy/chaos/requirements.lock
	@uv pip compile --upgrade --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate deploy/sbom/requirements.in -o deploy/sbom/requirements.lock
	@uv pip compile --upgrade --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate tests/servers/object_store/requirements.in -o tests/servers/object_store/requirements.lock
	@uv pip compile --upgrade --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate tests/resilience/free_threading/requirements.in -o tests/resilience/free_threading/requirements.lock

.PHONY: clean
clean:  ## remove .venv and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist mutants
