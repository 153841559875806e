#!/usr/bin/env bash
# setup.sh - what ./start and ./check need before they build: Debian packages and the page's npm packages.
#
#   scripts/setup.sh build run        what ./start needs
#   scripts/setup.sh build run test   what ./check needs on top
#
# Only what is missing is installed, so a second run neither needs the network nor rights.
# Each failure ends with one line that begins with "setup:" and says what to do.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
log=$root/build/setup.log

build_packages=(gcc libc6-dev cmake ninja-build pkg-config libjansson-dev libssl-dev libzstd-dev
    liblz4-dev libsqlite3-dev libcurl4-openssl-dev libmicrohttpd-dev libgnutls28-dev libexpat1-dev zlib1g-dev libcmocka-dev
    libdnnl-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev libopenmpi-dev)
run_packages=(sumo sumo-tools openmpi-bin)
test_packages=(chromium curl gcovr openssl procps)

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# The reason in a log of apt-get or npm, as one line with what to do about it.
explain() { # WHAT LOG
    if grep -qiE 'no space left|ENOSPC|enough free space' "$2"; then
        die "$1 failed: the disk is full; free about 2 GB and run the same command again (log: $2)"
    elif grep -qiE 'temporary failure|could not resolve|unable to connect|failed to fetch|connection (failed|refused|timed out)|ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|npm (error|ERR!) network' "$2"; then
        die "$1 failed: the network or the package server cannot be reached; connect and run the same command again (log: $2)"
    elif grep -qiE 'could not get lock|unable to acquire' "$2"; then
        die "$1 failed: another package manager is running; wait for it and run the same command again (log: $2)"
    elif grep -qiE 'unable to locate package|no installation candidate' "$2"; then
        die "$1 failed: $(grep -iE -m1 'unable to locate package|no installation candidate' "$2" | sed 's/^E: //'); Flywheel is built on Debian 12 (log: $2)"
    fi
    die "$1 failed: $(grep -E '^(E:|npm error|npm ERR!)' "$2" | head -n 1 || true) (log: $2)"
}

check_disk() { # NEEDED_MB
    local free_kb
    free_kb=$(df -Pk "$root" | awk 'NR == 2 {print $4}')
    [ "$free_kb" -ge $(($1 * 1024)) ] ||
        die "only $((free_kb / 1024)) MB free in $root, $1 MB are needed; free some space and run the same command again"
    if ! mkdir -p "$root/build" 2>/dev/null || ! : 2>/dev/null >"$log"; then
        die "cannot write to $root/build; give this user the folder (chown) and run the same command again"
    fi
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]; }

# Sets as_root to the words that run a command as root; dies where there are none.
find_root() { # PACKAGES...
    if [ "$(id -u)" -eq 0 ]; then
        as_root=(env)
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n env)
    elif command -v sudo >/dev/null && [ -t 0 ]; then
        say "sudo may ask for your password to install: $*"
        as_root=(sudo env)
    else
        die "packages are missing and this user may not install them; as root run: apt-get install --no-install-recommends $*"
    fi
}

install_packages() { # PACKAGES...
    local package missing=() as_root=()
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
        die "no apt-get here: Flywheel installs its packages on Debian 12; elsewhere install these by hand and build with cmake --preset release: $*"
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    find_root "${missing[@]}"
    say "installing Debian packages: ${missing[*]}"
    local apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -y -q
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update >"$log" 2>&1 </dev/null || explain "apt-get update" "$log"
    "${apt[@]}" install --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null ||
        explain "apt-get install" "$log"
}

# Node only where it is absent: somebody's newer Node stays as it is.
node_packages() {
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    command -v node >/dev/null && command -v npm >/dev/null || echo ca-certificates
}

check_node() {
    local major
    major=$(node -p 'process.versions.node.split(".")[0]') || die "node does not run; reinstall it (apt-get install nodejs)"
    [ "$major" -ge 18 ] || die "node $(node --version) is too old, 18 or newer is needed; remove it and run again to get Debian's"
}

# The chart library of the page; with "test" also the library that drives the browser.
install_npm() { # [test]
    local web=$root/web stamp=$root/web/node_modules/.package-lock.json omit=(--omit=dev)
    local wanted=$web/node_modules/uplot/package.json
    if [ "${1:-}" = test ]; then
        omit=()
        wanted=$web/node_modules/playwright-core/package.json
    fi
    [ -e "$wanted" ] && [ -e "$stamp" ] && [ ! "$web/package-lock.json" -nt "$stamp" ] && return 0
    # What a fuller install brought stays: ./start after ./check takes nothing away.
    [ ! -e "$web/node_modules/playwright-core" ] || omit=()
    say "installing the page's npm packages into web/node_modules"
    (cd "$web" && npm ci --ignore-scripts --no-audit --no-fund "${omit[@]}") >"$log" 2>&1 </dev/null ||
        explain "npm ci" "$log"
    [ -e "$wanted" ] || die "npm ci ended without $wanted (log: $log)"
    touch "$stamp"
}

main() {
    local wanted=() what with_test=
    for what in "$@"; do
        case $what in
        build) wanted+=("${build_packages[@]}") ;;
        run) wanted+=("${run_packages[@]}") ;;
        test) wanted+=("${test_packages[@]}") with_test=test ;;
        *) say "unknown word \"$what\"; use: scripts/setup.sh build|run|test ..." && exit 2 ;;
        esac
    done
    check_disk 600
    local node
    mapfile -t node < <(node_packages)
    install_packages "${wanted[@]}" "${node[@]}"
    check_node
    install_npm $with_test
}

main "$@"
