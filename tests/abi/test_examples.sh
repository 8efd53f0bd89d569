#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: every example does what its first lines promise, in C as it was built, and in C++ against the library.
# Method: run each, and compare what it prints; nothing of one may be left out here.
# Usage: test_examples.sh <root of the sources> <folder of the C examples> <library> <C++ compiler>
set -u
root=$1 built=$2 library=$3 cxx=$4
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 count=0
declare -A expected=(
    [greet]="hello"
    [hosted]="hello from one thread"
    [foreign]="hello from outside
hello from outside
hello from outside"
    [greet_cpp]="hello from C++"
)

try() { # try <name> <program>
    count=$((count + 1))
    # The examples' addresses are fixed: two test runs on one machine take turns.
    printed=$(flock -w 60 "${TMPDIR:-/tmp}/weft-examples.lock" timeout 30 "$2" 2>"$work/log")
    code=$?
    if [ "$code" -ne 0 ] || [ "$printed" != "${expected[$1]-not expected at all}" ]; then
        echo "FAILED: $1: exit $code, printed '$printed'"
        cat "$work/log"
        failed=$((failed + 1))
    fi
}

for source in "$root"/examples/*.c; do
    name=$(basename "$source" .c)
    try "$name" "$built/$name"
done
for source in "$root"/examples/*.cpp; do
    name=$(basename "$source" .cpp)
    if "$cxx" -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"$root/include" "$source" \
        "$library" -Wl,-rpath,"$(dirname "$library")" -pthread -o "$work/$name"; then
        try "$name" "$work/$name"
    else
        echo "FAILED: $name does not compile"
        failed=$((failed + 1))
    fi
done
echo "$count examples, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -eq "${#expected[@]}" ]
