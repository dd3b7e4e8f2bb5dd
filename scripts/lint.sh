#!/usr/bin/env bash
# Formatting and clippy, warnings denied. What names no architecture is looked at once, what does on each of them.
# Usage: scripts/lint.sh [fmt | host | programs | ARCH]...   (all of them when none is named)
#   host   all crates of the development machine, and their tests     programs   the user programs
#   ARCH   the crates with code of their own for an architecture
. "$(dirname "$0")/build.sh"

# A directory of its own: neither waits for the other when clippy and a build run at the same time.
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/lint

[ $# -gt 0 ] || set -- fmt host programs x86_64 aarch64 riscv64
for what; do
    echo "lint: $what"
    case $what in
        fmt) cargo fmt --all --check ;;
        host) cargo clippy --locked --quiet --all-targets -- -D warnings ;;
        programs) bare clippy x86_64 --quiet -p veridian-userland -- -D warnings ;;
        *)
            # A test target for bare metal would need the test harness, so only what is booted is looked at.
            bare clippy "$what" --quiet --no-deps -p veridian-boot -p veridian-hal -- -D warnings
            bare clippy "$what" --quiet -p veridian-containers --no-default-features -- -D warnings
            bare clippy "$what" --quiet -p veridian-userland --lib -- -D warnings
            ;;
    esac
done
