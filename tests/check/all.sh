#!/usr/bin/env bash
# All checks of this folder; ends with 1 when one of them found something. BUILD=DIR names the build directory.
. "$(dirname "$0")/lib.sh"
for check in includes owners banned size format syntax project docs tidy; do
    printf '== %s\n' "$check"
    "tests/check/$check.sh" || FOUND=$((FOUND + 1))
done
finish
