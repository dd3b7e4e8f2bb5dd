#!/usr/bin/env bash
# Builds and boots; its exit status is that of the container's process (or one of those in `make help`).
# Usage: [ARCH=…] [CONFIG=…] [SMP=…] [MEM=…] [MACHINE=…] [APPEND=…] [TIMEOUT=…] scripts/run.sh [shell|debug]
. "$(dirname "$0")/build.sh"

arch=${ARCH:-x86_64}
echo "run: building for $arch"
scripts/image.sh "$arch" || exit 123
cargo build --locked --quiet -p veridian-tests-qemu --bin veridian-run || exit 123

words=(--arch "$arch" --smp "${SMP:-1}" --mem "${MEM:-256M}" --timeout "${TIMEOUT:-600}")
[ -z "${MACHINE:-}" ] || words+=(--machine "$MACHINE")
[ -z "${APPEND:-}" ] || words+=(--append "$APPEND")
if [ "${1:-}" = shell ]; then
    words+=(--shell)
    # A person decides when it ends.
    [ -n "${TIMEOUT:-}" ] || words+=(--timeout 0)
elif [ "${1:-}" = debug ]; then
    gdb=gdb-multiarch
    command -v "$gdb" >/dev/null || gdb=gdb
    words+=(--debug "$gdb")
fi
exec "$CARGO_TARGET_DIR/debug/veridian-run" "${words[@]}" "${CONFIG:-examples/hello.oci}"
