#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a program can include any public header first and alone, in C and in C++, with strict warnings on.
# Method: compile each header by itself, then a file that uses every macro that a caller writes.
# Usage: test_headers.sh <C compiler> <C++ compiler> <root of the sources>
set -u
cc=$1 cxx=$2 root=$3
strict=(-Wall -Wextra -Wconversion -Werror -fsyntax-only -I"$root/include")
# C++ warns where a function hides a struct of its name: meant.
strict_c=("${strict[@]}" -Wshadow)
strict_cxx=("${strict[@]}")
failed=0 count=0

try() { # try <what> <command>...
    local what=$1
    shift
    count=$((count + 1))
    if ! "$@"; then
        echo "FAILED: $what"
        failed=$((failed + 1))
    fi
}

for header in "$root"/include/weft/*.h; do
    name=weft/$(basename "$header")
    # Through a line on stdin that includes it, so that the header is not taken for a main file.
    for standard in c11 c17; do
        try "$name as $standard" "$cc" -x c "-std=$standard" -Wpedantic "${strict_c[@]}" - <<<"#include <$name>"
    done
    for standard in c++98 c++11 c++17 c++20; do
        try "$name as $standard" "$cxx" -x c++ "-std=$standard" -Wpedantic "${strict_cxx[@]}" - <<<"#include <$name>"
    done
done
try "the macros in C" "$cc" -x c -std=c17 "${strict_c[@]}" "$root/tests/abi/macros.c"
for standard in c++11 c++17 c++20; do
    try "the macros in $standard" "$cxx" -x c++ "-std=$standard" -Wpedantic "${strict_cxx[@]}" \
        "$root/tests/abi/macros.c"
done

# One header forgotten by weft.h would go unnoticed by callers.
for header in "$root"/include/weft/*.h; do
    name=weft/$(basename "$header")
    [ "$name" = weft/weft.h ] || try "weft.h includes $name" grep -q "^#include <$name>" "$root/include/weft/weft.h"
done

echo "$count checks, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 20 ]
