# Sourced by examples/run and tests/run.
#   set_up examples|tests    installs what is missing, with Debian's package manager; fails with a sentence if it cannot
#   quietly LOG COMMAND...   runs a command whose output only matters when it fails

has() { command -v "$1" >/dev/null; }

# True when the preprocessor accepts its input: a header is there, a version is new enough.
preprocesses() { "${CXX:-g++}" -std=c++20 -E -x c++ - >/dev/null 2>&1; }
has_header() { printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" | preprocesses; }
has_new_compiler() { printf '#if !defined __clang__ && __GNUC__ < 12\n#error\n#endif\n' | preprocesses; }

# Debian's names of what is missing and cannot be done without.
missing() {
    has_new_compiler || echo "g++"
    has cmake || echo cmake
    has make || echo make
    has_header Eigen/Core || has_header eigen3/Eigen/Core || echo libeigen3-dev
    has_header zlib.h || echo zlib1g-dev
    [ "$1" != tests ] || has_header catch2/catch.hpp || has_header catch2/catch_all.hpp || echo catch2
}

# What some tests use; without it they are skipped.
missing_extras() {
    [ "$1" = tests ] || return 0
    has clang++-16 || echo clang-16
    has clang-format-14 || echo clang-format-14
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends "$@" >>build/setup.log 2>&1 </dev/null; }

set_up() {
    mkdir -p build
    local packages extras package
    packages=$(missing "$1" | tr '\n' ' ') extras=$(missing_extras "$1")
    if [ -n "$packages$extras" ] && has apt-get && { [ "$(id -u)" = 0 ] || has sudo; }; then
        echo "installing $packages"$extras
        : >build/setup.log
        apt_get update || true
        [ -z "$packages" ] || apt_get install $packages || tail -n 5 build/setup.log >&2
        for package in $extras; do
            apt_get install "$package" || echo "could not install $package: the tests that use it are skipped"
        done
        packages=$(missing "$1" | tr '\n' ' ')
    fi
    [ -z "$packages" ] && return
    echo "etch: missing: ${packages}(these are Debian's names; g++ is needed from version 12)." \
        "Please install them with your package manager and try again." >&2
    return 1
}

quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null && return
    { grep -m 10 -E 'error[: ]|Error at' "$log" || true; echo "-- the end of $log:"; tail -n 25 "$log"; } >&2
    return 1
}
