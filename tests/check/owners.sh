#!/usr/bin/env bash
# One owner each: the calls that only one place may make.
. "$(dirname "$0")/lib.sh"

# owner REGEX WHY FILE...: REGEX occurs in no other source of ours than FILE...
owner() {
    local re=$1 why=$2 f list=()
    shift 2
    while read -r f; do
        case " $* " in *" $f "*) ;; *) list+=("$f") ;; esac
    done < <(own_c)
    while read -r line; do [ -z "$line" ] || wrong "$why: $line"; done < <(code_grep "$re" "${list[@]}")
}

owner '\b(secure_)?getenv\s*\(|\b(setenv|putenv|unsetenv|clearenv)\s*\(' 'the environment is read in base/settings.c only' base/settings.c
owner '\b(waitpid|waitid|wait|wait3|wait4)\s*\(' 'children are waited for by their one owner' \
    supervisor/reaper.c coord/keeper.c coord/keeper_child.c bootstrap/runner.c
# a role that is out of memory may abort: PID 1 starts it anew; PID 1 itself must not
owner '\babort\s*\(' 'PID 1 and what it shares never aborts' coord/*.c
owner '\b_?exit\s*\(|\bquick_exit\s*\(' 'a program ends in its main file (a forked child in spawn.c and its like with _exit)' \
    supervisor/main.c bootstrap/role_main.c supervisor/spawn.c coord/keeper.c coord/keeper_child.c bootstrap/runner.c
owner '\bkill(pg)?\s*\(' 'signals are sent by the owner of the child' \
    supervisor/child.c supervisor/strays.c supervisor/run.c coord/keeper.c coord/keeper_child.c bootstrap/runner.c
owner '\bv?fork\s*\(|\bclone3?\s*\(|\bposix_spawnp?\s*\(|\buv_spawn\s*\(' 'children are made in one place a program' \
    supervisor/spawn.c coord/keeper.c coord/keeper_child.c bootstrap/runner.c
owner '\bassert\s*\(' 'assert is for tests; a static_assert is welcome' none

# libuv belongs to the files that have to do with the loop; the tables and formats stay pure
while read -r f; do
    case $f in
    supervisor/*) ;;
    *) wrong "$f uses libuv" ;;
    esac
done < <(own_c | xargs -r grep -lE '\buv_[a-z_]+|<uv\.h>' /dev/null)
while read -r line; do [ -z "$line" ] || wrong "this file must stay pure: $line"; done < <(
    for pure in child_fsm restart lifecycle_fsm logfmt ring lineio cli doc doc_md client; do
        code_grep '\buv_[a-z_]+' supervisor/$pure.[ch]
    done
)
finish
