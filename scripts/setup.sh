#!/usr/bin/env bash
# Installs what is missing to build, run and test Veridian, and nothing else; says what it does and asks nothing.
# It runs on each `make`: with nothing missing it only looks at files. Packages are Debian's (12, bookworm).
# Usage: scripts/setup.sh [debug | linux | linux-small]
#   debug   adds a gdb that knows $ARCH     linux   adds what builds tests of others for Linux: C compilers for each of $ARCHES
#   linux-small   adds what builds Linux itself
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

packages=()

# need PACKAGE FILE: PACKAGE is missing unless FILE exists or is a command in PATH.
need() {
    [ -e "$2" ] || command -v "$2" >/dev/null || packages+=("$1")
}

need make make
need gcc cc
need libc6-dev /usr/include/stdlib.h
need ca-certificates /etc/ssl/certs/ca-certificates.crt
need debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
need lld ld.lld
# They unpack busybox's sources.
need bzip2 bzip2
need xz-utils xz
# It fetches the C compiler of contracts/.
need python3-pip pip3
need qemu-system-x86 qemu-system-x86_64
need qemu-system-arm qemu-system-aarch64
need qemu-system-misc qemu-system-riscv64
need opensbi /usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin
if [ "${1:-}" = debug ] && ! command -v gdb-multiarch >/dev/null; then
    case ${ARCH:-x86_64} in
        x86_64) name=i386:x86-64 ;;
        riscv64) name=riscv:rv64 ;;
        *) name=$ARCH ;;
    esac
    # Debian's gdb knows the machine it runs on; gdb-multiarch is a second program beside it.
    gdb --batch -ex "set architecture $name" 2>&1 | grep -q 'is set to' || packages+=(gdb-multiarch)
fi

if [ "${1:-}" = linux-small ]; then
    need flex flex
    need bison bison
    need bc bc
    need libelf-dev /usr/include/libelf.h
fi
if [ "${1:-}" = linux ]; then
    for arch in ${ARCHES:-x86_64 aarch64 riscv64}; do
        [ "$arch" != "$(uname -m)" ] || continue
        debian=${arch/x86_64/x86-64}
        need "gcc-$debian-linux-gnu" "$arch-linux-gnu-gcc"
        case $arch in
            x86_64) debian=amd64 ;;
            aarch64) debian=arm64 ;;
            *) debian=$arch ;;
        esac
        need "libc6-dev-$debian-cross" "/usr/$arch-linux-gnu/lib/libc.a"
    done
fi

toolchain=found
if ! find_toolchain; then
    toolchain=missing
    [ -z "${VERIDIAN_CARGO:-}" ] || exit 1
fi

[ "$toolchain" = missing ] || [ ${#packages[@]} -gt 0 ] || exit 0

as_root=()
can_install=yes
if ! command -v apt-get >/dev/null; then
    can_install="this system has no apt-get"
elif [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
    sudo -n true 2>/dev/null || can_install="neither root nor sudo without a password"
fi

if [ "$can_install" = yes ]; then
    echo "setup: reading the package lists"
    # One list that cannot be read does not matter if the packages are in the others.
    "${as_root[@]}" apt-get update -qq >/dev/null || true
    debian_rust=(rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web rust-web-llvm)
    if [ "$toolchain" = missing ] && apt-cache show "${debian_rust[@]}" >/dev/null 2>&1; then
        packages+=("${debian_rust[@]}")
    fi
    if [ ${#packages[@]} -gt 0 ]; then
        echo "setup: installing ${packages[*]}"
        log=$(mktemp)
        if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${packages[@]}" </dev/null >"$log" 2>&1; then
            cat "$log" >&2
            echo "setup: apt-get could not install ${packages[*]}" >&2
            exit 1
        fi
        rm -f "$log"
    fi
elif [ ${#packages[@]} -gt 0 ]; then
    echo "setup: missing: ${packages[*]} (Debian's names); $can_install, so install them and run this again" >&2
    exit 1
fi

if ! find_toolchain && command -v rustup >/dev/null; then
    echo "setup: adding a nightly with rust-src to rustup"
    rustup toolchain install nightly --profile minimal --component rust-src,rustfmt,clippy </dev/null || true
fi
if ! find_toolchain; then
    echo "setup: missing: a Rust toolchain with library sources: a rustup nightly with rust-src, rustfmt and clippy," \
        "or Debian's rustc-web, cargo-web, rust-web-src, rust-web-clippy and rustfmt-web" >&2
    exit 1
fi
echo "setup: ready, with $(rustc --version)"
