#!/usr/bin/env bash
# test_arch.sh - the rules of ARCHITECTURE.md and of the code's style that a compiler does not check.
#
#   test_arch.sh CHECK SOURCE_FOLDER [BUILD_FOLDER]
#
# Checks: layers headers unit functions paths links commands selftest. Exit 0 kept, 1 broken (each breach on
# a line of its own), 77 nothing to check yet.
set -euo pipefail

check=${1:?which check} root=${2:?source folder} build=${3:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
breaches=0
breach() { echo "$check: $*"; breaches=$((breaches + 1)); }

# The layer of a folder below src/: group and rank. A file may include its own group and lower ranks.
layer_of() { # PATH below src/
    case $1 in
    base/*) echo base 0 ;;
    mcap/* | bus/* | http/* | campaign/* | trust/* | gate/*) echo "${1%%/*} 1" ;;
    payload/*) echo payload 2 ;;
    nn/run/*) echo nn/run 1 ;;
    import/*) echo import 2 ;;
    nn/train/*) echo nn/train 2 ;;
    nn/onnx/*) echo nn/onnx 2 ;;
    nn/mpi/*) echo nn/mpi 3 ;;
    lines/*/act/*) echo act 3 ;;
    lines/*/learn/*) echo learn 4 ;;
    lines/*) echo lines 4 ;;
    factory/* | unit/* | worlds/*) echo "${1%%/*} 5" ;;
    sim/*) echo sim 6 ;;
    cli/* | main_*) echo cli 7 ;;
    *) echo unknown 99 ;;
    esac
}

# Source files of a folder, below src/, one a line.
sources() { (cd "$root/src" && find . -name '*.[ch]' | sed 's|^\./||' | sort); }

check_layers() {
    local file line include group rank group2 rank2
    while read -r file; do
        read -r group rank < <(layer_of "$file")
        [ "$group" != unknown ] || { breach "src/$file is in no layer of ARCHITECTURE.md"; continue; }
        while IFS= read -r line; do
            include=$(sed 's/.*"\(.*\)".*/\1/' <<<"$line")
            [[ $include == */* ]] || continue
            read -r group2 rank2 < <(layer_of "$include")
            # What is not below src/ is a file the build generates.
            [ "$group2" != unknown ] || { [ ! -e "$root/src/$include" ] || breach "src/$file includes $include, which is in no layer"; continue; }
            [ "$group" = "$group2" ] || [ "$rank2" -lt "$rank" ] ||
                breach "src/$file ($group) includes $include ($group2)"
            case $file:$group2 in
            lines/*/act/*:nn/train) breach "src/$file includes $include: the act half knows no training" ;;
            unit/*:learn | unit/*:nn/train | main_flywheel_unit.c:learn | main_flywheel_unit.c:nn/train | main_flywheel_unit.c:factory)
                breach "src/$file includes $include: a unit knows no training" ;;
            worlds/*:learn) breach "src/$file includes $include: a world knows no training" ;;
            esac
        done < <(grep -hE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$root/src/$file" || true)
    done < <(sources)
}

check_headers() {
    local file flags
    flags=$(pkg-config --cflags jansson libcrypto libzstd liblz4 sqlite3 libcurl libmicrohttpd gnutls expat)
    while read -r file; do
        # shellcheck disable=SC2086
        printf '#include "%s"\n' "$file" | "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -DFW_VERSION='"0"' -Wall -Wextra \
            -Werror -fsyntax-only -I"$root/src" -I"$root/include" $flags -x c - ||
            breach "src/$file does not compile alone"
    done < <(sources | grep '\.h$')
}

check_unit() {
    local unit=$build/src/flywheel-unit
    [ -e "$root/src/main_flywheel_unit.c" ] || exit 77
    [ -x "$unit" ] || { breach "$unit is not built"; return; }
    local symbols libraries
    symbols=$(nm "$unit" | grep -E '(fw_driving_(train|gate|untrained)|ppo|dnnl|sqlite3_)' || true)
    [ -z "$symbols" ] || breach "flywheel-unit holds training code: $(echo "$symbols" | head -n 5 | tr '\n' ';')"
    [ "$(nm "$unit" | grep -c ' fw_')" -gt 0 ] || breach "nm shows no symbols of flywheel-unit: the check sees nothing"
    libraries=$(ldd "$unit" | grep -E 'dnnl|sqlite|torch|onnx' || true)
    [ -z "$libraries" ] || breach "flywheel-unit links $libraries"
}

# Functions of over 70 lines: definitions begin in column 0 and end with a } in column 0.
long_functions() { # FILE
    awk '
        !inside && !start && /^[A-Za-z_]/ && !/^(typedef|struct|enum|union)[^(]*$/ { start = FNR; head = "" }
        start && !inside { head = head $0 "\n" }
        start && !inside && /;[ \t]*$/ { start = 0 }
        start && !inside && /\{[ \t]*$/ { if (head ~ /\)/ && head !~ /=[^=]*\{[ \t]*\n$/) inside = 1; else start = 0 }
        /^\}/ {
            if (inside && FNR - start + 1 > 70) {
                match(head, /[A-Za-z_0-9]+\(/)
                print substr(head, RSTART, RLENGTH - 1), FNR - start + 1
            }
            inside = 0; start = 0
        }
    ' "$1"
}

check_functions() {
    local file name lines list=$root/tests/arch/long_functions.txt seen=" "
    while read -r file; do
        while read -r name lines; do
            seen+="$file:$name "
            grep -qE "^$file:$name( |\$)" "$list" 2>/dev/null ||
                breach "src/$file: $name has $lines lines, 70 at most (or a line with the reason in tests/arch/long_functions.txt)"
        done < <(long_functions "$root/src/$file")
    done < <(sources | grep '\.c$')
    [ ! -e "$list" ] || while read -r name _; do
        [ -z "$name" ] || [ "${name#\#}" != "$name" ] || [[ $seen == *" $name "* ]] ||
            breach "$name stands in long_functions.txt but is short now: take it out"
    done <"$list"
}

check_paths() {
    local found
    found=$(cd "$root" && { git ls-files -co --exclude-standard 2>/dev/null ||
        find . -type f -not -path './build/*' -not -path '*/node_modules/*' -not -path './data/*'; } |
        while IFS= read -r f; do [ -f "$f" ] && printf '%s\0' "$f"; done |
        xargs -0 grep -nIE '(^|[^A-Za-z0-9_.~-])/(wor[k]|roo[t]|hom[e]/[a-z]+)/|registry\.npm[j]s|deb\.debia[n]\.org|pypi\.or[g]' || true)
    [ -z "$found" ] || while IFS= read -r line; do breach "path of one machine or package server: $line"; done <<<"$found"
    [ ! -e "$root/web/package-lock.json" ] || ! grep -q '"resolved"' "$root/web/package-lock.json" ||
        breach 'web/package-lock.json holds "resolved" addresses: install with omit-lockfile-registry-resolved=true'
}

# Every relative link of a page leads to a file, and every decision stands in their list.
check_links() {
    local page link
    while IFS= read -r page; do
        while IFS= read -r link; do
            [ -e "$(dirname "$page")/$link" ] || breach "${page#"$root"/} links to $link, which is not there"
        done < <(grep -oE '\]\([^):]+\)' "$page" | sed -E 's/^\]\(//; s/(#.*)?\)$//' | grep . || true)
    done < <(find "$root" -maxdepth 1 -name '*.md' && find "$root/docs" -name '*.md')
    for page in "$root"/docs/decisions/0*.md; do
        grep -q "($(basename "$page"))" "$root/docs/decisions/README.md" || breach "docs/decisions/README.md does not list $(basename "$page")"
    done
}

# The options named in a text, one a line.
options() { grep -oE '(^|[^a-z-])--[a-z][a-z-]+' | grep -oE -- '--[a-z-]+' | grep -vx -e --help | sort -u || true; }

# Every command of `flywheel help` stands in docs/cli.md, and every one there is a command; the
# options of its --help and of its section are the same.
check_commands() {
    local program=$build/src/flywheel commands command
    [ -e "$root/src/main_flywheel.c" ] || exit 77
    [ -x "$program" ] || { breach "$program is not built"; return; }
    commands=$("$program" help | sed -nE 's/^  (flywheel )?([a-z][a-z-]*)( .*)?$/\2/p' | sort -u)
    [ -n "$commands" ] || breach "flywheel help lists no command"
    for command in $commands; do
        grep -qE "^## \`flywheel $command" "$root/docs/cli.md" || breach "docs/cli.md has no \"## \`flywheel $command\`\""
        case $command in help | version) continue ;; esac
        diff <("$program" "$command" --help </dev/null | options) \
            <(sed -n "/^## \`flywheel $command\`/,/^##* /p" "$root/docs/cli.md" | options) ||
            breach "the options of flywheel $command --help (<) and of docs/cli.md (>) differ"
    done
    for command in $(sed -nE 's/^## `flywheel ([a-z-]+).*/\1/p' "$root/docs/cli.md" | sort -u); do
        grep -qx "$command" <<<"$commands" || breach "docs/cli.md describes \"$command\", which flywheel help does not list"
    done
}

# Each check above must find a breach that is put before it.
check_selftest() {
    local tree one
    tree=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$tree'" EXIT
    mkdir -p "$tree/src/base" "$tree/src/factory" "$tree/tests/arch" "$tree/web"
    echo 'int y;' >"$tree/src/factory/y.h"
    printf '#include "factory/y.h"\nint fw_base_long(int a,\n                 int b)\n{\n' >"$tree/src/base/x.c"
    for one in $(seq 70); do echo "    a += $one;"; done >>"$tree/src/base/x.c"
    printf '    return a + b;\n}\n' >>"$tree/src/base/x.c"
    echo 'fw_unknown_type x;' >"$tree/src/base/x.h"
    echo "see /wor""k/there and [here](gone.md)" >"$tree/note.md"
    mkdir -p "$tree/docs/decisions" && touch "$tree/docs/decisions/README.md"
    for one in layers headers functions paths links; do
        ! "$here/test_arch.sh" "$one" "$tree" >/dev/null 2>&1 || breach "\"$one\" did not see its breach"
    done
    mkdir -p "$tree/build/src"
    : >"$tree/src/main_flywheel_unit.c"
    echo 'int fw_driving_train(void); int fw_driving_train(void) { return 0; } int main(void) { return 0; }' |
        "${CC:-cc}" -x c - -o "$tree/build/src/flywheel-unit"
    ! "$here/test_arch.sh" unit "$tree" "$tree/build" >/dev/null || breach '"unit" did not see training code'
    printf 'base/x.c:fw_base_long a reason\n' >"$tree/tests/arch/long_functions.txt"
    "$here/test_arch.sh" functions "$tree" || breach '"functions" did not honour its list'
    printf 'base/x.c:fw_base_gone a reason\n' >>"$tree/tests/arch/long_functions.txt"
    ! "$here/test_arch.sh" functions "$tree" >/dev/null || breach '"functions" did not see a stale entry'
}

case $check in
layers | headers | unit | functions | paths | links | commands | selftest) "check_$check" ;;
*) echo "unknown check \"$check\"" && exit 2 ;;
esac
[ "$breaches" -eq 0 ] || { echo "$check: $breaches broken"; exit 1; }
