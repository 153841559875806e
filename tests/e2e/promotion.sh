#!/usr/bin/env bash
# A demonstration whose model is promoted: the gate's figures, a rollout through all rings with signed reports, a model that can
# be trained again to the bit from what the factory knows of it, and a failure's receipt that holds without the factory.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
flywheel=$programs/flywheel
serve_pid=
stop_serving() {
    [ -z "$serve_pid" ] || { kill -TERM "$serve_pid" 2>/dev/null && wait "$serve_pid" || true; }
    serve_pid=
}
trap 'stop_serving; clean_up' EXIT

demo run --generations 1 --cars 16 --ticks-per-generation 1500 --agent-steps 2000000 --seed 6 || fail "the run ended with $?"
grep -q 'generation 1: promoted' "$tmp/run.err" || fail "the model was not promoted: $(grep 'generation 1' "$tmp/run.err" | tail -n 1)"
factory=$tmp/run/headless/factory url=http://127.0.0.1:$port

# ---- the factory again, on the same folder ----
"$flywheel" serve --data "$factory" --listen "127.0.0.1:$port" >"$tmp/serve.err" 2>&1 &
serve_pid=$!
for _ in $(seq 100); do curl -fs "$url/v1/status" >/dev/null && break || sleep 0.1; done

"$flywheel" gate show 1 --url "$url" >"$tmp/gate.txt" || fail "no record of the decision"
grep -q 'e-value' "$tmp/gate.txt" || fail "the record names no e-value"
curl -fs "$url/v1/rollouts/1" >"$tmp/rollout.json"
grep -q '"state":"done"' "$tmp/rollout.json" || fail "the rollout is not done"
signed=$(grep -o '"signed":true' "$tmp/rollout.json" | wc -l)
[ "$signed" = 16 ] || fail "$signed of 16 units signed that they run the model"

model=$(curl -fs "$url/v1/status" | grep -oE '"champion":"[0-9a-f]{64}"' | cut -d'"' -f4)

event=
for id in $(seq 200); do # the first ones are of the poor first model
    "$flywheel" receipt "$id" --bundle "$tmp/bundle" --url "$url" >"$tmp/receipt.txt" 2>"$tmp/receipt.err" || continue
    grep -q 'complete, fixed' "$tmp/receipt.txt" && event=$id && break || rm -rf "$tmp/bundle"
done
[ -n "$event" ] || fail "none of the first 200 failures was fixed: $(tail -n 1 "$tmp/receipt.txt")"
stop_serving

# ---- without the factory ----
"$flywheel" models verify "$model" --data "$factory" >"$tmp/model.txt" || fail "the champion does not verify: $(cat "$tmp/model.txt")"
"$flywheel" models rebuild "$model" --data "$factory" >"$tmp/rebuild.txt" 2>"$tmp/rebuild.err" || fail "the model is not made again to the bit"
"$flywheel" receipt verify "$tmp/bundle/receipt.json" --key "$tmp/bundle/key.json" --objects "$tmp/bundle" --drive \
    >"$tmp/verify.txt" || fail "the receipt does not hold"
payload=$(grep -oE '"payload":"[^"]*' "$tmp/bundle/receipt.json" | cut -d'"' -f4)
changed=$(base64 -d <<<"$payload" | sed 's/"fixed"/"other"/' | base64 -w 0)
[ "$changed" != "$payload" ] || fail "nothing was changed"
sed "s|$payload|$changed|" "$tmp/bundle/receipt.json" >"$tmp/changed.json"
if "$flywheel" receipt verify "$tmp/changed.json" --key "$tmp/bundle/key.json" >/dev/null 2>&1; then fail "a changed receipt holds"; fi
echo ok
