#!/usr/bin/env bash
# Fetches Linux programs by others, from Debian's packages, to run in containers. What is there already is not fetched again.
# Usage: scripts/programs.sh SET ARCH...
#   busybox   target/programs/ARCH/busybox, a static program
#   debian    target/programs/ARCH/debian, the tree of a small Debian with bash, coreutils, perl, dpkg and python3
# apt does the fetching, by its own settings of proxies and mirrors, and checks Debian's signatures; it keeps lists and
# packages under target/programs, and nothing on this machine is changed.
set -euo pipefail
cd "$(dirname "$0")/.."

SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
BUSYBOX=(busybox-static)
DEBIAN=(base-files base-passwd bash coreutils dash diffutils dpkg findutils grep gzip libc-bin mawk perl-base procps
    python3 python3-minimal sed tar util-linux)
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

fail() {
    echo "programs: $1" >&2
    exit 1
}

# The mirror that this machine's apt reads Debian from.
mirror() {
    local found
    # shellcheck disable=SC2016 # apt's words
    found=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 '/debian/\?$') || true
    echo "${found:-http://deb.debian.org/debian}"
}

# debian_name ARCH: what Debian calls it.
debian_name() {
    case $1 in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        riscv64) echo riscv64 ;;
        *) fail "no such architecture: $1 (x86_64, aarch64 or riscv64)" ;;
    esac
}

# fetch ARCH: the packages and all that they depend on, as files in $programs/apt/ARCH/archives.
fetch() {
    local arch=$1 own=$programs/apt/$1 name options
    name=$(debian_name "$arch")
    mkdir -p "$own/lists/partial" "$own/archives/partial"
    # No package is installed as far as this apt knows, so that it fetches all.
    : >"$own/status"
    echo "deb [arch=$name signed-by=$KEYRING] $(mirror) $SUITE main" >"$own/sources.list"
    options=(-qq -y -o "APT::Architecture=$name" -o "APT::Architectures=$name" -o APT::Install-Recommends=false
        -o "Dir::State=$own" -o "Dir::State::status=$own/status" -o "Dir::State::Lists=$own/lists" -o "Dir::Cache=$own"
        -o "Dir::Etc::SourceList=$own/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o Dir::Etc::TrustedParts=/dev/null
        -o APT::Sandbox::User= -o Debug::NoLocking=true -o Acquire::Languages=none -o Acquire::Retries=3
        -o APT::Get::AllowUnauthenticated=false -o APT::Update::Error-Mode=any)
    rm -f "$own"/archives/*.deb
    apt-get "${options[@]}" update && apt-get "${options[@]}" --download-only install "${packages[@]}"
}

# unpack_debian ARCH TREE: what dpkg would unpack, with the list of what is installed; no package's scripts are run.
unpack_debian() {
    local archives=$programs/apt/$1/archives tree=$2 deb
    mkdir -p "$tree/var/lib/dpkg"
    # The links that merge / and /usr are in base-files, and come before what lies behind them.
    for deb in "$archives"/base-files_*.deb "$archives"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --no-same-owner --keep-directory-symlink
    done
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
    made_by="$(sha256sum <scripts/programs.sh)"
    if [ -e "$to" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$made_by" ]; then
        continue
    fi
    for tool in apt-get dpkg-deb; do
        command -v "$tool" >/dev/null || fail "fetching Debian's programs takes $tool, which this system has not"
    done
    [ -e "$KEYRING" ] || fail "missing: $KEYRING (Debian's package debian-archive-keyring)"
    echo "programs: fetching Debian's $set_name for $arch"
    mkdir -p "$programs/$arch"
    log=$programs/$arch/$set_name.log
    fetch "$arch" >"$log" 2>&1 || {
        cat "$log" >&2
        fail "cannot fetch $set_name for $arch from $(mirror): is there a network?"
    }
    new=$(mktemp -d "$programs/$arch/new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    chmod 755 "$new"
    case $set_name in
        busybox)
            dpkg-deb --fsys-tarfile "$programs/apt/$arch"/archives/busybox-static_*.deb | tar -x -C "$new"
            made=$new/usr/bin/busybox
            ;;
        debian)
            unpack_debian "$arch" "$new/tree"
            made=$new/tree
            ;;
    esac
    rm -rf "$to" "$stamp"
    mv "$made" "$to"
    rm -rf "$new"
    echo "$made_by" >"$stamp"
done
