# Shared by the end-to-end tests: a folder that goes away, a port, and a tiny demonstration.
programs=$1 check_report=$2
command -v sumo >/dev/null || { echo "sumo is not installed: skipped"; exit 77; }
tmp=$(mktemp -d)
# Results are cached by the hash of the program, so that tests may share one store. It lies beside the
# programs' folder, not in it: the factory may read that.
exams=$programs/../e2e-exams
port=$((20000 + 2 * ($$ % 10000)))
demo_pid=
clean_up() {
    if [ -n "$demo_pid" ] && kill -0 "$demo_pid" 2>/dev/null; then
        kill -TERM "$demo_pid"
        wait "$demo_pid" || true
    fi
    rm -rf "$tmp"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*"
    tail -n 15 "$tmp"/*/headless/logs/*.log "$tmp"/*.err 2>/dev/null || true
    exit 1
}

# demo NAME OPTIONS...: a tiny headless run in $tmp/NAME, report in $tmp/NAME.json. The last of two
# equal options counts.
demo() {
    local name=$1
    shift
    "$programs/flywheel" demo --data "$tmp/$name" --headless --cars 4 --ticks-per-generation 150 \
        --agent-steps 20000 --exam-drives 4 --exam-store "$exams" --seed 5 \
        --listen "127.0.0.1:$port" --report "$tmp/$name.json" "$@" \
        >"$tmp/$name.out" 2>"$tmp/$name.err"
}
