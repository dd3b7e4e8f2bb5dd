# shellcheck shell=bash
# Sourced by the other scripts: the right cargo, and how the kernel and the user programs are built for an architecture.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
. scripts/toolchain.sh
find_toolchain || {
    echo "no Rust toolchain with library sources; run scripts/setup.sh" >&2
    exit 123
}

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
images=${VERIDIAN_IMAGES:-$CARGO_TARGET_DIR/image}
# The kernel's profile in Cargo.toml: `release`, or `shipped` as scripts/image.sh says.
profile=release
# The kernel is always optimised; for tests what changed is compiled again, not the whole crate.
export CARGO_PROFILE_RELEASE_INCREMENTAL=true   # CARGO_INCREMENTAL=0 goes before it

# bare SUBCOMMAND ARCH [cargo's arguments]: cargo for the machine itself, with `core` and `alloc` built for it: the kernel,
# and the user programs, which need no more and so share what is compiled.
bare() {
    local subcommand=$1 arch=$2
    shift 2
    cargo "$subcommand" --locked --profile "$profile" --target "$root/$arch-veridian.json" -Z json-target-spec \
        -Z build-std=core,alloc,compiler_builtins -Z build-std-features=compiler-builtins-mem "$@"
}
