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

.DEFAULT_GOAL := help
.PHONY: help repro test pytest test-long lint venv sweep table plots picture report compare changes bench bench-arithmetic bench-quick bench-report bench-overhead bench-coverage bench-evaluate bench-gpu bench-probes bench-scale bench-startup bench-trainings reliability doctor ml-test-score release-check push pull verify storage deps lock hashes clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

JOBS ?= 1
repro: $(READY) ## make the environment, then run what changed: raw recordings to metrics; JOBS=1 trainings at once
	@python -m spira.doctor --locks
	@$(if $(filter-out 1,$(JOBS)),python -m spira.side_by_side $(call quoted,$(JOBS)))
	dvc repro
	@python -m spira.corpus_changes
	@python -m spira.reproduced

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

sweep: $(READY) ## TABLE=experiments/<name>.yaml as DVC experiments, JOBS=1 at once; fails where one failed
	python -m spira.sweep $(call quoted,$(TABLE)) --jobs $(call quoted,$(JOBS))

table: $(READY) ## what came out of TABLE=experiments/<name>.yaml, as Markdown
	@python -m spira.table $(call quoted,$(TABLE))

plots: $(READY) ## draw the committed results as docs/plots/*.png
	python docs/draw_plots.py

picture: $(READY) ## photograph the head of data/report/index.html for the README: docs/report.png, by chromium
	python tests/browser.py

BASE ?= main
report: $(READY) ## what a reviewer sees: HEAD against BASE=main
	@python -m spira.report $(call quoted,$(BASE)) HEAD

A ?= main
B ?= HEAD
compare: $(READY) ## which is better, A=main or B=HEAD: commits or experiments, by their scores of the same clips
	@python -m spira.compare $(call quoted,$(A)) $(call quoted,$(B))

bench: $(READY) ## how fast: our stages beside version 1's procedure and what a user would pick instead; minutes
	python benchmarks/speed.py --out docs/speed.json

bench-quick: $(READY) ## the same on fewer recordings, in about a minute; AGAINST=docs/speed.json fails where far slower
	python benchmarks/speed.py --quick $(if $(AGAINST),--against $(call quoted,$(AGAINST)))

bench-report: $(READY) ## planted pull requests: how many lost AUCs and how many mere seeds the report calls regressions
	python benchmarks/planted_pull_requests.py

bench-overhead: $(READY) ## what DVC itself costs with nothing to do; run `make repro` first
	python benchmarks/overhead.py

bench-coverage: $(READY) ## how often the intervals over speakers hold a truth that is known
	python benchmarks/interval_coverage.py

bench-evaluate: $(READY) ## what judging 10,000 clips of five seeds takes: seconds and memory
	python benchmarks/evaluation_speed.py

bench-gpu: $(READY) ## how near to a GPU's limits an epoch is trained; without a CUDA device it says so, and measures nothing
	python benchmarks/gpu.py

bench-probes: $(READY) ## how often each probe catches a planted confound, and cries out where there is none
	python benchmarks/probe_studies.py

bench-scale: $(READY) ## time, memory and files of each stage at 1000, 4000 and 16,000 clips; minutes
	python benchmarks/scale.py

bench-arithmetic: $(READY) ## what the same bytes on every processor cost: each stage portable and native; ten minutes
	python benchmarks/arithmetic.py

bench-startup: $(READY) ## what each stage takes before it works, beside torch alone
	python benchmarks/startup.py

bench-trainings: $(READY) ## the demo's trainings one after the other, two and three at once: ten minutes
	python benchmarks/side_by_side.py

reliability: $(READY) ## the long form of docs/reliability.md's checks of input: 10,000 mutations and more
	python benchmarks/reliability.py

ml-test-score: $(READY) ## Google's ML Test Score of this repository, from the marks of its tests
	@python tests/ml_test_score.py

SINCE ?= HEAD
changes: $(READY) ## clips added, removed, relabelled, by speaker: the last repro against SINCE=HEAD
	@python -m spira.corpus_changes $(call quoted,$(SINCE))

push: $(READY) ## send this revision's data to the S3 remote; fails unless all arrived
	python -m spira.storage push

pull: $(READY) ## bring this revision's data from the S3 remote; fails unless all arrived
	python -m spira.storage pull

verify: $(READY) ## read this revision's data back from the remote; heals what is damaged there
	python -m spira.storage verify

# The key is made once, is readable by its owner alone, and reaches rclone by the environment, which `ps` hides from others.
STORAGE_PORT ?= 9000
storage: $(READY) ## serve .storage/ as S3 on loopback, for development, and say how DVC reaches it
	@python -c 'import socket; socket.create_server(("127.0.0.1", $(STORAGE_PORT)))' 2>/dev/null \
		|| { echo 'port $(STORAGE_PORT) is taken, by another `make storage`? make storage STORAGE_PORT=9001' >&2; exit 1; }
	@mkdir -p .storage/buckets/spira
	@test -s .storage/secret || (umask 077; python -c 'import secrets; print(secrets.token_hex(20))' > .storage/secret)
	@echo 'S3 on http://127.0.0.1:$(STORAGE_PORT), bucket spira, in .storage/buckets; Ctrl-C ends it. To use it:'
	@echo '  dvc remote modify --local storage url s3://spira/dvc && dvc remote modify --local storage endpointurl http://127.0.0.1:$(STORAGE_PORT)'
	@echo '  export AWS_ACCESS_KEY_ID=spira AWS_SECRET_ACCESS_KEY=$$(cat .storage/secret)'
	@echo '  export AWS_RESPONSE_CHECKSUM_VALIDATION=when_required  # for plain `dvc pull`; make pull does so by itself'
	@RCLONE_AUTH_KEY="\"spira,$$(cat .storage/secret)\"" exec rclone --config '' serve s3 --addr 127.0.0.1:$(STORAGE_PORT) .storage/buckets

doctor: $(READY) ## find and repair what a crash or a disk left: locks, dvc.lock, cache, data, environment
	@python -m spira.doctor

release-check: $(READY) ## fail while docs/card.yaml lacks what only a person can write
	@python -m spira.release_check

deps: $(READY) ## write each stage's imports into dvc.yaml, after a change of them
	python tests/closures.py

# Resolved for the oldest Python, the default; then `make hashes` adds what only a newer one needs.
lock: ## write the two requirements files anew from pyproject.toml: the newest versions, with their hashes
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade 'setuptools<82'
	.venv-lock/bin/python -m pip install --quiet --editable .
	.venv-lock/bin/python -m pip freeze --all --exclude-editable | sed -e 's/+cpu$$//' \
		| grep -viE '^(pip|nvidia-|cuda-|triton)' > .venv-lock/run
	.venv-lock/bin/python -m pip install --quiet --editable '.[tools]'
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
	.venv-lock/bin/python tests/locked.py .venv-lock/torch.json requirements.txt requirements-tools.txt
	rm -rf .venv-lock

clean: ## remove the environment, the tools' caches and old checkpoints; data and DVC's cache stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .ckpt/*.ckpt .ckpt/*.part .ckpt/featurize
