#!/usr/bin/env bash
# Builds what a machine boots, kernel and user programs, and puts it in target/image/<arch>/.
# Usage: scripts/image.sh [--tests] ARCH...   `--tests` adds what only tests boot: hal's self test, and the kernel
# without the container engine.
. "$(dirname "$0")/build.sh"

tests=
if [ "${1:-}" = --tests ]; then
    tests=yes
    shift
fi

for arch; do
    to=$images/$arch
    from=$CARGO_TARGET_DIR/$arch-veridian/release
    mkdir -p "$to"
    # Made anew, so that a program that is no more does not stay.
    rm -rf "$to/bin"
    user build "$arch" --quiet --bins --artifact-dir "$to/bin" -Z unstable-options
    if [ -n "$tests" ]; then
        bare build "$arch" --quiet -p veridian-boot --no-default-features --bin veridian-boot
        cp "$from/veridian-boot" "$to/kernel-no-alloc.elf"
        bare build "$arch" --quiet -p veridian-boot --bin hal-selftest
        cp "$from/hal-selftest" "$to/hal-selftest.elf"
    fi
    bare build "$arch" --quiet -p veridian-boot --bin veridian-boot
    cp "$from/veridian-boot" "$to/kernel.elf"
done
