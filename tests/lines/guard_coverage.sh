#!/bin/sh
# Every branch of the guard is taken by its test (FW_ASSERT's aside): builds both with --coverage and asks gcovr.
#     guard_coverage.sh SOURCE_DIR [CC]
set -eu
source=$1 cc=${2:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v gcovr >/dev/null || { echo "gcovr is not installed (scripts/setup.sh)"; exit 77; }
cd "$work"
flags="-std=gnu11 -O0 -I$source/src"
act=$source/src/lines/driving/act
$cc $flags --coverage -c "$act/guard.c" -o guard.o
$cc $flags -O1 -o test_guard "$source/tests/lines/test_guard.c" guard.o "$act/view.c" "$act/scene.c" \
    "$source/src/base/random.c" "$source/src/base/status.c" --coverage -lcmocka -lm
./test_guard >test.log 2>&1 || { cat test.log; exit 1; }
gcovr --root "$source" --object-directory "$work" --filter "$act/guard\\.c" --branches \
    --exclude-branches-by-pattern '.*FW_ASSERT.*' --txt - --fail-under-branch 100 --fail-under-line 100 "$work"
