#!/usr/bin/env bash
# Fetches busybox's own test suite, from Debian's source package of the busybox that scripts/programs.sh fetches, into
# target/programs/busybox-tests: `testsuite`, and the `.config` that the program was built with. What is there already is
# not fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
debian_for=busybox-tests
. scripts/debian.sh

programs=$(realpath -m "${CARGO_TARGET_DIR:-target}")/programs
to=$programs/busybox-tests
[ ! -e "$to" ] || exit 0
for tool in bzip2 xz; do
    command -v "$tool" >/dev/null || fail "unpacking busybox's sources takes $tool, which this system has not"
done

# fetch DIRECTORY: the source package, checked against Debian's signatures.
fetch() {
    debian_open trixie x86_64 "$1" || return
    sed -i 's/^deb \[arch=[a-z0-9]* /deb-src [/' "$1/sources.list"
    apt-get "${debian_options[@]}" update || return
    (cd "$1" && apt-get "${debian_options[@]}" source --download-only busybox)
}

echo "busybox-tests: fetching Debian's sources of busybox"
own=$programs/apt/busybox-tests
rm -rf "$own"
mkdir -p "$own"
fetch "$own" >"$own/log" 2>&1 || {
    cat "$own/log" >&2
    fail "cannot fetch the sources of busybox from $(mirror): is there a network?"
}
rm -rf "$to.part"
mkdir -p "$to.part"
tar -xf "$own"/busybox_*.orig.tar.* -C "$to.part" --strip-components 1 --wildcards '*/testsuite'
tar -xf "$own"/busybox_*.debian.tar.* -C "$to.part" debian/config/pkg/static
mv "$to.part/debian/config/pkg/static" "$to.part/.config"
rm -rf "$to.part/debian"
mv "$to.part" "$to"
rm -rf "$own"
