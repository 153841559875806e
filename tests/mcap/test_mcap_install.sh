#!/usr/bin/env bash
# test_mcap_install.sh - installs libflywheel-mcap into an empty folder and uses it as others would: the
# examples of docs/mcap.md through pkg-config (shared, static, C++) and through find_package.
#
#   test_mcap_install.sh SOURCE_FOLDER BUILD_FOLDER
set -euo pipefail
source_folder=${1:?source folder} build=${2:?build folder}
here=$(mktemp -d "$build/mcap_install.XXXXXX")
trap 'rm -rf "$here"' EXIT
stage=$here/stage
flags=(-std=c11 -Wall -Wextra -Wconversion -Wshadow -pedantic -Werror)
fail() { echo "mcap_install: $*"; exit 1; }

cmake --install "$build" --component mcap --prefix "$here/first" >/dev/null
mv "$here/first" "$stage" # an installed tree may move
# The page's examples are what is compiled.
for example in write read; do
    awk -v start="^\`\`\`c $example\$" '$0 ~ start { inside = 1; next } /^```$/ { inside = 0 } inside' \
        "$source_folder/docs/mcap.md" >"$here/$example.c"
    [ -s "$here/$example.c" ] || fail "docs/mcap.md has no example $example"
done
[ "$(find "$stage" -name '*.h' | wc -l)" -eq 1 ] || fail "more than one header"

PKG_CONFIG_PATH=$(dirname "$(find "$stage" -name flywheel-mcap.pc)")
export PKG_CONFIG_PATH
version=$(pkg-config --modversion flywheel-mcap)
libraries=$(pkg-config --variable=libdir flywheel-mcap)
read -ra compile <<<"$(pkg-config --cflags flywheel-mcap)"
read -ra link <<<"$(pkg-config --libs flywheel-mcap)"
read -ra link_static <<<"$(pkg-config --static --libs flywheel-mcap | sed "s|-lflywheel-mcap|$libraries/libflywheel-mcap.a|")"

# Runs the two examples and compares what the second prints.
check() { # WHAT FOLDER SUFFIX
    rm -f "$here/speed.mcap"
    (cd "$here" && LD_LIBRARY_PATH=$libraries "$2/write$3" && LD_LIBRARY_PATH=$libraries "$2/read$3") >"$here/out" ||
        fail "$1: the examples failed: $(cat "$here/out")"
    printf '50000 Speed {"mps":20}\n50100 Speed {"mps":21}\n50200 Speed {"mps":22}\n50300 Speed {"mps":23}\n50400 Speed {"mps":24}\n' |
        diff - "$here/out" || fail "$1: the examples print something else"
    echo "$1: good"
}
for example in write read; do
    "${CC:-cc}" "${flags[@]}" "${compile[@]}" "$here/$example.c" -o "$here/$example" "${link[@]}"
    "${CC:-cc}" "${flags[@]}" "${compile[@]}" "$here/$example.c" -o "$here/$example-static" \
        "${link_static[@]}"
done
check "pkg-config, shared" "$here" ""
[ "$(ldd "$here/write-static" | grep -c flywheel)" -eq 0 ] || fail "the static program needs the shared library"
check "pkg-config, static" "$here" -static

{
    cmake -S "$source_folder/tests/mcap/install" -B "$here/consumer" -DEXAMPLES="$here" \
        -DCMAKE_PREFIX_PATH="$stage" -DCMAKE_BUILD_TYPE=Release
    cmake --build "$here/consumer"
} >"$here/out" 2>&1 || fail "find_package: $(tail -n 20 "$here/out")"
check "find_package, shared" "$here/consumer" ""
check "find_package, static" "$here/consumer" -static
# Exactly the functions of the header, and the soname of the version.
shared=$libraries/libflywheel-mcap.so
nm -D --defined-only "$shared" | awk '{ print $3 }' | sort >"$here/shown"
grep -oE '\bfw_(mcap|status)_[a-z0-9_]+\(' "$stage/include/flywheel/mcap.h" | tr -d '(' | sort -u >"$here/declared"
diff "$here/declared" "$here/shown" || fail "declared (<) and shown (>) functions differ"
! grep -vE '^fw_(mcap|status)_' "$here/shown" || fail "other names are shown"
objdump -p "$shared" | grep -q "SONAME *libflywheel-mcap.so.${version%%.*}$" || fail "wrong soname"

if command -v c++ >/dev/null; then
    printf '#include <flywheel/mcap.h>\nint main() { return fw_mcap_crc32(0, "123456789", 9) != 0xCBF43926; }\n' >"$here/x.cpp"
    c++ -std=c++17 -Wall -Wextra -pedantic -Werror "${compile[@]}" "$here/x.cpp" -o "$here/x" "${link[@]}"
    LD_LIBRARY_PATH=$libraries "$here/x" || fail "C++: wrong CRC"
    echo "C++: good"
fi
