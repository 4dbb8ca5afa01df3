#!/usr/bin/env bash
# Builds and runs every C test in tests/c: under ASan + UBSan, and the ones that use threads under TSan.
# usage: bash tests/c/run.sh [BUILD_FOLDER]      CC chooses the compiler (default: cc)
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-$(mktemp -d)}
mkdir -p "$build"
CC=${CC:-cc}
common=(-std=gnu11 -O1 -g -Icsrc -Wall -Wextra -fno-math-errno -fno-trapping-math)
mapfile -t engine < <(grep -L -i 'python\.h[">]' csrc/*.c) # the others are Python's objects

# usage: library NAME FLAGS...: every object of the engine, once for each kind of build
library() {
    local name=$1
    shift
    mkdir -p "$build/$name"
    printf '%s\n' "${engine[@]}" | xargs -P "$(nproc)" -I{} sh -c \
        "$CC ${common[*]} $* -c {} -o $build/$name/\$(basename {} .c).o"
    ar rcs "$build/$name/libengine.a" "$build/$name"/*.o
}

# usage: run NAME TEST FLAGS...
run() {
    local name=$1 test=$2
    shift 2
    echo "-- $test ($name)"
    "$CC" "${common[@]}" "$@" "tests/c/$test.c" "$build/$name/libengine.a" -o "$build/$name/$test" -lm -lpthread
    "$build/$name/$test" ${arguments:-}
}

export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1
sanitize=(-fsanitize=address,undefined -fno-sanitize-recover=all)
library address "${sanitize[@]}"
for test in tests/c/test_*.c; do
    run address "$(basename "$test" .c)" "${sanitize[@]}"
done
library thread -fsanitize=thread
run thread test_threads -fsanitize=thread
arguments=threads run thread test_engine -fsanitize=thread # its part that uses threads
echo "C tests passed"
