#!/usr/bin/env bash
# A tiny demonstration ends by itself with a whole report; the same seed gives the same hashes and
# figures again; folders of another format and a second conductor are refused; nothing is left over.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

demo first --generations 1 || fail "the first run ended with $?"
"$check_report" "$tmp/first.json" 1 >"$tmp/first.txt" || fail "the first report is not whole"
# A store of its own, so that no figure of a generation, of constant speed or of SUMO's drivers comes from
# the first run. (What two baselines of no generation are worth is taken over: exams are most of the time.)
mkdir -m 700 "$tmp/exams"
grep -lE '"label": "(idm|untrained)"' "$exams"/*.json | xargs -r cp -t "$tmp/exams"
demo second --generations 1 --exam-store "$tmp/exams" || fail "the second run ended with $?"
"$check_report" "$tmp/second.json" 1 >"$tmp/second.txt" || fail "the second report is not whole"
grep -q '^faults 0$' "$tmp/first.txt" || fail "a run without faults counts some"
diff "$tmp/first.txt" "$tmp/second.txt" || fail "the same seed gave other hashes or figures"
grep -q 'last generation alone against generation 0: ' "$tmp/first.out" || fail "the table makes no claims"

[ "$(stat -c %a "$exams")" = 700 ] || fail "the exam store is open to others"
grep -q '"factory_confined": true' "$tmp/first.json" || echo "note: this kernel cannot confine the factory"

mkdir -p "$tmp/old"
echo '{"format": 999}' >"$tmp/old/demo.json"
if demo old --generations 1; then fail "a data folder of another format was opened"; fi
grep -q 'format 999' "$tmp/old.err" || fail "the refusal gives no reason"

"$programs/flywheel" demo --data "$tmp/x" --cars 3 2>"$tmp/usage.err" && fail "a fleet without a held-out car was accepted"
[ $? -ne 0 ] || fail "no exit code"
grep -q -- '--cars' "$tmp/usage.err" || fail "the usage error names no option"
for inside in "$tmp/inside/headless/factory/exam" "$programs/e2e-inside"; do
    if demo inside --generations 1 --exam-store "$inside"; then fail "an exam store in $inside was accepted"; fi
    grep -q 'exam-store' "$tmp/inside.err" || fail "the refusal of the store in $inside gives no reason"
done
rmdir "$programs/e2e-inside"

if pgrep -f "$tmp/" >/dev/null; then fail "processes were left behind: $(pgrep -af "$tmp/")"; fi
echo ok
