# Everything from a bare clone: `make up` runs Ronda, `make test` proves it. Every target may be called again.

SHELL := /bin/bash
# Debian keeps mosquitto where only root looks.
export PATH := $(PATH):/usr/sbin:/sbin
BIN := .venv/bin
SYNC := .tools/bin/uv sync --frozen --all-extras --compile-bytecode
# The dash package brings a pytest plug-in that nothing here uses.
PYTEST := $(BIN)/python -m pytest -p no:dash
# The first of these that is 3.11 or newer.
PYTHONS := python3 python3.13 python3.12 python3.11

.DEFAULT_GOAL := help
.PHONY: help setup up test soak lint bench bench-faults bench-fleet load recording notebooks wokwi compose-up compose-down compose-test clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.everything ## install everything, the tests' packages included, into .venv

up: .venv/.product ## run Ronda; options by ARGS="--http-port 8080"
	@exec $(BIN)/ronda up $(ARGS)

test: .venv/.everything ## run every check: lint, then unit and chain tests, then whole processes and browsers
	@tests/support/debian.sh
	@$(MAKE) --no-print-directory lint
	@failed=0; \
	$(PYTEST) -n 3 --dist loadfile -m "not serial and not soak" tests || failed=1; \
	$(PYTEST) -m "serial and not soak" tests || failed=1; \
	exit $$failed

soak: .venv/.everything ## run the tests that mostly wait: a device that falls silent, with a real installation
	@tests/support/debian.sh
	$(PYTEST) -m soak tests

lint: .venv/.everything ## run ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.everything ## measure the chain beside a bare subscriber, on both brokers
	@tests/support/debian.sh mosquitto
	$(BIN)/python -m benchmarks $(ARGS)

# A third of an hour with 200 of them. `--evidence docs/evidence` writes faults-BROKER.txt.
bench-faults: .venv/.everything ## kill, cut, freeze and fill a plant at work, and count its readings: ARGS="--faults 200 --seed 7"
	@tests/support/debian.sh mosquitto redis-server
	$(BIN)/python -m benchmarks faults $(ARGS)

# Seven minutes. `--evidence docs/evidence` writes fleet.txt.
bench-fleet: .venv/.everything ## run a thousand emulated machines for five minutes and count by SQL: ARGS="--broker embedded"
	@tests/support/debian.sh mosquitto
	$(BIN)/python -m benchmarks fleet $(ARGS)

# A quarter of an hour: 200 devices for five minutes each way, 6 readings a second from each, on the broker of production.
load: .venv/.everything ## prove the load over HTTP and MQTT, count by SQL, keep tables and chart in docs/evidence/load
	@tests/support/debian.sh mosquitto
	$(BIN)/python -m benchmarks load --users 200 --spawn 20 --seconds 300 --rate 6 --broker mosquitto --evidence docs/evidence/load $(ARGS)

recording: .venv/.everything ## film the walk along the golden path into docs/evidence/golden-path
	@tests/support/debian.sh chromium fonts-liberation fonts-noto-color-emoji ffmpeg
	$(BIN)/python -m tests.support.walk

notebooks: .venv/.everything ## execute the notebooks on the data folder and render docs/notebooks
	$(BIN)/python -m notebooks $(ARGS)

wokwi: .venv/.everything ## build the vibrating machine for the simulator Wokwi, and check its wiring
	@tests/support/debian.sh clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32
	wokwi/build.sh
	$(BIN)/python -m wokwi.lint

compose-up: .venv/.product ## run the stack of docker-compose.yml with its demonstration, up to healthy
	@$(BIN)/ronda secrets
	docker compose --profile demo up --build --detach --wait
	@echo "http://127.0.0.1:$${RONDA_HTTP_PORT:-8000}/ui/  user admin, password in secrets/admin_password"

compose-down: ## stop the stack; what it keeps stays in its volumes
	docker compose --profile demo --profile monitoring down

compose-test: .venv/.everything ## prove the stack: build twice, use it, restart each service, back up, restore
	$(BIN)/python -m tests.containers.proof $(ARGS)

clean: ## remove what the other targets made, but no data
	rm -rf .venv .tools .micropython_cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv in a small environment of its own, so that nothing needs to be on the machine but Python.
.tools/bin/uv:
	@python=$$(for python in $(PYTHONS); do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done); \
	if [ -z "$$python" ]; then \
	    echo "Python 3.11 or newer is needed; on Debian 12 type: sudo apt-get install -y python3 python3-venv" >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then tests/support/debian.sh python3-venv || exit 1; fi; \
	$$python -m venv --clear .tools && .tools/bin/pip install --quiet --disable-pip-version-check uv

# --frozen: without it an index set in the environment would be written into uv.lock.
# --inexact: `make up` after `make setup` leaves the tests' packages in place.
.venv/.product: uv.lock pyproject.toml | .tools/bin/uv
	$(SYNC) --no-dev --inexact --python .tools/bin/python
	@touch $@

.venv/.everything: uv.lock pyproject.toml | .tools/bin/uv
	$(SYNC) --python .tools/bin/python
	@touch .venv/.product $@
