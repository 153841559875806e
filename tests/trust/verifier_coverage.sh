#!/bin/sh
# Every branch of the verifier is taken by its tests: builds both with --coverage and asks gcovr. Left out are
# FW_ASSERT's branches and those that the list below names, each with its reason.
#     verifier_coverage.sh SOURCE_DIR [CC]
set -eu
source=$1 cc=${2:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v gcovr >/dev/null || { echo "gcovr is not installed (scripts/setup.sh)"; exit 77; }
cd "$work"
flags="-std=gnu11 -O0 -D_GNU_SOURCE -I$source/src"
verifier="canonical metadata metadata_form role tuf tuf_digest tuf_download tuf_find tuf_match tuf_store"
for name in $verifier; do
    $cc $flags --coverage -c "$source/src/trust/$name.c" -o "$name.o"
    objects="${objects-} $name.o"
done
for name in env file hash json random status; do
    $cc $flags -O1 -c "$source/src/base/$name.c" -o "base_$name.o"
    objects="$objects base_$name.o"
done
$cc $flags -O1 -c "$source/src/trust/key.c" -o key.o
for test in canonical metadata tuf tuf_keys tuf_attacks tuf_delegations tuf_download tuf_memory; do
    wrap=
    [ $test != tuf_memory ] || wrap="-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc"
    $cc $flags -O1 -o "test_$test" "$source/tests/trust/test_$test.c" $objects key.o --coverage $wrap \
        -lcmocka -ljansson -lcrypto -lpthread -lm
    "./test_$test" >test.log 2>&1 || { cat test.log; exit 1; }
done
# What no test can make happen:
#   jansson's loops ask of each value whether it is NULL
loops='json_(array|object)_foreach'
#   a file of our own that is open and cannot be looked at, emptied or sought in
files='size_of\(|empty\(|fstat|ftruncate|lseek'
#   names that are too long, whose length was checked before
names='address_of\(|fw_tuf_quote\(name_of'
gcovr --root "$source" --object-directory "$work" --filter "$source/src/trust/.*" --branches \
    --exclude-branches-by-pattern ".*(FW_ASSERT|$loops|$files|$names).*" --txt - \
    --fail-under-branch 100 "$work"
