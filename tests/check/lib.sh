# lib.sh - sourced by every check. A check prints each thing that is wrong and ends with the number's truth.
# shellcheck shell=bash
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 70
CHECK=$(basename "$0" .sh)
FOUND=0

# wrong TEXT: notes one finding
wrong() {
    printf '%s: %s\n' "$CHECK" "$*"
    FOUND=$((FOUND + 1))
}

# skip TEXT: a tool or a build is not there; said aloud, and an error in CI (MOODLECTL_CHECK_STRICT=1)
skip() {
    if [ "${MOODLECTL_CHECK_STRICT:-0}" = 1 ]; then
        wrong "cannot be done: $*"
    else
        printf '%s: left out: %s\n' "$CHECK" "$*"
    fi
}

finish() {
    [ "$FOUND" -eq 0 ] && exit 0
    printf '%s: %d finding(s)\n' "$CHECK" "$FOUND"
    exit 1
}

# All files of the project that are or will be committed
project_files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done; }

# Our C: sources of the two programs
own_c() { project_files 'base/*.[ch]' 'base/*.def' 'supervisor/*.[ch]' 'bootstrap/*.[ch]' 'coord/*.[ch]'; }

# The build directory: $BUILD, else that of ./dev build
BUILD=${BUILD:-build/release}

# code_grep REGEX FILE...: like grep -nE, on code without comments and string contents (so that prose may name things)
code_grep() {
    local re=$1
    shift
    [ $# -gt 0 ] || return 1
    python3 - "$re" "$@" <<'EOF'
import re, sys
pattern, found = re.compile(sys.argv[1]), False
token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
def blank(m):
    text = m.group(0)
    if text[0] in '"\'':
        return text[0] + text[0]
    return '\n' * text.count('\n')
for name in sys.argv[2:]:
    for number, line in enumerate(token.sub(blank, open(name, errors='replace').read()).split('\n'), 1):
        if line.lstrip().startswith('#include'):
            continue
        if pattern.search(line):
            found = True
            print(f'{name}:{number}: {line.strip()}')
sys.exit(0 if found else 1)
EOF
}
