#!/usr/bin/env bash
# careful.sh sanitize|valgrind [options of run.py]: the process tests with a PID 1 that is watched: AddressSanitizer and UBSan in all
# of our programs (build/sanitize), or valgrind around PID 1. What they find ends a member with a status that no test expects, or is
# found in its log. Without -k a small set.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
how=${1:?sanitize or valgrind}
shift
case $how in
sanitize)
    build=${BUILD:-$top/build/sanitize}
    few='^(processes\.(services_come_back|as_subreaper)|faults\.(orphans_by|a_stop_at|no_process))'
    ;;
valgrind)
    programs=${BUILD:-$top/build/release}
    build=$(mktemp -d /tmp/moodlectl-valgrind-XXXXXX)
    trap 'rm -rf "$build"' EXIT
    chmod 755 "$build"
    cat >"$build/moodlectl" <<TEXT
#!/bin/sh
[ "\$1" = run ] || exec $programs/moodlectl "\$@"
exec valgrind -q --vgdb=no --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 --log-file=$build/log.\$(date +%N) $programs/moodlectl "\$@"
TEXT
    chmod 755 "$build/moodlectl"
    cp "$programs/moodlectl-role" "$build/"
    few='^(processes\.services_come_back|faults\.the_run_directory)'
    ;;
*) exit 64 ;;
esac
case " $* " in *' -k '*) ;; *) set -- -k "$few" "$@" ;; esac
"$top/tests/system/run.py" --build "$build" --db pgsql "$@" && status=0 || status=$?
if [ "$how" = valgrind ] && grep -hE '^==' "$build"/log.* >&2; then status=1; fi
exit "$status"
