# Every target does its own set-up in .venv, and repeats it only when pyproject.toml or constraints.txt change.
#   make test ARGS="-k reading -x"    passes arguments on to pytest
#   make run PYTHON=python3.12        takes another interpreter (3.11 or newer)

PYTHON  ?= python3
ARGS    ?=
VENV    := .venv
BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PINS    := pyproject.toml constraints.txt

say = @printf '\n== %s\n' "$(1)"

.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-kernels types lint check format nano toxicity operating-points example bench clean

help:  ## list the targets
	@printf 'Each does all of its own set-up:\n\n'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: $(VENV)/.installed  ## answer a few questions with the embedded model
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash docs/examples/tour.sh

test: $(VENV)/.testing  ## run the whole test suite
	$(call say,Tests)
	$(BIN)/python -m pytest $(ARGS)

test-fast: $(VENV)/.testing  ## run it without what takes minutes
	$(call say,Tests but for the slow ones)
	$(BIN)/python -m pytest -m 'not slow' $(ARGS)

KERNELS := build/kernels
test-kernels: $(KERNELS)/.installed  ## run the kernels for a GPU on the CPU (fetches Triton, 200 MB)
	$(call say,Tests of kernels by Triton's interpreter)
	$(KERNELS)/bin/python -m pytest $(addprefix tests/plugins/orca_guard_hf/test_,kernels.py fusing.py replaying.py) $(ARGS)

$(KERNELS)/.installed: $(VENV)/.testing
	@$(BIN)/python -m venv $(KERNELS)
	@$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' > $$(echo $(KERNELS)/lib/python3*/site-packages)/beside.pth
	@$(KERNELS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps triton==3.7.1
	@touch $@

types: $(VENV)/.linting  ## check types
	$(call say,Types)
	$(BIN)/mypy

lint: $(VENV)/.linting  ## check style and format
	$(call say,Style)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.linting  ## put style and format right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

check: test types lint  ## tests, types, style

# About three hours on two CPU cores, minutes on a GPU (ARGS="--workers 8"); a run that is cut short goes on. The shares of
# means were looked at on questions that neither decide nor are reported.
NANO    := build/nano
TRAIN   := $(BIN)/python -m orca_guard_nano.recipe.train
nano: $(VENV)/.installed  ## train the embedded model again, measure it, and put it in place
	$(call say,Training: it goes on where it was cut short)
	$(TRAIN) --out $(NANO)/first $(ARGS)
	$(TRAIN) --stage second --start $(NANO)/first --out $(NANO)/second $(ARGS)
	$(TRAIN) --stage third --start $(NANO)/second --out $(NANO)/third $(ARGS)
	$(BIN)/python -m orca_guard_nano.recipe.blend $(NANO)/first $(NANO)/third --share 0.75 --out $(NANO)/blended
	$(call say,Measuring which strategy is best for what)
	$(BIN)/python -m orca_guard_nano.recipe.choose $(NANO)/third --out $(NANO)/chosen.json
	$(call say,Training with the messages erased)
	$(TRAIN) --stage fourth --start $(NANO)/blended --chosen $(NANO)/chosen.json --out $(NANO)/fourth $(ARGS)
	$(BIN)/python -m orca_guard_nano.recipe.blend $(NANO)/blended $(NANO)/fourth --share 0.8 --out $(NANO)
	$(call say,Measuring)
	$(BIN)/python -m orca_guard_nano.recipe.evaluate $(NANO) --json > $(NANO)/measured.json
	$(BIN)/python -m orca_guard_nano.recipe.card $(NANO) --training $(NANO)/training.json --measured $(NANO)/measured.json
	$(call say,Fitting its form recogniser)
	$(BIN)/python -m orca_guard_nano.recipe.questions > $(NANO)/questions.jsonl
	$(BIN)/orca-guard forms fit --model $(NANO) --file $(NANO)/questions.jsonl --out $(NANO)/forms.json
	cd $(NANO) && install -m 644 *.safetensors config.json generation_config.json tokenizer.json tokenizer_config.json \
		chat_template.jinja profile.toml forms.json README.md $(CURDIR)/plugins/orca_guard_nano/weights
	$(BIN)/python docs/build.py --figures

# Half an hour of one CPU core, most of it for what the rows allow; a run that is cut short goes on. DATA is a folder with the published sets.
DATA     ?= ../shared/data
TOXICITY := build/toxicity
toxicity: $(VENV)/.testing  ## train the embedded toxicity scorers again, measure them, and put them in place
	$(call say,Training: it goes on where it was cut short)
	$(BIN)/python -m orca_guard_toxicity.recipe.train $(DATA) --out $(TOXICITY) $(ARGS)
	$(call say,Measuring)
	$(BIN)/python -m orca_guard_toxicity.recipe.evaluate $(DATA) $(TOXICITY)
	$(BIN)/python -m orca_guard_toxicity.recipe.card $(TOXICITY)
	mkdir -p plugins/orca_guard_toxicity/weights
	cd $(TOXICITY) && install -m 644 *.safetensors config.json tokenizer.json tokenizer_config.json figures.json \
		README.md $(CURDIR)/plugins/orca_guard_toxicity/weights
	$(call say,Asking what the labelled rows allow: seven more encoders)
	$(BIN)/python -m orca_guard_toxicity.recipe.bounds $(DATA) $(TOXICITY)
	$(BIN)/python -m orca_guard_toxicity.recipe.card $(TOXICITY)
	cd $(TOXICITY) && install -m 644 bounds.json README.md $(CURDIR)/plugins/orca_guard_toxicity/weights
	$(call say,Choosing where the guards stand)
	$(MAKE) --no-print-directory operating-points
	$(BIN)/python docs/build.py

# ToxiGen decides: its texts were written by a model and looked at by people, as a guard's are.
CALIBRATED := --rows $(TOXICITY)/rows.jsonl --max-fpr 0.05 --relevant toxigen --data-name "four sets of posts and statements"
operating-points: $(VENV)/.installed  ## choose the thresholds of the embedded toxicity scorers again (DATA: the published sets)
	mkdir -p $(TOXICITY)
	$(BIN)/python -m orca_guard_toxicity.recipe.rows $(DATA) --out $(TOXICITY)/rows.jsonl
	$(BIN)/orca-guard guards calibrate toxicity $(CALIBRATED) --out plugins/orca_guard_toxicity/weights/operating-point.json
	$(BIN)/orca-guard guards calibrate toxicity-ngrams $(CALIBRATED) \
		--out plugins/orca_guard_toxicity/weights/operating-point-ngrams.json

example: $(VENV)/.installed  ## audit the embedded model by the safety suite and write docs/example-safety-report.md (minutes)
	$(call say,Auditing: what is shown is the form of a report)
	$(BIN)/python docs/example_safety_report.py $(DATA) $(ARGS)

# The peers live in an environment of their own, on top of this one's torch and transformers. Some lines of the table alone:
# make bench BENCH=full ARGS="--only 'six-shot.*790'"
BENCH   ?=
PEERS   := build/bench/peer
bench: $(PEERS)/.installed  ## measure the engine beside its peers (under an hour, goes on where it was cut short; BENCH=full: hours)
	$(call say,Measuring: leave the machine alone meanwhile)
	$(BIN)/python -m benchmarks.engine --write $(if $(filter full,$(BENCH)),--full) $(ARGS)

$(PEERS)/.installed: $(VENV)/.installed
	$(call say,Installing the peers)
	@$(BIN)/python -m venv $(PEERS)
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > $$(echo $(PEERS)/lib/python3*/site-packages)/beside.pth
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		lm_eval==0.4.13 detoxify==0.5.4
	@touch $@

clean:  ## remove the environment and everything that tools left behind
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up ------------------------------------------------------------------------------------

$(VENV)/.made: $(PINS)
	$(call say,Making $(VENV))
	@$(PYTHON) -c 'import sys; sys.exit("orca-guard needs Python 3.11 or newer; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --group build
	@touch $@

$(VENV)/.installed: $(VENV)/.made
	$(call say,Installing orca-guard and what it needs: torch is large - give it a minute or two)
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.testing: $(VENV)/.installed
	$(call say,Installing what the tests need)
	@$(INSTALL) --group test
	@touch $@

$(VENV)/.linting: $(VENV)/.testing
	$(call say,Installing the type checker and the linter)
	@$(INSTALL) --group lint
	@touch $@
