#!/bin/sh
# Mutation testing of the guard: every change that guard_mutants.awk makes to guard.c, and every figure of its table
# 20 % up and down, must fail test_guard. Fails naming the survivors.
#     guard_mutants.sh SOURCE_DIR
set -eu
source=$1 act=$1/src/lines/driving/act
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
flags="-std=gnu11 -w -I$source/src"
for file in tests/lines/test_guard src/lines/driving/act/view src/lines/driving/act/scene src/base/random src/base/status; do
    cc $flags -O1 -c "$source/$file.c" -o "$(basename $file).o"
done
cc -r -o rest.o test_guard.o view.o scene.o random.o status.o
export FLYWHEEL_ROUNDS=100

# dies NAME GUARD_C [FLAGS]: whether the test notices; a mutant that does not compile is a fault of the script
dies() {
    cc ${3:-} $flags -O0 -o "mutant$1" "$2" rest.o -lcmocka -lm || { echo "mutant $1 does not compile"; exit 1; }
    ! timeout 10 "./mutant$1" >/dev/null 2>&1
}

if dies plain "$act/guard.c"; then echo "test_guard fails without a change"; exit 1; fi
mkdir -p code
awk -v out=code -f "$source/tests/lines/guard_mutants.awk" "$act/guard.c" >list
while read -r number what; do
    dies "" "code/$number.c" || echo "survived: $what" >>survivors
done <list

figures=$(sed -n 's/^ *X(\([a-z_0-9]*\), \([0-9.]*\)f, ".*/\1 \2/p' "$act/guard.h")
set -- $figures
while [ $# -gt 0 ]; do
    for share in 0.8 1.2; do
        value=$(awk "BEGIN { printf \"%.4f\", $2 * $share }")
        mkdir -p table/lines/driving/act
        sed "s/X($1, $2f/X($1, ${value}f/" "$act/guard.h" >table/lines/driving/act/guard.h
        cp "$act/guard.c" table/guard.c
        echo "$1" >>list
        dies "" table/guard.c -Itable || echo "survived: $1 $value instead of $2" >>survivors
    done
    shift 2
done
echo "$(wc -l <list) mutants, $(cat survivors 2>/dev/null | wc -l) survived"
[ ! -s survivors ] || { cat survivors; exit 1; }
