#!/usr/bin/env bash
# Builds what is measured, for Linux, static: target/bench/ARCH/{micro,floor}. What is newer than its sources is not built
# again.
# Usage: scripts/bench-programs.sh ARCH...
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/zig.sh

for arch; do
    for name in micro floor; do
        static_program "${CARGO_TARGET_DIR:-target}/bench/$arch/$name" "$arch" -O2 -- bench/$name/*.c
    done
done
