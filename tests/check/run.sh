#!/usr/bin/env bash
# A test of the checks: do they find anything at all? Each gets a copy of the project with one thing wrong, and must say so.
. "$(dirname "$0")/lib.sh"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# A small part of the project, in which every check is content
mkdir "$copy/tree"
tar -c .clang-format base/err.[ch] base/buf.[ch] base/*.def supervisor/cli.[ch] supervisor/restart.[ch] coord/db.[ch] deploy/*.json tests/check |
    tar -x -C "$copy/tree"
printf '# A project\n' >"$copy/tree/README.md"
git -C "$copy/tree" init -q

# plant CHECK WORD FILE LINE: with LINE at the end of FILE, CHECK must fail and name WORD
PLANTED=0
plant() {
    PLANTED=$((PLANTED + 1))
    local check=$1 word=$2 file=$3 line=$4 out
    cp "$copy/tree/$file" "$copy/kept"
    printf '%s\n' "$line" >>"$copy/tree/$file"
    if out=$(BUILD=$copy/none MOODLECTL_CHECK_STRICT=0 "$copy/tree/tests/check/$check.sh" 2>&1); then
        wrong "$check does not find: $line"
    elif ! grep -qF -- "$word" <<<"$out"; then
        wrong "$check does not name $word"
    fi
    cp "$copy/kept" "$copy/tree/$file"
}

for check in includes owners banned size format syntax project docs; do
    out=$(BUILD=$copy/none "$copy/tree/tests/check/$check.sh" 2>&1) || wrong "$check finds something where nothing is wrong: $out"
done
plant includes 'must not include' base/err.c '#include "supervisor/cli.h"'
plant includes 'must not include' coord/db.c '#include "bootstrap/render.h"'
plant includes 'must not use this library' supervisor/cli.c '#include <curl/curl.h>'
plant owners 'environment' supervisor/cli.c 'static char *f(void) { return getenv("X"); }'
plant owners 'waited for' supervisor/cli.c 'static int f(void) { return waitpid(1, 0, 0); }'
plant owners 'main file' supervisor/cli.c 'static void f(void) { exit(1); }'
plant owners 'pure' supervisor/restart.c 'static void f(void) { uv_stop(0); }'
plant banned 'snprintf' base/err.c 'static void f(char *s) { strcpy(s, "x"); }'
plant banned 'strtoll' coord/db.c 'static int f(char *s) { return atoi(s); }'
plant size 'has 102 lines' base/err.c "$(printf 'static int f(void)\n{\n'; yes '    f();' | head -99; printf '}')"
plant format 'not formatted' base/err.c 'static int   f ( void ){return 1;}'
plant syntax 'shell script' tests/check/size.sh 'if true'
plant syntax 'valid JSON' deploy/task-definition.json '}'
plant syntax 'blanks' base/err.c 'static int f(void);   '
plant project 'workplace' README.md 'See COM''MON.md.'
plant project 'does not exist' README.md 'Set `MOODLECTL_FROB''NICATE`.'
plant project 'does not exist' README.md 'See E-FROB.'
plant project 'does not exist' README.md 'See `base/frob.c`.'
[ "$FOUND" -gt 0 ] || echo "$PLANTED passed, 0 failed"
finish
