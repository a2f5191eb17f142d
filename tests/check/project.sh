#!/usr/bin/env bash
# The project stands alone: no word of the place where it was written, no leftovers, no secrets, and every name in the
# documents exists.
. "$(dirname "$0")/lib.sh"
mapfile -t files < <(project_files | grep -v '^tests/check/project\.sh$')

# never REGEX WHY: in no file of the project
never() {
    while read -r line; do [ -z "$line" ] || wrong "$2: ${line:0:160}"; done < <(grep -nIHE "$1" "${files[@]}" 2>/dev/null)
}
never '/work/|/tmp/issues|(^|[^[:alnum:]_/])shared/(DESIGN|reference)' 'a path of somebody'"'"'s machine'
never '\bhelper (agent|session)\b|COMMON\.md|\bissues? show [0-9]' 'a word of the workplace'
never '[a-z0-9.-]+\.(internal|intra|corp|lan)\b(:[0-9]+)?/' 'a host of an inner network'
never '\b(TODO|FIXME|XXX|HACK)\b' 'unfinished: do it or say it in an issue'
never '^(<<<<<<<|=======|>>>>>>>)( |$)' 'a conflict mark'
never 'AKIA[0-9A-Z]{16}|-----BEGIN ([A-Z]+ )?PRIVATE KEY-----' 'looks like a credential'

# Paths and commands that the documents name must exist
docs=$(project_files '*.md')
for f in $docs; do
    while read -r path; do
        [ -e "$path" ] || [ -e "$(dirname "$f")/$path" ] || wrong "$f names $path, which does not exist"
    done < <(grep -oE '`(\./)?(base|supervisor|bootstrap|coord|templates|tests|bench|deploy|docs)/[A-Za-z0-9_./-]+`' "$f" | tr -d '`' | sort -u)
    while read -r link; do
        [ -e "$(dirname "$f")/$link" ] || wrong "$f links to $link, which does not exist"
    done < <(grep -oE '\]\([A-Za-z0-9_./-]+(#[a-z0-9-]*)?\)' "$f" | sed -E 's/^\]\(//; s/(#.*)?\)$//' | sort -u)
    while read -r name; do
        grep -qE "\"(${name}|${name%_FILE}|${name%_ARN})\"" base/settings.def base/aliases.def || grep -qrE "\b$name\b" tests dev Dockerfile CMakeLists.txt 2>/dev/null ||
            wrong "$f names the setting $name, which does not exist"
    done < <(grep -ohE '\b(MOODLE|MOODLECTL)_[A-Z0-9_]+[A-Z0-9]\b' "$f" | sort -u)
    while read -r id; do
        grep -qF "\"$id\"" base/errors.def || wrong "$f names the error $id, which does not exist"
    done < <(grep -ohE '\bE-[A-Z]+(-[A-Z]+)*\b' "$f" | sort -u)
done
finish
