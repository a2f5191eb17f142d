#!/usr/bin/env bash
# clang-format, of the version that .clang-format was written for. With --write: puts it right.
. "$(dirname "$0")/lib.sh"
tool=$(command -v clang-format-14 || command -v clang-format) || { skip "clang-format is not installed"; finish; }
"$tool" --version | grep -q 'version 14\.' || { skip "clang-format is not version 14; versions differ in taste"; finish; }
mapfile -t files < <(project_files 'base/*.[ch]' 'supervisor/*.[ch]' 'bootstrap/*.[ch]' 'coord/*.[ch]' 'tests/unit/*.[ch]' \
    'tests/helpers/*.[ch]' 'tests/fuzz/*.[ch]' 'bench/*.[ch]')
if [ "${1:-}" = --write ]; then
    "$tool" -i "${files[@]}"
    finish
fi
for f in "${files[@]}"; do
    "$tool" --dry-run -Werror "$f" 2>/dev/null || wrong "$f is not formatted; run tests/check/format.sh --write"
done
finish
