#!/usr/bin/env bash
# Builds contracts/ for Linux, static: target/contracts/ARCH/contracts. The compiler is zig, from PyPI by pip's own
# settings, kept in target/. What is newer than its sources is not built again.
# Usage: scripts/contracts.sh ARCH...
set -euo pipefail
cd "$(dirname "$0")/.."

# Its musl and its headers are the same everywhere, so the programs are too.
version=0.17.1
built=${CARGO_TARGET_DIR:-target}/contracts
zig=$built/zig-$version

for arch; do
    program=$built/$arch/contracts
    if [ -e "$program" ] && [ -z "$(find contracts scripts/contracts.sh -newer "$program")" ]; then
        continue
    fi
    if [ ! -e "$zig/ziglang/__main__.py" ]; then
        echo "contracts: fetching zig $version"
        rm -rf "$zig" "$zig.part"
        mkdir -p "$built"
        python3 -m pip install --quiet --no-input --disable-pip-version-check --no-deps --only-binary :all: \
            --target "$zig.part" "ziglang==$version" </dev/null || {
            echo "contracts: zig $version cannot be fetched: pip found no way to PyPI (see above)" >&2
            exit 123
        }
        mv "$zig.part" "$zig"
    fi
    mkdir -p "$built/$arch"
    PYTHONPATH=$zig python3 -m ziglang cc -target "$arch-linux-musl" -static -s -O1 contracts/*.c -o "$program.part"
    rm -f "$program.pdb"
    mv "$program.part" "$program"
done
