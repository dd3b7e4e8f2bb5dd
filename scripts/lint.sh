#!/usr/bin/env bash
# Formatting and clippy, warnings denied: on the development machine, and for the targets named.
# Usage: scripts/lint.sh [fmt | host | ARCH]...   (all of them when none is named)
. "$(dirname "$0")/build.sh"

[ $# -gt 0 ] || set -- fmt host x86_64 aarch64 riscv64
for what; do
    echo "lint: $what"
    case $what in
        fmt) cargo fmt --all --check ;;
        host) cargo clippy --locked --quiet --all-targets -- -D warnings ;;
        *)
            # A test target for bare metal would need the test harness, so only what is booted is looked at.
            bare clippy "$what" --quiet -p veridian-boot -p veridian-kernel -p veridian-hal -- -D warnings
            bare clippy "$what" --quiet -p veridian-containers --no-default-features -- -D warnings
            user clippy "$what" --quiet -- -D warnings
            ;;
    esac
done
