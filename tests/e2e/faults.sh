#!/usr/bin/env bash
# kill -9 of a unit, of SUMO, of the factory, of the world while the loop runs: it ends with decisions all the same.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# child PARENT PATTERN: a child process whose command line matches
child() { pgrep -P "$1" -f -- "$2" | head -n 1; }

# wait_for SECONDS COMMAND...
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "waited too long for: $*"
        kill -0 "$demo_pid" 2>/dev/null || fail "the demonstration ended early"
        sleep 0.1
    done
}
recordings() { curl -fs "http://127.0.0.1:$port/v1/recordings" | grep -q sha256; }
stage() { curl -fs "http://127.0.0.1:$port/v1/status" | grep -q "\"stage\":\"$1\""; }
strike() { # NAME PID
    [ -n "$2" ] || fail "no $1 to kill"
    echo "killing $1 ($2)"
    kill -KILL "$2"
}

demo run --generations 1 --ticks-per-generation 1500 --agent-steps 200000 &
demo_pid=$!
sleep 0.5
conductor() { child "$demo_pid" "demo --data" || echo "$demo_pid"; }
wait_for 90 recordings
boss=$(conductor)
strike unit "$(child "$boss" 'flywheel-unit --unit 1')"
strike SUMO "$(pgrep -P "$(child "$boss" 'flywheel-world sumo')" | head -n 1)"
wait_for 90 grep -q 'starting a new SUMO' "$tmp/run/headless/logs/world.log"
wait_for 120 stage train
strike factory "$(child "$boss" 'flywheel serve')"
strike world "$(child "$boss" 'flywheel-world sumo')"
status=0
wait "$demo_pid" || status=$?
demo_pid=
[ "$status" -eq 0 ] || fail "the run ended with $status"
"$check_report" "$tmp/run.json" 1 || fail "the report is not whole"
faults=$(sed -n 's/^ "faults": \([0-9]*\),*$/\1/p' "$tmp/run.json")
[ "${faults:-0}" -ge 4 ] || fail "the report counts fewer than four faults"
echo ok
