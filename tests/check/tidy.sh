#!/usr/bin/env bash
# clang-tidy with .clang-tidy, on our own sources, two at a time. With file names: only those.
. "$(dirname "$0")/lib.sh"
tool=$(command -v clang-tidy-14 || command -v clang-tidy) || { skip "clang-tidy is not installed"; finish; }
[ -f "$BUILD/compile_commands.json" ] || { skip "$BUILD/compile_commands.json is not there"; finish; }
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(project_files 'base/*.c' 'supervisor/*.c' 'bootstrap/*.c' 'coord/*.c'); fi
out=$(printf '%s\n' "${files[@]}" | xargs -P 2 -n 4 "$tool" -p "$BUILD" --quiet 2>/dev/null)
while read -r line; do wrong "$line"; done < <(grep -E '(error|warning):' <<<"$out" | sed "s|^$PWD/||" | sort -u)
finish
