#!/usr/bin/env bash
# Builds a small Linux for x86_64, with no more than running containers takes, from Debian's sources: bench/small.config
# says what is in it. It is what a virtual machine could boot that is made for containers alone. Takes minutes; what is
# built already is not built again. In target/linux/small: `kernel`, and `version`, its package.
set -euo pipefail
cd "$(dirname "$0")/.."
debian_for=linux-small
. scripts/debian.sh

config=bench/small.config
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/linux
to=$target/small
made_by=$(cat "$config" scripts/linux-small.sh | sha256sum)
[ "$(cat "$to/made-by" 2>/dev/null)" != "$made_by" ] || exit 0
[ "$(uname -m)" = x86_64 ] || fail "is built on x86_64 alone"

echo "linux-small: fetching Debian's sources of Linux"
own=$target/apt/small
rm -rf "$own"
mkdir -p "$own"
{ debian_open bookworm x86_64 "$own" && debian_fetch_alone "$own" linux-source-6.1; } >"$own/log" 2>&1 || {
    cat "$own/log" >&2
    fail "cannot fetch linux-source-6.1 from $(mirror): is there a network?"
}
mkdir -p "$own/tree" "$own/build" "$to.part"
basename "$own"/archives/*.deb .deb >"$to.part/version"
debian_unpack "$own/tree" "$own"/archives/*.deb
tar -xf "$own"/tree/usr/src/linux-source-6.1.tar.xz -C "$own/tree"

echo "linux-small: building it"
linux() {
    make -s -C "$own/tree/linux-source-6.1" O="$own/build" -j "$(nproc)" "$@" >"$own/log" 2>&1 || {
        tail -n 30 "$own/log" >&2
        fail "cannot build Linux with $config"
    }
}
linux KCONFIG_ALLCONFIG="$PWD/$config" allnoconfig
# What the configuration could not have would be missed silently.
while read -r line; do
    [[ $line != CONFIG_* ]] || grep -qxF "$line" "$own/build/.config" || fail "$config: $line is not kept"
done <"$config"
linux vmlinux
strip -s -o "$to.part/kernel" "$own/build/vmlinux"
echo "$made_by" >"$to.part/made-by"
rm -rf "$to" "$own"
mv "$to.part" "$to"
