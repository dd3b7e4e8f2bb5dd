# Begins each script: what prints a line for each thing that is checked.
checks=0
failures=0
failed=

# verdict NAME HELD GOT: counts a check.
verdict() {
    checks=$((checks + 1))
    if [ "$2" = 0 ]; then
        echo "ok: $1"
    else
        failures=$((failures + 1))
        failed="$failed
FAIL: $1: got <$3>"
        echo "FAIL: $1: got <$3>"
    fi
}

# is NAME EXPECTED COMMAND: what the command prints is what is expected.
is() {
    got=$(eval "$3" 2>&1)
    [ "$got" = "$2" ]
    verdict "$1" $? "$got"
}

# like NAME PATTERN COMMAND: what the command prints matches a pattern of the shell's.
like() {
    got=$(eval "$3" 2>&1)
    # shellcheck disable=SC2254 # a pattern it is
    case $got in
        $2) verdict "$1" 0 ;;
        *) verdict "$1" 1 "$got" ;;
    esac
}

# ends NAME STATUS COMMAND: the command ends with this status.
ends() {
    got=$(eval "$3" 2>&1)
    status=$?
    [ $status = "$2" ]
    verdict "$1" $? "status $status: $got"
}

# await PID STATE NAME: waits until the process is in this state, and has this program.
await() {
    until grep -qsx "$3" "/proc/$1/comm" && grep -qs "^State:.$2" "/proc/$1/status"; do :; done
}

finish() {
    if [ $failures = 0 ]; then
        echo "PASS: $checks checks"
        exit 0
    fi
    # Again, where a log that was cut short shows them.
    echo "$failures of $checks checks FAILED:$failed"
    exit 1
}

