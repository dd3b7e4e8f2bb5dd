#!/usr/bin/env bash
# Builds the tests of the crate `nix`, which try most calls of Linux: static programs in target/nix/ARCH/tests. Fetched with
# cargo, never kept in the repository. What is there already is not built again.
# Only for the architecture of this machine: the standard library of another one is not to be had everywhere.
# Usage: scripts/nix.sh ARCH...
. "$(dirname "$0")/build.sh"

VERSION=0.31.3

# sources TO: the crate's sources with its tests, from where cargo keeps what it fetched.
sources() {
    local own=$1/own manifest
    mkdir -p "$own/src"
    : >"$own/src/lib.rs"
    printf '[package]\nname = "own"\nedition = "2024"\n[dependencies]\nnix = "=%s"\n[workspace]\n' "$VERSION" >"$own/Cargo.toml"
    manifest=$(cargo metadata --quiet --format-version 1 --manifest-path "$own/Cargo.toml" |
        grep -o "\"[^\"]*/nix-$VERSION/Cargo.toml\"" | head -n 1 | tr -d '"')
    cp -r "$(dirname "$manifest")" "$1/nix"
    printf '\n[workspace]\n' >>"$1/nix/Cargo.toml"
}

for arch; do
    if [ "$arch" != "$(uname -m)" ]; then
        echo "nix: there is no standard library for $arch here; its tests are built on such a machine" >&2
        exit 123
    fi
    to=$CARGO_TARGET_DIR/nix/$arch
    [ "$(cat "$to/made-by" 2>/dev/null)" != "$(sha256sum <scripts/nix.sh)" ] || continue
    echo "nix: building the tests of version $VERSION"
    rm -rf "$to"
    mkdir -p "$to/tests"
    sources "$to"
    # Named as cargo names them, less the hash of their options.
    CARGO_PROFILE_DEV_DEBUG=false RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" \
        cargo test --quiet --no-run --all-features --lib --tests --manifest-path "$to/nix/Cargo.toml" \
        --target "$arch-unknown-linux-gnu" --target-dir "$to/target" --message-format json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' |
        while read -r program; do
            name=$(basename "$program")
            cp "$program" "$to/tests/${name%-*}"
        done
    rm -rf "$to/target" "$to/own" "$to/nix"
    sha256sum <scripts/nix.sh >"$to/made-by"
done
