#!/usr/bin/env bash
# The slow comparisons with Linux: busybox's own test suite, the contracts and the tests of the crate `nix`, on Debian's Linux
# and here, and ten million random calls. Ends with a table; the exit status is 0 if all went as listed.
# Usage: scripts/test-linux.sh [ARCH]...   (all three when none is named)
# TEST=busybox|contracts|nix|calls runs one of them.  CALLS=number of random calls.  SEED=theirs.
. "$(dirname "$0")/build.sh"

[ $# -gt 0 ] || set -- x86_64 aarch64 riscv64
table=()
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# check NAME COMMAND...: runs it, and keeps a row of the table.
check() {
    local name=$1 start=$SECONDS result=ok
    shift
    "$@" </dev/null 2>&1 | tee "$log" || result=FAILED
    [ "$result" = ok ] || failed=$((failed + 1))
    table+=("$(printf '%-7s %-24s %5d s  %s' "$result" "$name" $((SECONDS - start)) "$(grep -m 1 -E ' hold, here |^PASS' "$log")")")
}

# wanted NAME: whether TEST asks for it.
wanted() {
    [ -z "${TEST:-}" ] || [ "$TEST" = "$1" ]
}

# calls ARCH: random calls, with the seed of the probe's test unless SEED is set. The clock counts instructions: no call
# waits for long, and the same seed is the same run.
calls() {
    local words="calls=${CALLS:-10000000}${SEED:+ seed=$SEED}"
    "$CARGO_TARGET_DIR/debug/veridian-run" --arch "$1" --count --timeout 7200 \
        --append "loglevel=error probe=random-calls $words" examples/hello.oci
}

cargo build --locked --quiet -p veridian-tests-qemu --bins
for arch; do
    scripts/image.sh "$arch"
    scripts/programs.sh busybox "$arch"
    scripts/linux.sh "$arch"
    scripts/busybox-tests.sh
    scripts/contracts.sh "$arch"
    for subject in busybox contracts; do
        ! wanted "$subject" || check "$subject, $arch" "$CARGO_TARGET_DIR/debug/veridian-compare" "$arch" "$subject"
    done
    if wanted nix; then
        scripts/nix.sh "$arch"
        check "nix, $arch" "$CARGO_TARGET_DIR/debug/veridian-compare" "$arch" nix
    fi
    ! wanted calls || check "random calls, $arch" calls "$arch"
done

printf '%s\n' "${table[@]}"
[ "$failed" -eq 0 ]
