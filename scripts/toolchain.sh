# shellcheck shell=bash
# Sourced. Decides which cargo builds Veridian and puts it first in PATH, so that cargo, rustc, rustfmt and
# clippy are all of one toolchain. The kernel builds its own `core` and `alloc`, so a toolchain will do only
# if it has the library sources. In this order:
#   1. $VERIDIAN_CARGO, the path of a cargo, when it is set;
#   2. a rustup nightly with the components rust-src, rustfmt and clippy;
#   3. Debian's packages rustc-web and its companions, in /usr.
# After `find_toolchain` has succeeded, `cargo` is the right one and TOOLCHAIN says which it is.

# The first release that reads the target files as they are (minor version of Rust 1.x).
TOOLCHAIN_MINOR=95

# Succeeds if directory $1/bin holds a complete toolchain that is new enough.
toolchain_usable() {
    local root=$1 tool version
    for tool in cargo rustc rustfmt cargo-fmt cargo-clippy clippy-driver; do
        [ -x "$root/bin/$tool" ] || return 1
    done
    [ -e "$root/lib/rustlib/src/rust/library/Cargo.lock" ] || return 1
    version=$("$root/bin/rustc" --version) || return 1
    version=${version#rustc 1.}
    [ "${version%%.*}" -ge "$TOOLCHAIN_MINOR" ] 2>/dev/null
}

toolchain_use() {
    PATH=$1/bin:$PATH
    # Debian's release build takes the unstable flags that a nightly takes, if told to.
    RUSTC_BOOTSTRAP=1
    TOOLCHAIN=$1
    export PATH RUSTC_BOOTSTRAP
}

find_toolchain() {
    local root
    if [ -n "${VERIDIAN_CARGO:-}" ]; then
        root=$(dirname "$(dirname "$VERIDIAN_CARGO")")
        if [ -x "$VERIDIAN_CARGO" ]; then
            toolchain_use "$root"
            return 0
        fi
        echo "toolchain: VERIDIAN_CARGO=$VERIDIAN_CARGO is not a program" >&2
        return 1
    fi
    for root in "${RUSTUP_HOME:-${HOME:-/root}/.rustup}"/toolchains/nightly* /usr; do
        if toolchain_usable "$root"; then
            toolchain_use "$root"
            # These would send a nested cargo elsewhere.
            unset RUSTUP_TOOLCHAIN RUSTC CARGO
            return 0
        fi
    done
    return 1
}
