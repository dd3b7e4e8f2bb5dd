#!/usr/bin/env bash
# Fetches Linux programs by others, from Debian's packages, to run in containers. What is there already is not fetched again.
# Usage: scripts/programs.sh SET ARCH...
#   busybox   target/programs/ARCH/busybox, a static program
#   debian    target/programs/ARCH/debian, the tree of a small Debian with bash, coreutils, perl, dpkg and python3
set -euo pipefail
cd "$(dirname "$0")/.."
debian_for=programs
. scripts/debian.sh

SUITE=trixie
BUSYBOX=(busybox-static)
DEBIAN=(base-files base-passwd bash coreutils dash diffutils dpkg findutils grep gzip libc-bin mawk mount ncurses-base
    perl-base procps python3 python3-minimal sed tar util-linux)
# What no program here reads.
UNREAD=(usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/zoneinfo usr/share/bug)

set_name=$1
shift
case $set_name in
    busybox) packages=("${BUSYBOX[@]}") ;;
    debian) packages=("${DEBIAN[@]}") ;;
    *) echo "programs: no such set: $set_name (busybox or debian)" >&2; exit 2 ;;
esac

programs=$(realpath -m "${CARGO_TARGET_DIR:-target}")/programs

# unpack_tree ARCH TREE: what dpkg would unpack, with the list of what is installed.
unpack_tree() {
    local archives=$programs/apt/$1/archives tree=$2 deb
    mkdir -p "$tree/var/lib/dpkg"
    # The links that merge / and /usr are in base-files, and come before what lies behind them.
    debian_unpack "$tree" "$archives"/base-files_*.deb "$archives"/*.deb
    for deb in "$archives"/*.deb; do
        dpkg-deb --field "$deb" | sed '/^Package:/a Status: install ok installed'
        echo
    done >"$tree/var/lib/dpkg/status"
    cp "$tree"/usr/share/base-passwd/passwd.master "$tree/etc/passwd"
    cp "$tree"/usr/share/base-passwd/group.master "$tree/etc/group"
    ln -sf mawk "$tree/usr/bin/awk"
    (cd "$tree" && rm -rf "${UNREAD[@]}")
}

for arch; do
    to=$programs/$arch/$set_name
    # Another list of packages, or another way to unpack them, is another set.
    stamp=$programs/$arch/$set_name.of
    made_by="$(cat scripts/programs.sh scripts/debian.sh | sha256sum)"
    if [ -e "$to" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$made_by" ]; then
        continue
    fi
    echo "programs: fetching Debian's $set_name for $arch"
    mkdir -p "$programs/$arch"
    log=$programs/$arch/$set_name.log
    own=$programs/apt/$arch
    (debian_open "$SUITE" "$arch" "$own" && debian_fetch "$own" "${packages[@]}") >"$log" 2>&1 || {
        cat "$log" >&2
        fail "cannot fetch $set_name for $arch from $(mirror): is there a network?"
    }
    new=$(mktemp -d "$programs/$arch/new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    chmod 755 "$new"
    case $set_name in
        busybox)
            debian_unpack "$new" "$own"/archives/busybox-static_*.deb
            made=$new/usr/bin/busybox
            ;;
        debian)
            unpack_tree "$arch" "$new/tree"
            made=$new/tree
            ;;
    esac
    rm -rf "$to" "$stamp"
    mv "$made" "$to"
    rm -rf "$new"
    echo "$made_by" >"$stamp"
done
