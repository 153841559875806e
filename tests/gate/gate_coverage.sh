#!/bin/sh
# Every branch of the gate is taken by its tests (FW_ASSERT's, and where memory is short, aside): builds all with --coverage and asks gcovr.
#     gate_coverage.sh SOURCE_DIR [CC]
set -eu
source=$1 cc=${2:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v gcovr >/dev/null || { echo "gcovr is not installed (scripts/setup.sh)"; exit 77; }
cd "$work"
flags="-std=gnu11 -O0 -I$source/src"
base="$source/src/base/random.c $source/src/base/status.c $source/src/base/hash.c $source/src/base/json.c"
for file in "$source"/src/gate/*.c; do $cc $flags --coverage -c "$file"; done
for test in sequential gate_decision gate_trials; do
    $cc $flags -O1 -o "$test" "$source/tests/gate/test_$test.c" ./*.o $base --coverage -lcmocka -ljansson -lcrypto -lm
    "./$test" >test.log 2>&1 || { cat test.log; exit 1; }
done
gcovr --root "$source" --object-directory "$work" --filter "$source/src/gate/.*\\.c" --branches \
    --exclude-branches-by-pattern '.*(FW_ASSERT|json_array_foreach|no memory).*' --txt - --fail-under-branch 100 --fail-under-line 100 "$work"
