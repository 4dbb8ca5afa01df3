#!/usr/bin/env bash
# Builds and runs every C test in tests/c: under ASan + UBSan, and the ones that use threads under TSan.
# usage: bash tests/c/run.sh [BUILD_FOLDER]      CC chooses the compiler (default: cc)
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-$(mktemp -d)}
mkdir -p "$build"
CC=${CC:-cc}
common=(-std=gnu11 -O1 -g -Icsrc -Wall -Wextra -ffp-contract=fast -fno-math-errno -fno-trapping-math)
engine=()
for file in csrc/*.c; do
    [ "$file" = csrc/handle.c ] || engine+=("$file") # handle.c is Python's
done

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
    "$build/$name/$test"
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
for test in test_threads test_engine; do
    [ -f "tests/c/$test.c" ] && run thread "$test" -fsanitize=thread
done
echo "C tests passed"
