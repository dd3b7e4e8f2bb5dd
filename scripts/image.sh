#!/usr/bin/env bash
# Builds what a machine boots, kernel and user programs, and puts it in target/image/<arch>/.
# Usage: scripts/image.sh [--tests | --shipped] ARCH...
#   --tests   adds what only tests boot: the kernel without the container engine, for x86_64
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
    mkdir -p "$to"
    # Made anew, so that a program that is no more does not stay. What cargo did not compile again is the same file there.
    rm -rf "$to/bin" "$to"/*.elf
    packages=(-p veridian-userland)
    [ "$profile" != release ] || packages+=(-p veridian-boot)
    profile=release bare build "$arch" --quiet "${packages[@]}" --bins --artifact-dir "$to/bin" -Z unstable-options
    if [ "$profile" = release ]; then
        mv "$to/bin/veridian-boot" "$to/kernel.elf"
        mv "$to/bin/hal-selftest" "$to/hal-selftest.elf"
    else
        bare build "$arch" --quiet -p veridian-boot --bin veridian-boot
        cp "$CARGO_TARGET_DIR/$arch-veridian/$profile/veridian-boot" "$to/kernel.elf"
    fi
    if [ -n "$tests" ] && [ "$arch" = x86_64 ]; then
        bare build "$arch" --quiet -p veridian-boot --no-default-features --bin veridian-boot
        cp "$CARGO_TARGET_DIR/$arch-veridian/$profile/veridian-boot" "$to/kernel-no-alloc.elf"
    fi
done
