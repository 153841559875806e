#!/usr/bin/env bash
# A tiny demonstration ends by itself with a whole report; the same seed gives the same hashes and
# figures again; folders of another format and a second conductor are refused; nothing is left over.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

demo first --generations 1 || fail "the first run ended with $?"
"$check_report" "$work/first.json" 1 >"$work/first.txt" || fail "the first report is not whole"
demo second --generations 1 || fail "the second run ended with $?"
"$check_report" "$work/second.json" 1 >"$work/second.txt" || fail "the second report is not whole"
diff "$work/first.txt" "$work/second.txt" || fail "the same seed gave other hashes or figures"

[ "$(stat -c %a "$exams")" = 700 ] || fail "the exam store is open to others"
grep -q '"store_fenced": true' "$work/first.json" || echo "note: this kernel cannot fence the exam store"

mkdir -p "$work/old"
echo '{"format": 999}' >"$work/old/demo.json"
if demo old --generations 1; then fail "a data folder of another format was opened"; fi
grep -q 'format 999' "$work/old.err" || fail "the refusal gives no reason"

"$programs/flywheel" demo --data "$work/x" --cars 0 2>"$work/usage.err" && fail "0 cars were accepted"
[ $? -ne 0 ] || fail "no exit code"
grep -q -- '--cars' "$work/usage.err" || fail "the usage error names no option"
if demo inside --generations 1 --exam-store "$work/inside/headless/factory/exam"; then fail "an exam store inside the factory was accepted"; fi
grep -q 'exam-store' "$work/inside.err" || fail "the refusal of that store gives no reason"

if pgrep -f "$work/" >/dev/null; then fail "processes were left behind: $(pgrep -af "$work/")"; fi
echo ok
