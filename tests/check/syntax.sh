#!/usr/bin/env bash
# Everything that is not C: shell, Python, JSON, YAML and PHP files parse; shellcheck has nothing to say.
. "$(dirname "$0")/lib.sh"
mapfile -t scripts < <(project_files | xargs -r grep -lE '^#!.*\b(ba)?sh\b' --exclude='*.md' /dev/null 2>/dev/null)
for f in "${scripts[@]}"; do
    bash -n "$f" 2>/dev/null || wrong "$f is not a valid shell script"
    [ -x "$f" ] || wrong "$f is not executable"
done
if command -v shellcheck >/dev/null; then
    while read -r line; do wrong "$line"; done < <(shellcheck -x -S warning -f gcc "${scripts[@]}" 2>/dev/null)
else
    skip "shellcheck is not installed"
fi
while read -r f; do
    python3 -m json.tool "$f" >/dev/null 2>&1 || wrong "$f is not valid JSON"
done < <(project_files '*.json')
while read -r f; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$f" 2>/dev/null || wrong "$f is not valid Python"
done < <(project_files '*.py')
if command -v php >/dev/null; then
    while read -r f; do
        php -n -l "$f" >/dev/null 2>&1 || wrong "$f is not valid PHP"
    done < <(project_files '*.php')
else
    skip "php is not installed"
fi
while read -r f; do
    [ -z "$(tail -c 1 "$f")" ] || wrong "$f does not end with a newline"
    grep -nIE '[[:space:]]+$' "$f" >/dev/null && wrong "$f has blanks at the end of a line"
done < <(project_files '*.c' '*.h' '*.def' '*.sh' '*.py' '*.md' '*.json' '*.yml' 'CMakeLists.txt' '*/CMakeLists.txt')
finish
