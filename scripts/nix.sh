#!/usr/bin/env bash
# Builds the tests of the crate `nix`, which try most calls of Linux: static programs in target/nix/ARCH/tests. Fetched with
# cargo, never kept in the repository. What is there already is not built again.
# For an architecture that is not this machine's, the standard library is built too, and Debian's C compiler for it links.
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
    to=$CARGO_TARGET_DIR/nix/$arch
    [ "$(cat "$to/made-by" 2>/dev/null)" != "$(sha256sum <scripts/nix.sh)" ] || continue
    echo "nix: building the tests of version $VERSION"
    rm -rf "$to"
    mkdir -p "$to/tests"
    sources "$to"
    library=() linker=cc
    if [ "$arch" != "$(uname -m)" ]; then
        library=(-Z build-std=std,panic_unwind,test)
        linker=$arch-linux-gnu-gcc
    fi
    target=$arch-unknown-linux-gnu
    [ "$arch" != riscv64 ] || target=riscv64gc-unknown-linux-gnu
    # Named as cargo names them, less the hash of their options.
    CARGO_PROFILE_DEV_DEBUG=false RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols -C linker=$linker" \
        cargo test --quiet --no-run --all-features --lib --tests --manifest-path "$to/nix/Cargo.toml" \
        "${library[@]}" --target "$target" --target-dir "$to/target" --message-format json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' |
        while read -r program; do
            name=$(basename "$program")
            cp "$program" "$to/tests/${name%-*}"
        done
    rm -rf "$to/target" "$to/own" "$to/nix"
    sha256sum <scripts/nix.sh >"$to/made-by"
done
