#!/usr/bin/env bash
# Builds and boots; its exit status is that of the container's process (or one of those in `make help`).
# Usage: [ARCH=…] [CONFIG=…] [SMP=…] [MEM=…] [MACHINE=…] [APPEND=…] [TIMEOUT=…] scripts/run.sh [shell|console|debug]
# `shell` is busybox in a container, where it can be fetched; `console` is the small shell on the machine itself.
. "$(dirname "$0")/build.sh"

arch=${ARCH:-x86_64}
echo "run: building for $arch"
scripts/image.sh "$arch" || exit 123
cargo build --locked --quiet -p veridian-tests-qemu --bin veridian-run || exit 123

words=(--arch "$arch" --smp "${SMP:-1}" --mem "${MEM:-256M}" --timeout "${TIMEOUT:-600}")
[ -z "${MACHINE:-}" ] || words+=(--machine "$MACHINE")
[ -z "${APPEND:-}" ] || words+=(--append "$APPEND")
config=examples/hello.oci
if [ "${1:-}" = shell ] || [ "${1:-}" = console ]; then
    words+=(--shell)
    # A person decides when it ends.
    [ -n "${TIMEOUT:-}" ] || words+=(--timeout 0)
    if [ "$1" = shell ]; then
        if scripts/programs.sh busybox "$arch"; then
            words+=(--busybox "$CARGO_TARGET_DIR/programs/$arch/busybox")
            config=examples/busybox/config.oci
        else
            echo "run: without busybox, this is the small shell on the machine itself" >&2
        fi
    fi
elif [ "${1:-}" = debug ]; then
    gdb=gdb-multiarch
    command -v "$gdb" >/dev/null || gdb=gdb
    words+=(--debug "$gdb")
fi
exec "$CARGO_TARGET_DIR/debug/veridian-run" "${words[@]}" "${CONFIG:-$config}"
