#!/usr/bin/env bash
# Functions of at most 80 lines, files of at most 500. Prints the five longest functions and the median.
. "$(dirname "$0")/lib.sh"
command -v ctags >/dev/null || { skip "ctags (universal-ctags) is not installed"; finish; }
mapfile -t files < <(project_files 'base/*.c' 'supervisor/*.c' 'bootstrap/*.c' 'coord/*.c' 'tests/unit/*.c')

for f in "${files[@]}"; do
    lines=$(wc -l <"$f")
    [ "$lines" -le 500 ] || wrong "$f has $lines lines"
done
lengths=$(ctags -x --c-kinds=f --fields=+ne --_xformat='%{line} %{end} %F %N' "${files[@]}" | awk '{ print $2 - $1 + 1, $3 ":" $1, $4 }' | sort -rn)
while read -r n where name; do
    [ -z "$n" ] || [ "$n" -le 80 ] || wrong "$name has $n lines ($where)"
done <<<"$lengths"
printf '%s: longest functions:\n' "$CHECK"
head -5 <<<"$lengths" | sed 's/^/    /'
total=$(wc -l <<<"$lengths")
printf '%s: %d functions, median %d lines\n' "$CHECK" "$total" "$(sed -n "$(((total + 1) / 2))p" <<<"$lengths" | cut -d' ' -f1)"
finish
