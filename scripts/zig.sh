# shellcheck shell=bash
# Sourced, after `set -e`, at the repository's root: a C compiler for static Linux programs of every architecture. It is zig,
# from PyPI by pip's own settings, kept in target/. Its musl and its headers are the same everywhere, so the programs are too.

ZIG_VERSION=0.17.1

# static_program PROGRAM ARCH OPTION... -- SOURCE...: builds it from its sources, unless it is newer than their directories.
static_program() {
    local program=$1 arch=$2 zig=${CARGO_TARGET_DIR:-target}/zig-$ZIG_VERSION options=() sources directories
    shift 2
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    sources=("$@")
    mapfile -t directories < <(dirname "${sources[@]}" | sort -u)
    if [ -e "$program" ] && [ -z "$(find "${directories[@]}" scripts/zig.sh -newer "$program")" ]; then
        return
    fi
    if [ ! -e "$zig/ziglang/__main__.py" ]; then
        echo "zig: fetching version $ZIG_VERSION"
        rm -rf "$zig" "$zig.part"
        mkdir -p "$(dirname "$zig")"
        python3 -m pip install --quiet --no-input --disable-pip-version-check --no-deps --only-binary :all: \
            --target "$zig.part" "ziglang==$ZIG_VERSION" </dev/null || {
            echo "zig: version $ZIG_VERSION cannot be fetched: pip found no way to PyPI (see above)" >&2
            exit 123
        }
        mv "$zig.part" "$zig"
    fi
    mkdir -p "$(dirname "$program")"
    PYTHONPATH=$zig python3 -m ziglang cc -target "$arch-linux-musl" -static -s "${options[@]}" "${sources[@]}" \
        -o "$program.part"
    rm -f "$program.pdb" "$program.part.pdb"
    mv "$program.part" "$program"
}
