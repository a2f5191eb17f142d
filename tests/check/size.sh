#!/usr/bin/env bash
# Functions of at most 80 lines, files of at most 500. Prints the five longest functions and the median.
. "$(dirname "$0")/lib.sh"
mapfile -t files < <(project_files 'base/*.c' 'supervisor/*.c' 'bootstrap/*.c' 'coord/*.c' 'tests/unit/*.c' 'tests/model/*.c')

for f in "${files[@]}"; do
    lines=$(wc -l <"$f")
    [ "$lines" -le 500 ] || wrong "$f has $lines lines"
done
# The braces of a function stand alone in the first column (clang-format sees to that), or the whole of it on one line.
lengths=$(awk '
    FNR == 1 { head = ""; at = 0 }
    /^[a-z].*\)$/ || /^[a-z].*\($/ || /^[a-z].*,$/ { if (!at) { head = $0; from = FNR } }
    /^\{$/ { at = FNR }
    /^\}$/ && at { if (match(head, /[a-zA-Z_0-9]+\(/)) print FNR - from + 1, FILENAME ":" from, substr(head, RSTART, RLENGTH - 1); at = 0; head = "" }
    /^[a-z].*\) \{.*\}$/ { if (match($0, /[a-zA-Z_0-9]+\(/)) print 1, FILENAME ":" FNR, substr($0, RSTART, RLENGTH - 1) }
' "${files[@]}" | sort -rn)
while read -r n where name; do
    [ -z "$n" ] || [ "$n" -le 80 ] || wrong "$name has $n lines ($where)"
done <<<"$lengths"
printf '%s: longest functions:\n' "$CHECK"
head -5 <<<"$lengths" | sed 's/^/    /'
total=$(wc -l <<<"$lengths")
printf '%s: %d functions, median %d lines\n' "$CHECK" "$total" "$(sed -n "$(((total + 1) / 2))p" <<<"$lengths" | cut -d' ' -f1)"
finish
