#!/usr/bin/env bash
# A tiny experiment of three arms ends with a report; killed on the way and started again, it comes to the
# same figures to the last digit; other options in the same folder are refused; nothing is left over.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# experiment NAME OPTIONS...: the report without its times in $tmp/NAME.txt
experiment() {
    local name=$1
    shift
    "$programs/flywheel" experiment --data "$tmp/$name" --seeds 1 --generations 2 --cars 8 --ticks 300 \
        --agent-steps 30000 --share-percent 15 --exam-drives 2 --exam-runs 1 --jobs 2 "$@" \
        >"$tmp/$name.out" 2>"$tmp/$name.err" || return
    sed '/^## Times/,$d' "$tmp/$name.out" >"$tmp/$name.txt"
}

experiment whole || fail "the first run ended with $?: $(tail -n 1 "$tmp/whole.err")"
grep -q 'loop - random' "$tmp/whole.txt" || fail "the report compares nothing"
[ "$(find "$tmp/whole/cells" -name '*.json' | wc -l)" = 4 ] || fail "not every cell has a result"

experiment cut &
demo_pid=$!
for _ in $(seq 600); do
    [ -e "$tmp/cut/cells/seed-1/first/gen-1.json" ] && break
    sleep 0.2
done
sleep 2
pkill -KILL -f "experiment --data $tmp/cut" || fail "there was nothing to kill"
wait "$demo_pid" || true
demo_pid=
experiment cut || fail "the second start ended with $?: $(tail -n 1 "$tmp/cut.err")"
diff "$tmp/whole.txt" "$tmp/cut.txt" || fail "the same options gave other figures"

begin=$(date +%s)
experiment cut || fail "a finished folder ended with $?"
diff "$tmp/whole.txt" "$tmp/cut.txt" || fail "a finished folder gave another report"
[ $(($(date +%s) - begin)) -lt 20 ] || fail "a finished folder was worked on again"

if experiment cut --cars 12; then fail "other options were accepted in the same folder"; fi
grep -q 'other options' "$tmp/cut.err" || fail "the refusal gives no reason"
if pgrep -f "$tmp/" >/dev/null; then fail "processes were left behind: $(pgrep -af "$tmp/")"; fi
echo ok
