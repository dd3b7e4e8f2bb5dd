#!/usr/bin/env bash
# Builds what a machine boots: kernel, user programs, hal's self test; puts them in target/image/<arch>/.
# Usage: scripts/image.sh [--with-no-alloc] ARCH...   `--with-no-alloc` adds the kernel without the container engine.
. "$(dirname "$0")/build.sh"

no_alloc=
if [ "${1:-}" = --with-no-alloc ]; then
    no_alloc=yes
    shift
fi

for arch; do
    to=$images/$arch
    from=$CARGO_TARGET_DIR/$arch-veridian/release
    mkdir -p "$to"
    # Made anew, so that a program that is no more does not stay.
    rm -rf "$to/bin"
    user build "$arch" --quiet --bins --artifact-dir "$to/bin" -Z unstable-options
    if [ -n "$no_alloc" ]; then
        bare build "$arch" --quiet -p veridian-boot --no-default-features --bin veridian-boot
        cp "$from/veridian-boot" "$to/kernel-no-alloc.elf"
    fi
    bare build "$arch" --quiet -p veridian-boot --bins
    cp "$from/veridian-boot" "$to/kernel.elf"
    cp "$from/hal-selftest" "$to/hal-selftest.elf"
done
