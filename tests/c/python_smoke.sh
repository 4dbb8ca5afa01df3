#!/usr/bin/env bash
# Builds the extension with ASan + UBSan in a folder of its own and runs a short Python program on it.
# usage: bash tests/c/python_smoke.sh [BUILD_FOLDER]      needs an environment with cffi, numpy and setuptools
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-$(mktemp -d)}
mkdir -p "$build"
cp -r csrc rnn setup.py pyproject.toml README.md LICENSE "$build/"
cp tests/smoke.py "$build/"
cd "$build"
rm -f rnn/_engine*.so
flags="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1"
RNN_CFLAGS=$flags RNN_LDFLAGS="-fsanitize=address,undefined" python setup.py -q build_ext --inplace
asan=$(gcc -print-file-name=libasan.so)
ubsan=$(gcc -print-file-name=libubsan.so)
# Python itself never frees everything, so leaks are the C tests' business.
ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    LD_PRELOAD="$asan $ubsan" PYTHONMALLOC=malloc python smoke.py
