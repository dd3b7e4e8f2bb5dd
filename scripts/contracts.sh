#!/usr/bin/env bash
# Builds contracts/ for Linux, static: target/contracts/ARCH/contracts. What is newer than its sources is not built again.
# Usage: scripts/contracts.sh ARCH...
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/zig.sh

for arch; do
    static_program "${CARGO_TARGET_DIR:-target}/contracts/$arch/contracts" "$arch" -O1 -- contracts/*.c
done
