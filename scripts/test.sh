#!/usr/bin/env bash
# Runs every check and ends with a total. A check is a test, or one lint or build of a target.
# Usage: scripts/test.sh [ARCH]...   (all three when none is named)
# TEST=text runs only the tests (host and QEMU) with that text in their names, and no lint.
. "$(dirname "$0")/build.sh"

[ $# -gt 0 ] || set -- x86_64 aarch64 riscv64
filter=${TEST:-}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
results=$logs/results

# result PASSED FAILED NAME: counts. Two checks may end at once: a line is written whole.
result() {
    echo "$*" >>"$results"
}

# check NAME COMMAND...: one check that passes or fails as a whole.
check() {
    local name=$1 start=$SECONDS log
    log=$(mktemp "$logs/check.XXXXXX")
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        result 1 0 "$name"
        echo "ok      $name ($((SECONDS - start)) s)"
    else
        result 0 1 "$name"
        cat "$log"
        echo "FAILED  $name"
    fi
}

# tests NAME COMMAND...: runs test programs and adds up what they report.
tests() {
    local name=$1 start=$SECONDS status=0 log ok bad
    log=$(mktemp "$logs/tests.XXXXXX")
    shift
    "$@" 2>&1 </dev/null | tee "$log" | grep --line-buffered -vE '^(running 0 tests|test result: ok. 0 passed.*|)$' \
        || status=${PIPESTATUS[0]}
    read -r ok bad < <(awk '/^test result:/ { ok += $4; bad += $6 } END { print ok + 0, bad + 0 }' "$log")
    # What does not even build has no results.
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    result "$ok" "$bad" "$name"
    echo "$name: $ok passed, $bad failed ($((SECONDS - start)) s)"
}

# What the machines boot and run.
images() {
    local arch
    for arch; do
        check "build: images, $arch" scripts/image.sh --tests "$arch"
        if [ -z "$filter" ]; then
            check "build: containers without alloc, $arch" \
                bare build "$arch" --quiet -p veridian-containers --no-default-features
        fi
        check "programs: Debian's busybox, $arch" scripts/programs.sh busybox "$arch"
        check "programs: Debian's tree, $arch" scripts/programs.sh debian "$arch"
        check "build: contracts, $arch" scripts/contracts.sh "$arch"
    done
}

lints() {
    local what
    for what in fmt host programs "$@"; do
        check "lint: $what" scripts/lint.sh "$what"
    done
}

echo "test: with $(rustc --version)"
# The compiler works on one crate at a time, mostly on one processor: two builds at once take little longer than one.
images "$@" &
[ -n "$filter" ] || lints "$@"
tests "host tests" cargo test --locked --quiet ${filter:+-- "$filter"}
wait
for arch; do
    tests "QEMU tests, $arch" env VERIDIAN_TEST_ARCH="$arch" VERIDIAN_IMAGES="$images" \
        cargo test --locked -p veridian-tests-qemu --test qemu -- ${filter:+"$filter"}
done

read -r passed failed < <(awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0 }' "$results")
awk '$2 > 0 { bad = $2; sub(/^[0-9]+ [0-9]+ /, ""); print "failed: " $0 (bad > 1 ? ": " bad : "") }' "$results"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
