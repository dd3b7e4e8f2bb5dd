#!/usr/bin/env bash
# Runs every check and ends with a total. A check is a test, or one lint or build of a target.
# Usage: scripts/test.sh [ARCH]...   (all three when none is named)
# TEST=text runs only the tests (host and QEMU) with that text in their names, and no lint.
. "$(dirname "$0")/build.sh"

[ $# -gt 0 ] || set -- x86_64 aarch64 riscv64
filter=${TEST:-}
passed=0
failed=0
failures=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# check NAME COMMAND...: one check that passes or fails as a whole.
check() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok      $name ($((SECONDS - start)) s)"
    else
        failed=$((failed + 1))
        failures+=("$name")
        cat "$log"
        echo "FAILED  $name"
    fi
}

# tests NAME COMMAND...: runs test programs and adds up what they report.
tests() {
    local name=$1 start=$SECONDS status=0 ok bad
    shift
    "$@" 2>&1 </dev/null | tee "$log" | grep --line-buffered -vE '^(running 0 tests|test result: ok. 0 passed.*|)$' \
        || status=${PIPESTATUS[0]}
    read -r ok bad < <(awk '/^test result:/ { ok += $4; bad += $6 } END { print ok + 0, bad + 0 }' "$log")
    # What does not even build has no results.
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + ok))
    failed=$((failed + bad))
    [ "$bad" -eq 0 ] || failures+=("$name: $bad")
    echo "$name: $ok passed, $bad failed ($((SECONDS - start)) s)"
}

echo "test: with $(rustc --version)"
if [ -z "$filter" ]; then
    for what in fmt host "$@"; do
        check "lint: $what" scripts/lint.sh "$what"
    done
fi
tests "host tests" cargo test --locked --quiet ${filter:+-- "$filter"}
for arch; do
    if [ -z "$filter" ]; then
        check "build: containers without alloc, $arch" bare build "$arch" --quiet -p veridian-containers --no-default-features
    fi
    check "build: images, $arch" scripts/image.sh --tests "$arch"
    check "programs: Debian's busybox, $arch" scripts/programs.sh busybox "$arch"
    check "programs: Debian's tree, $arch" scripts/programs.sh debian "$arch"
    check "build: contracts, $arch" scripts/contracts.sh "$arch"
    tests "QEMU tests, $arch" env VERIDIAN_TEST_ARCH="$arch" VERIDIAN_IMAGES="$images" \
        cargo test --locked -p veridian-tests-qemu --test qemu -- ${filter:+"$filter"}
done

for failure in ${failures[@]+"${failures[@]}"}; do
    echo "failed: $failure"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
