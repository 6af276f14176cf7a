# Needs Python 3.10 or newer with venv, and a C++ compiler: GCC 11 or Clang 14 at least.
# The rest comes from the package index into .venv.
PYTHON ?= python3
BIN := .venv/bin
BUILD := build/release
JOBS ?= auto
export PATH := $(CURDIR)/$(BIN):$(PATH)

# What the installed package is made from: a stamp is redone when one of these is newer.
SOURCES := CMakeLists.txt VERSION pyproject.toml $(shell find cpp bindings python/swath tests/cpp \
  -type f -not -name '*.py[co]' -not -name '*.so')
CXX_FILES = $(shell find cpp bindings tests -name '*.h' -o -name '*.hpp' -o -name '*.cc')

.PHONY: demo test test-long bench lint format docs clean
.SECONDARY:

demo: .venv/.installed-demo
	$(BIN)/python -m swath demo $(ARGS)

# pytest runs last: its closing line is the last one.
test: .venv/.installed-test
	cmake --build $(BUILD)
	ctest --test-dir $(BUILD) --output-on-failure
	SWATH_BUILD_DIR=$(BUILD) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

test-long: .venv/.installed-test
	cmake --build $(BUILD)
	SWATH_BUILD_DIR=$(BUILD) HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "" $(ARGS)

bench: .venv/.installed-bench
	$(BIN)/python bench/run.py sliding_conv --peers $(ARGS)

docs: .venv/.installed-docs
	$(BIN)/python docs/generate.py
	mkdocs build --quiet --strict -f docs/config/mkdocs.yml

lint: .venv/.lint-tools
	ruff check
	ruff format --check
	mypy
	clang-format --dry-run --Werror $(CXX_FILES)
	codespell cpp bindings python tests bench docs .ci *.md Makefile pyproject.toml

format: .venv/.lint-tools
	ruff check --fix
	ruff format
	clang-format -i $(CXX_FILES)

clean:
	rm -rf .venv build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.build-tools: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --group build
	touch $@

.venv/.lint-tools: .venv/.build-tools
	$(BIN)/python -m pip install --quiet --group lint
	touch $@

# Without isolation, so that one build folder serves every extra and ninja redoes only what changed.
.venv/.installed-%: .venv/.build-tools $(SOURCES)
	@echo "Building and installing swath with its extra '$*'; the first time takes some minutes."
	$(BIN)/python -m pip install --quiet --no-build-isolation -Cbuild-dir=$(BUILD) \
	  -Ccmake.define.SWATH_BUILD_TESTS=ON '.[$*]'
	touch $@
