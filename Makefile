# The front door: `make help` shows it in one screen. The work is done by the scripts in scripts/.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# For run, debug and bench ARCH is one architecture, x86_64 unless named; build, lint and test take all three then.
export ARCH CONFIG SMP MEM MACHINE APPEND TIMEOUT TEST
ARCHES := $(or $(ARCH),x86_64 aarch64 riscv64)

.PHONY: help setup run debug shell console test test-linux bench bench-check lint fmt build clean

help:
	@cat scripts/help.txt

setup:
	@scripts/setup.sh

run: setup
	@scripts/run.sh

shell: setup
	@scripts/run.sh shell

console: setup
	@scripts/run.sh console

debug:
	@scripts/setup.sh debug
	@scripts/run.sh debug

test: setup
	@scripts/test.sh $(ARCHES)

test-linux:
	@ARCHES="$(ARCHES)" scripts/setup.sh linux
	@scripts/test-linux.sh $(ARCHES)

lint: setup
	@scripts/lint.sh fmt host programs $(ARCHES)

fmt: setup
	@. scripts/build.sh && cargo fmt --all

build: setup
	@scripts/image.sh $(ARCHES)

bench: setup
	@scripts/bench.sh $(ARCH)

bench-check: setup
	@scripts/bench.sh --check $(ARCH)

clean:
	@rm -rf "$${CARGO_TARGET_DIR:-target}"
