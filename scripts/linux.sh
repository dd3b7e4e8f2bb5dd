#!/usr/bin/env bash
# Fetches what this kernel is compared with: Debian's Linux, and what runs containers on it. What is there already is not
# fetched again. In target/linux/ARCH:
#   kernel     the image that QEMU loads; `version` is its package and version
#   runtimes   crun and runc with the libraries that they need
# `veridian-linux` (tests-qemu) boots it; with `run` this script fetches, builds that and calls it.
# Usage: scripts/linux.sh ARCH...
#        scripts/linux.sh run ARCH [veridian-linux's options] [--] COMMAND
set -euo pipefail
cd "$(dirname "$0")/.."
debian_for=linux
. scripts/debian.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

# The package of the kernel that Debian runs on virtual machines, the suite that it and the runtimes come from.
of() {
    case $1 in
        x86_64) echo linux-image-cloud-amd64 bookworm ;;
        aarch64) echo linux-image-cloud-arm64 trixie ;;
        riscv64) echo linux-image-riscv64 trixie ;;
        *) fail "no such architecture: $1 (x86_64, aarch64 or riscv64)" ;;
    esac
}

# fetch SUITE ARCH OWN META: the runtimes and what they depend on in OWN/archives, the kernel that the package META stands
# for in OWN/kernel.
fetch() {
    local own=$3 image
    debian_open "$1" "$2" "$own" && debian_fetch "$own" crun runc || return
    rm -rf "$own/kernel" "$own/runtimes"
    mv "$own/archives" "$own/runtimes"
    mkdir -p "$own/archives/partial"
    image=$(apt-cache "${debian_options[@]}" depends "$4" | awk '$1 == "Depends:" { print $2; exit }')
    debian_fetch_alone "$own" "$image" || return
    mv "$own/archives" "$own/kernel"
}

if [ "${1:-}" = run ]; then
    arch=$2
    shift 2
    "$0" "$arch"
    . scripts/build.sh
    cargo build --locked --quiet -p veridian-tests-qemu --bin veridian-linux
    exec "$CARGO_TARGET_DIR/debug/veridian-linux" --arch "$arch" "$@"
fi

for arch; do
    to=$target/linux/$arch
    made_by=$(cat scripts/linux.sh scripts/debian.sh | sha256sum)
    if [ "$(cat "$to/made-by" 2>/dev/null)" = "$made_by" ]; then
        continue
    fi
    read -r meta suite < <(of "$arch")
    scripts/programs.sh busybox "$arch"
    echo "linux: fetching Debian's Linux, crun and runc for $arch"
    own=$target/linux/apt/$arch
    mkdir -p "$own"
    fetch "$suite" "$arch" "$own" "$meta" >"$own/log" 2>&1 || {
        cat "$own/log" >&2
        fail "cannot fetch $meta for $arch from $(mirror): is there a network?"
    }
    rm -rf "$to" "$to.part"
    mkdir -p "$to.part"/runtimes/usr/{lib,lib64} "$own/tree"
    # As Debian has it, by packages that are not wanted else.
    ln -s usr/lib usr/lib64 "$to.part/runtimes"
    debian_unpack "$own/tree" "$own"/kernel/*.deb
    mv "$own"/tree/boot/vmlinu[xz]-* "$to.part/kernel"
    basename "$own"/kernel/*.deb .deb >"$to.part/version"
    debian_unpack "$to.part/runtimes" "$own"/runtimes/{crun,runc,lib}*.deb
    # Programs and libraries are wanted, no more.
    (cd "$to.part/runtimes" && rm -rf etc usr/share usr/lib/*/gconv usr/lib/*/*.a)
    rm -rf "$own/tree" "$own/kernel" "$own/runtimes"
    echo "$made_by" >"$to.part/made-by"
    mv "$to.part" "$to"
done
