# build.sh - sourced by ./start and ./check: build one preset quietly, say one clear line when it fails.
# shellcheck shell=bash disable=SC2154
# Needs $root, the repository's folder.

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "$*"; exit 1; }

# All jobs of the machine, but no more than its memory carries (about 1 GB each).
build_jobs() {
    local cores memory_gb
    cores=$(nproc)
    memory_gb=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
    [ "$memory_gb" -ge 1 ] || memory_gb=1
    echo $((cores < memory_gb ? cores : memory_gb))
}

# The log of a failed build as one line.
explain_build() { # LOG
    if grep -q 'No space left' "$1"; then
        say "the build failed: the disk is full; free about 1 GB and run the same command again (log: $1)"
    else
        grep -E 'error:|CMake Error|FAILED:|undefined reference' "$1" | head -n 5 >&2 || true
        say "the build failed (log: $1)"
    fi
}

# Returns non-zero after one clear line; no targets means all.
try_build_preset() { # PRESET TARGETS...
    local preset=$1 log=$root/build/$1.log target targets=()
    shift
    for target in "$@"; do
        targets+=(--target "$target")
    done
    mkdir -p "$root/build"
    (cd "$root" && cmake --preset "$preset" && cmake --build --preset "$preset" -j "$(build_jobs)" "${targets[@]}") \
        >"$log" 2>&1 </dev/null || { explain_build "$log"; return 1; }
}

build_preset() { try_build_preset "$@" || exit 1; }
