# Two commands do everything: `make repro` and `make test`. `make help` lists the rest.
# The minor versions that pyproject.toml admits, for example `11 14` where it says ">=3.11,<3.14"; the oldest is the default.
MINORS := $(shell sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.\([0-9]*\)"$$/\1 \2/p' pyproject.toml)
OLDEST := python3.$(firstword $(MINORS))
PYTHON ?= $(OLDEST)
VENV := .venv
READY := $(VENV)/ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Names of files are UTF-8, to dvc too, whatever the locale.
export PYTHONUTF8 := 1

# One word to the shell, whatever is in it.
quoted = '$(subst ','\'',$1)'

# What each benchmark is called here, where it is not the name of its file in benchmarks/.
BENCH_coverage := interval_coverage
BENCH_evaluate := evaluation_speed
BENCH_probes := probe_studies
BENCH_learning := learning_curves
BENCH_review := planted_pull_requests
BENCH_small-data := small_data
BENCH_trainings := side_by_side
BENCH_ways := cluster_ways
BENCHES := arithmetic cluster coverage doors drift evaluate feedback gpu learning overhead probes promotion review scale serve small-data speed startup trainings ways
bench_file = benchmarks/$(or $(BENCH_$1),$1).py

.DEFAULT_GOAL := help
.PHONY: help repro test pytest test-long lint bench bench-quick $(BENCHES:%=bench-%) gpu-check reliability ml-test-score plots picture venv deps lock hashes clean

help: ## list these commands; spira --help lists the others
	@awk -F ':.*## ' '/^##@/ {printf "\n%s:\n", substr($$0, 5)} /^[a-z.-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run and check

JOBS ?= 1
repro: $(READY) ## make the environment, then run what changed: raw recordings to metrics; JOBS=1 trainings at once
	@spira doctor --locks
	@$(if $(filter-out 1,$(JOBS)),spira train-parallel $(call quoted,$(JOBS)))
	dvc repro
	@spira changes
	@spira reproduced

test: $(READY) ## make the environment, then lint, types and tests
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

pytest: $(READY)
	pytest

test-long: $(READY) ## the tests that `make test` leaves out: minutes more, most of it what shorter ones hold
	pytest -m long

lint: $(READY) ## style and types alone
	ruff format --check .
	ruff check .
	mypy

##@ The environment

venv: $(READY) ## make the environment alone: .venv, from the locked requirements

# Every file is refused whose sha256 the two requirements files do not list; nothing is resolved, and what comes as
# source is built by the setuptools just installed. torch goes first, by itself: of its builds pip prefers, once it has
# hashes, the one whose hash the index tells beforehand, so that a CPU build would be passed over for gigabytes of CUDA;
# hence it is chosen without hashes, and checked. The CUDA build asks for CUDA libraries, whose versions are pinned in
# torch's own wheel, which was checked; the line without hashes adds them, and nothing on a CPU build.
# torchaudio's wheel carries a CUDA extension that cannot load beside a torch without CUDA, and then
# `import torchaudio` fails. Its transforms are Python and do without.
$(READY): requirements.txt requirements-tools.txt pyproject.toml
	@$(PYTHON) -c 'import sys; low, high = map(int, sys.argv[1:]); sys.exit(not (3, low) <= sys.version_info[:2] < (3, high) \
		and f"Python 3.{low} to 3.{high - 1} is needed: make PYTHON=/path/to/python3.{low}")' $(MINORS)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip download --quiet --no-deps --dest $(VENV)/wheel "$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)"
	sed -n '/^torch==/,/[^\]$$/p' requirements.txt > $(VENV)/wheel/torch.txt
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-index --find-links $(VENV)/wheel --require-hashes --requirement $(VENV)/wheel/torch.txt
	rm -r $(VENV)/wheel
	$(VENV)/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.txt
	$(VENV)/bin/python -m pip install --quiet --no-deps --require-hashes --no-build-isolation --requirement requirements-tools.txt
	$(VENV)/bin/python -m pip install --quiet "$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)"
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -m pip check >/dev/null || $(VENV)/bin/python -m pip check
	$(VENV)/bin/python -c 'import torch; raise SystemExit(torch.version.cuda is not None)' \
		&& rm -f $(VENV)/lib/python3.*/site-packages/torchaudio/lib/_torchaudio.abi3.so || true
	@touch $@

# Resolved for the oldest Python, the default; then `make hashes` adds what only a newer one needs.
lock: ## write the two requirements files anew from pyproject.toml: the newest versions, with their hashes
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade 'setuptools<82'
	.venv-lock/bin/python -m pip install --quiet --editable .
	.venv-lock/bin/python -m pip freeze --all --exclude-editable | sed -e 's/+cpu$$//' \
		| grep -viE '^(pip|nvidia-|cuda-|triton)' > .venv-lock/run
	.venv-lock/bin/python -m pip install --quiet --editable '.[cluster,onnx,serve,tools]'
	.venv-lock/bin/python -m pip freeze --all --exclude-editable | sed -e 's/+cpu$$//' \
		| grep -viE '^(pip|nvidia-cu|nvidia-nccl|nvidia-nv|cuda-|triton)' | grep -vxFf .venv-lock/run > .venv-lock/tools
	(sed -n '/^#/p' requirements.txt; cat .venv-lock/run) > .venv-lock/run.txt
	(sed -n '/^#/p; /^-r/p' requirements-tools.txt; cat .venv-lock/tools) > .venv-lock/tools.txt
	mv .venv-lock/run.txt requirements.txt && mv .venv-lock/tools.txt requirements-tools.txt
	$(MAKE) hashes

# Where pip takes another build of torch than the index's own (a CPU build has a version such as 2.13.0+cpu), its hash
# is listed too, so that both are accepted.
hashes: ## list the sha256 of every file, for every system, of the versions that the two requirements files pin
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv==0.13.9
	.venv-lock/bin/python -m pip install --quiet --dry-run --no-deps --ignore-installed --report .venv-lock/torch.json \
		"$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)"
	.venv-lock/bin/python tests/support/locked.py .venv-lock/torch.json requirements.txt requirements-tools.txt
	rm -rf .venv-lock

clean: ## remove the environment, the tools' caches and old checkpoints; data and DVC's cache stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .ckpt/*.ckpt .ckpt/*.part .ckpt/featurize .ckpt/shards

##@ What is committed

plots: $(READY) ## draw the committed results as docs/explanation/plots/*.png, and write them into the README
	python docs/draw_plots.py
	python docs/write_readme.py

picture: $(READY) ## photograph the head of data/report/index.html for the README: docs/explanation/report.png, by chromium
	python tests/support/picture.py

deps: $(READY) ## write each stage's imports into dvc.yaml, after a change of them
	PYTHONPATH=src python tests/support/closures.py

##@ Measure

# On a lent machine there is no environment: the Python at hand, with torch, is taken as it is.
gpu-check: ## on a machine with a GPU: its tests, speed and repeatability, in minutes, into docs/explanation/speed.md
	PYTHONPATH=src python3 benchmarks/gpu_check.py

reliability: $(READY) ## the long form of docs/explanation/reliability.md's checks of input: 10,000 mutations and more
	python benchmarks/reliability.py

ml-test-score: $(READY) ## Google's ML Test Score of this repository, from the marks of its tests
	@python tests/support/ml_test_score.py

bench: ## list the benchmarks, each of which is a command
	@$(foreach name,$(BENCHES),printf '  make bench-%-11s %s\n' $(name) "$$(sed -n '1s/^"""//; 1s/: `make.*//; 1s/"""$$//; 1p' $(call bench_file,$(name)))";)

bench-quick: $(READY) ## bench-speed on fewer recordings, in about a minute; AGAINST=docs/explanation/speed.json fails where far slower
	python benchmarks/speed.py --quick $(if $(AGAINST),--against $(call quoted,$(AGAINST)))

$(BENCHES:%=bench-%): bench-%: $(READY)
	python $(call bench_file,$*) $(if $(filter speed,$*),--out docs/explanation/speed.json)
