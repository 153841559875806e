#!/usr/bin/env bash
# test_setup.sh - scripts/setup.sh with everything around it played by stand-ins: what it installs, and
# that each failure is one clear line.
#
#   test_setup.sh SOURCE_FOLDER
set -euo pipefail
source_folder=${1:?source folder}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
broken=0
bad() { echo "setup: $*"; broken=$((broken + 1)); }

# A tree with the script and the page's package files, and a folder of stand-ins that come first.
mkdir -p "$tree/scripts" "$tree/web" "$tree/bin"
cp "$source_folder/scripts/setup.sh" "$tree/scripts/"
cp "$source_folder/web/package.json" "$source_folder/web/package-lock.json" "$tree/web/"
stand_in() { # NAME, script on stdin
    { echo '#!/bin/sh' && cat; } >"$tree/bin/$1"
    chmod +x "$tree/bin/$1"
}
reset() { # MISSING_PACKAGE_PATTERN
    rm -rf "$tree/web/node_modules" "$tree/build"
    : >"$tree/calls"
    stand_in dpkg-query <<<"for p; do :; done; case \$p in $1) exit 1;; esac; printf installed"
    stand_in id <<<'echo 0'
    stand_in sudo <<<'exit 1'
    stand_in df <<<'echo head; echo x x x 99999999 x x'
    stand_in node <<<'echo 18'
    stand_in apt-get <<<"echo \"\$DEBIAN_FRONTEND \$*\" >>'$tree/calls'"
    stand_in npm <<<"echo \"npm \$*\" >>'$tree/calls'; mkdir -p node_modules/uplot node_modules/playwright-core; touch node_modules/uplot/package.json node_modules/playwright-core/package.json"
}
run() { # EXPECTED_STATUS WORDS...
    local expected=$1 status=0
    shift
    PATH="$tree/bin:$PATH" "$tree/scripts/setup.sh" "$@" </dev/null >"$tree/out" 2>&1 || status=$?
    [ "$status" -eq "$expected" ] || bad "exit $status instead of $expected: $(cat "$tree/out")"
}
expect() { grep -qE "$1" "$tree/out" || bad "no \"$1\" in: $(cat "$tree/out")"; }
called() { grep -qE -- "$1" "$tree/calls" || bad "no call \"$1\" in: $(cat "$tree/calls")"; }
not_called() { ! grep -qE -- "$1" "$tree/calls" || bad "a call \"$1\" in: $(cat "$tree/calls")"; }
# The reason is the last line, and it is one.
one_line() {
    tail -n 1 "$tree/out" | grep -q '^setup: ' || bad "the last line is not the reason: $(cat "$tree/out")"
    [ "$(grep -cE 'failed|free|may not|too old|no apt' "$tree/out")" -eq 1 ] || bad "more than one line of reason: $(cat "$tree/out")"
}

reset none
run 0 build run test
not_called noninteractive
called 'npm ci --ignore-scripts'
: >"$tree/calls"
run 0 build run
not_called npm

reset 'sumo | cmake'
run 0 build run
called '^noninteractive .*update'
called '^noninteractive .*install --no-install-recommends cmake sumo$'
called 'npm ci --ignore-scripts .*--omit=dev'

reset sumo
stand_in id <<<'echo 1000'
run 1 run
expect 'as root run: apt-get install --no-install-recommends sumo'
one_line
not_called noninteractive
stand_in sudo <<<"[ \"\$1\" = -n ] && shift; exec \"\$@\""
run 0 run
called 'install --no-install-recommends sumo'

reset sumo
stand_in apt-get <<<"case \"\$*\" in *install*) echo 'Temporary failure resolving'; exit 100;; esac"
run 1 run
expect 'network or the package server cannot be reached'
one_line
stand_in apt-get <<<"echo 'E: No space left on device'; exit 100"
run 1 run
expect 'the disk is full'
one_line
stand_in apt-get <<<"echo 'E: Unable to locate package sumo'; exit 100"
run 1 run
expect 'Unable to locate package sumo.*Debian 12'
one_line

reset none
stand_in df <<<'echo head; echo x x x 10240 x x'
run 1 build
expect 'only 10 MB free'
one_line
reset none
stand_in npm <<<'echo npm error code ENOTFOUND; exit 1'
run 1 build
expect 'npm ci failed: the network'
one_line
reset none
stand_in node <<<'case $1 in --version) echo v16.1.0;; *) echo 16;; esac'
run 1 build
expect 'node v16.1.0 is too old'
one_line
reset none
run 2 nonsense
expect 'unknown word "nonsense"'

[ "$broken" -eq 0 ] || { echo "setup: $broken broken"; exit 1; }
