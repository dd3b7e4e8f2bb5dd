#!/usr/bin/env bash
# Measures this kernel and Debian's Linux side by side in QEMU, for the architectures named (x86_64 when none is), and
# prints the tables. Without options the results are written to bench/results, with the chart of all of them, and then
# the reading of configurations is measured on this host, beside that of others.
# Usage: scripts/bench.sh [--counted | --wall | --small | --crowd | --ours | --check | --quick | --profile WORK] [ARCH]...
#        scripts/bench.sh --configuration   the last of these alone
#   --counted without wall times, which on a busy host say nothing
#   --wall    those alone, written beside what was counted
#   --small   a Linux built small, for boot and memory, written beside them: builds it first, which takes minutes (x86_64)
#   --crowd   what a container costs Linux beside 10,000 others, written beside them: half an hour, and 6 GiB
#   --ours    this kernel's figures of record alone, written beside those of Linux that were
#   --quick   this kernel's figures of record alone, which are instructions: equal on every run
#   --profile   the kernel's functions in which a micro-benchmark, or the container `cycle`, spends its instructions
#   --check   the same, compared with those in bench/results: fails when one is more than 2 % worse
. "$(dirname "$0")/build.sh"
images=${VERIDIAN_IMAGES:-$CARGO_TARGET_DIR/image-shipped}

# configuration: how fast configurations are read, in both forms and by oci-spec.
configuration() {
    echo "bench: reading configurations"
    (cd bench/configuration && cargo bench --locked --quiet --target-dir "$CARGO_TARGET_DIR/configuration")
}

mode=()
peers=yes
case ${1:-} in
    --configuration)
        configuration
        exit
        ;;
    --counted | --wall | --crowd)
        mode=("$1")
        shift
        ;;
    --small)
        mode=("$1")
        shift
        scripts/setup.sh linux-small
        scripts/linux-small.sh
        ;;
    --ours | --check | --quick)
        mode=("$1")
        peers=
        shift
        ;;
    --profile)
        mode=("$1" "$2")
        peers=
        shift 2
        ;;
esac
[ $# -gt 0 ] || set -- x86_64
echo "bench: building the runner"
cargo build --locked --quiet -p veridian-bench
failed=
for arch; do
    echo "bench: $arch: building the kernel and what is measured"
    scripts/image.sh --shipped "$arch"
    scripts/bench-programs.sh "$arch"
    [ -z "$peers" ] || scripts/linux.sh "$arch"
    VERIDIAN_IMAGES=$images "$CARGO_TARGET_DIR/debug/veridian-bench" ${mode[@]+"${mode[@]}"} --arch "$arch" || failed=yes
done
[ ${#mode[@]} -gt 0 ] || configuration || failed=yes
[ -z "$failed" ]
