# shellcheck shell=bash
# Sourced by the other scripts: the right cargo, and how the kernel and the user programs are built for a target.

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
export CARGO_PROFILE_RELEASE_INCREMENTAL=true

# user_target ARCH: the target of the user programs, which may use the processor's floating point.
user_target() {
    case $1 in
        x86_64) echo x86_64-unknown-linux-none ;;
        aarch64) echo aarch64-unknown-none ;;
        riscv64) echo riscv64gc-unknown-none-elf ;;
        *) echo "no such architecture: $1 (x86_64, aarch64 or riscv64)" >&2; return 1 ;;
    esac
}

# user SUBCOMMAND ARCH [cargo's arguments]: cargo for the user programs, whose flags are in userland/.cargo/config.toml.
user() {
    local subcommand=$1 target
    target=$(user_target "$2")
    shift 2
    (cd userland && env -u CARGO_PROFILE_RELEASE_INCREMENTAL cargo "$subcommand" --locked --release --target "$target" "$@")
}

# bare SUBCOMMAND ARCH [cargo's arguments]: cargo for a kernel target, with `core` and `alloc` built for it.
bare() {
    local subcommand=$1 arch=$2
    shift 2
    cargo "$subcommand" --locked --profile "$profile" --target "$root/$arch-veridian.json" -Z json-target-spec \
        -Z build-std=core,alloc,compiler_builtins -Z build-std-features=compiler-builtins-mem "$@"
}
