#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the interop tests: the twins and the wire proof by themselves, then the built program against the twins.
#   tests/interop/run.sh [/path/to/weft]     default: $WEFT, else the release build
set -eu
cd "$(dirname "$0")"
weft=${1:-${WEFT:-}}
if [ -z "$weft" ]; then
    for weft in ../../build/release/weft ../../build/release/cli/weft ../../build/release/bin/weft; do
        [ -x "$weft" ] && break
    done
fi
if [ ! -x "$weft" ]; then
    echo "run.sh: no program at $weft; build it first: cmake --workflow --preset release" >&2
    exit 2
fi
WEFT=$(realpath "$weft")
export WEFT PYTHONDONTWRITEBYTECODE=1
exec python3 -W error::ResourceWarning -m unittest test_twins test_wire_proof test_weft
