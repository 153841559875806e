#!/usr/bin/env bash
# The running factory cannot open a file of an exam store: an object of its own that is a link there is
# not served, though a link to a file it may read is. (Its jobs inherit that: tests/base/test_confine.c.)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

address=127.0.0.1:$port
url=http://$address
mkdir -m 700 "$tmp/exam"
"$programs/flywheel" serve --data "$tmp/factory" --listen "$address" 2>"$tmp/serve.err" &
demo_pid=$!
for _ in $(seq 100); do
    curl -fs "$url/v1/status" >"$tmp/status.json" && break
    sleep 0.1
done
grep -q '"confined":' "$tmp/status.json" || fail "the factory did not start"
grep -q '"confined":true' "$tmp/status.json" || { echo "this kernel has no Landlock: skipped"; exit 77; }

"$programs/flywheel" models make constant "$tmp/model" >/dev/null 2>&1
"$programs/flywheel" models add "$tmp/model" --url "$url" >/dev/null 2>&1
hash=$(sha256sum "$tmp/model" | cut -c1-64)
object=$(find "$tmp/factory" -type f -name "$hash*")
[ -n "$object" ] || fail "the factory keeps no file named by its hash"
served() { curl -fs "$url/v1/objects/$hash" | cmp -s - "$tmp/model"; }
served || fail "the object is not served"

cp "$object" "$tmp/factory/copy"
ln -sf "$tmp/factory/copy" "$object"
served || fail "a link to a file the factory may read is not served: the test below would prove nothing"
cp "$tmp/model" "$tmp/exam/results.json"
ln -sf "$tmp/exam/results.json" "$object"
if served; then fail "the factory opened a file of the exam store"; fi
cmp -s "$object" "$tmp/model" || fail "we cannot read that file ourselves"
echo ok
