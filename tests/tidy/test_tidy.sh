#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: each rule of tidy finds what it is for, on the right line, and nothing else.
# Method: run it over one small tree per rule in fixtures/, with the real data files.  `expected` lists the findings as
# `file:line: rule`; a tree without it must be clean.  Sources below objects/ are compiled and checked as objects,
# those below library/ as a shared library.
# Usage: test_tidy.sh <tidy> <C compiler>
set -u
tidy=$1 cc=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 count=0

# The rule on marks of unfinished work: made here, so that no file of the project has one.
mkdir -p "$work/mark/engine/base"
printf '/* SPDX-License-Identifier: Apache-2.0 */\n/* %s: later, %s */\nint %s_list;\n' "TO""DO" "fix""me" "to""do" \
    >"$work/mark/engine/base/mark.c"
printf 'engine/base/mark.c:2: mark\nengine/base/mark.c:2: mark\n' >"$work/mark/expected"
mkdir -p "$work/empty"
printf '%s:0: empty\n' "$work/empty" >"$work/empty/expected"

built() { # built <tree> <build folder>: the options that point at what was compiled; fails if it does not compile
    local source object top
    while IFS= read -r source; do
        # As CMake lays objects out.
        top=${source%%/*}
        object=$2/$top/CMakeFiles/weft_any.dir/./${source#*/}.o
        mkdir -p "$(dirname "$object")"
        "$cc" -O2 -fPIC -c "$1/objects/$source" -o "$object" || return 1
        echo "$object" >>"$2/objects.txt"
    done < <(cd "$1/objects" 2>/dev/null && find . -name '*.c' | sed 's,^\./,,' | sort)
    if [ -e "$2/objects.txt" ]; then
        echo --objects "$2/objects.txt"
    fi
    if [ -d "$1/library" ]; then
        "$cc" -shared -fPIC "$1"/library/*.c -o "$2/libfixture.so" || return 1
        echo --library "$2/libfixture.so"
    fi
}

check() { # check <tree>
    local tree=$1 name build options output result
    name=$(basename "$tree")
    build=$work/build/$name
    mkdir -p "$build"
    count=$((count + 1))
    read -r -a options <<<"$(built "$tree" "$build" | tr '\n' ' ')"
    output=$("$tidy" --quiet --data "$here" "${options[@]}" "$tree")
    result=$?
    sed -nE 's/^([^ ]+:[0-9]+: [a-z-]+): .*/\1/p' <<<"$output" | sed "s,^$build/,," | LC_ALL=C sort >"$build/found"
    touch "$build/wanted"
    [ ! -e "$tree/expected" ] || LC_ALL=C sort "$tree/expected" >"$build/wanted"
    local want=0
    [ ! -s "$build/wanted" ] || want=1
    if ! diff -u "$build/wanted" "$build/found" || [ "$result" -ne "$want" ]; then
        echo "FAILED: $name (exit $result)"
        echo "$output"
        failed=$((failed + 1))
    fi
}

for tree in "$here"/fixtures/*/ "$work/mark" "$work/empty"; do
    check "${tree%/}"
done

# A list of objects that cannot be read is a finding, not a pass.
echo "$work/no-such.o" >"$work/objects.txt"
count=$((count + 1))
if "$tidy" --quiet --data "$here" --objects "$work/objects.txt" "$here/fixtures/clean" >/dev/null 2>&1; then
    echo "FAILED: an unreadable object passes"
    failed=$((failed + 1))
fi

echo "$count trees, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 10 ]
