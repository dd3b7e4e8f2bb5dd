#!/usr/bin/env bash
# Builds what a machine boots, kernel and user programs, and puts it in target/image/<arch>/.
# Usage: scripts/image.sh [--tests | --shipped] ARCH...
#   --tests   adds what only tests boot: hal's self test, and the kernel without the container engine
#   --shipped   optimises the kernel as a whole, which takes minutes; goes to target/image-shipped/
. "$(dirname "$0")/build.sh"

tests=
case ${1:-} in
    --tests)
        tests=yes
        shift
        ;;
    --shipped)
        profile=shipped
        images=${VERIDIAN_IMAGES:-$CARGO_TARGET_DIR/image-shipped}
        shift
        ;;
esac

for arch; do
    to=$images/$arch
    from=$CARGO_TARGET_DIR/$arch-veridian/$profile
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
