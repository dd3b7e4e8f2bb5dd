#!/usr/bin/env bash
# Measures what docs/figures.md records, for the architectures named (all three when none is), and prints it as the rows
# of its table. Instructions are QEMU's (-icount shift=0): equal on every run of the same images.
. "$(dirname "$0")/build.sh"
images=${VERIDIAN_IMAGES:-$CARGO_TARGET_DIR/image-shipped}
export VERIDIAN_IMAGES=$images

[ $# -gt 0 ] || set -- x86_64 aarch64 riscv64
cargo build --locked --quiet -p veridian-tests-qemu --bin veridian-run
run=$CARGO_TARGET_DIR/debug/veridian-run
config=$(mktemp --suffix .oci)
trap 'rm -f "$config"' EXIT

# first ARCH: instructions from reset to the first of the container's process (and those that print the number's call).
first() {
    sed 's|^process_args=.*|process_args=["/bin/worker","since-reset"]|' examples/hello.oci >"$config"
    "$run" --arch "$1" --count --append quiet "$config" 2>/dev/null | awk '/since reset:/ { print $3 }'
}

# cycle ARCH: the line of means of 100 container lives.
cycle() {
    sed 's|^process_args=.*|process_args=["/bin/worker","exit","0"]|' examples/hello.oci >"$config"
    "$run" --arch "$1" --count --append "quiet bench=cycle count=100" "$config" 2>/dev/null | awk '/bench cycle/ {
        gsub(/veridian: bench cycle: |\r/, ""); printf "%s%s", sep, $0; sep = "; " }'
}

# size ARCH: bytes that the kernel's image takes in memory: code and constants, and with its zeroed data.
size() {
    local in_file in_memory file=0 memory=0
    while read -r in_file in_memory; do
        file=$((file + in_file)) memory=$((memory + in_memory))
    done < <(readelf -lW "$images/$1/kernel.elf" | awk '$1 == "LOAD" { print $5, $6 }')
    echo "$file bytes to load, $memory in memory"
}

# least ARCH: the least -m, in MiB, that runs examples/hello.oci to its end.
least() {
    local mib
    for mib in 4 5 6 7 8 10 12 14 16 20 24 32; do
        if "$run" --arch "$1" --mem "${mib}M" --timeout 20 examples/hello.oci >/dev/null 2>&1; then
            echo "$mib MiB"
            return
        fi
    done
    echo "more than 32 MiB"
}

# idle ARCH: what containers that sleep cost when there are 1, 100, 10,000 of them, and what one more costs then.
idle() {
    "$run" --arch "$1" --mem 3G --timeout 900 --append "quiet probe=idle count=10000" examples/hello.oci 2>/dev/null | awk '
        /^idle:/ { gsub(/idle: |\r/, ""); printf "%s%s", sep, $0; sep = "; " }'
}

for arch; do
    scripts/image.sh --shipped "$arch"
    echo "| $arch | reset to the container's first instruction | $(first "$arch") instructions |"
    echo "| $arch | create+start+wait+delete, mean of 100 | $(cycle "$arch") |"
    echo "| $arch | kernel image | $(size "$arch") |"
    echo "| $arch | least memory that runs hello | $(least "$arch") |"
    echo "| $arch | idle containers | $(idle "$arch") |"
done
