# make run    environment, data, and the whole pipeline
# make test   environment and all tests but the nightly ones
# make nightly  the nightly tests alone: every command of the pages on the shipped project, long runs
# make check  what to run before a commit: lint and the fast tests, in under 2 minutes
# make ui     Prefect's and MLflow's pages on this machine, until Ctrl-C
# make deploy the scheduled flows of prefect.yaml and a worker for them, until Ctrl-C
# make bench  measurements against named peers
# make lint   format, style, types, the rules of who imports whom, and known weaknesses of pinned packages
# make docs   the reference of the params, and the pages of docs/ as a site, its links checked
# make setup  the environment alone      make lock  remake the locks (UPGRADE=1 moves the pins)

export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := False
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONDONTWRITEBYTECODE # every stage is a process: each would compile the project's modules again

# Tests that start no server, and train no system: about 100 seconds of processor time in all.
FAST := $(addprefix tests/unit/,core project formats rows tokens models tasks validation inference evaluation flows) \
	tests/unit/registry/test_gates.py tests/unit/test_docs.py tests/unit/test_metrics.py

.PHONY: run test nightly check ui deploy bench lint docs setup lock programs

run: setup
	@tidemill fetch
	@tidemill run
	@echo
	@echo "Look next: artifacts/<system>/evaluate/report.html, and 'make ui' for the runs and the registered models."

test: setup programs
	@python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not nightly"

nightly: setup programs
	@python -m pytest -m nightly

check: lint
	@python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -q -m "not slow" $(FAST)

ui: setup
	@scripts/ui.sh

deploy: setup
	@scripts/deploy.sh

bench: setup
	@for file in benchmarks/*.py; do echo "$$file"; python "$$file" || exit 1; done

lint: setup
	@ruff format --check --quiet . || { echo "Not formatted: run 'ruff format .'"; exit 1; }
	@ruff check --quiet .
	@mypy
	@lint-imports --config pyproject.toml --no-cache --no-logo
	@python scripts/scan.py

docs: setup
	@python -m tidemill.project.reference
	@properdocs build --strict --quiet
	@echo "docs: .tidemill/site/index.html"

setup: .venv/.stamp

.venv/.stamp: pyproject.toml requirements/uv.lock requirements/torch.lock requirements/cuda.lock requirements/base.lock
	@scripts/setup.sh

lock: setup
	@python scripts/lock.py $(if $(UPGRADE),--upgrade)

programs:
	@scripts/test_programs.sh
