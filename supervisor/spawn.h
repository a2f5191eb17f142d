/* spawn.h - fork and exec of one child, in a session of its own, with descriptors 0 to 2 and nothing else, default signals,
 * an empty mask, no core dumps, no new privileges and no capability that its row does not name. Not uv_spawn: PID 1 reaps strangers too, and the two would steal each
 * other's statuses; nor does uv_spawn reset real-time signals or pass real pipes (nginx reopens /dev/stdout). */
#ifndef MOODLECTL_SUPERVISOR_SPAWN_H
#define MOODLECTL_SUPERVISOR_SPAWN_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct spawn_spec {
    char *const *argv; /* argv[0] is an absolute path */
    char *const *envp;
    bool switch_user; /* to uid, gid, without supplementary groups */
    uid_t uid;
    gid_t gid;
    int oom_score_adj; /* added to ours */
    int nice;          /* added to ours */
    unsigned nofile;   /* descriptors it may have at least, if the hard limit allows; 0: as we */
    uint64_t
        caps; /* bits of capabilities(7) that it, started as root, and all below it can have; what we lack it lacks */
    mode_t umask;
    int extra_fd;    /* handed on under its own number; 0: none */
    bool want_stdin; /* a pipe whose write end is ret_stdin; else /dev/null */
} spawn_spec_t;

typedef struct spawned {
    pid_t pid;
    int in;  /* write end of its stdin, or -1 */
    int out; /* read end of its stdout */
    int err; /* read end of its stderr */
} spawned_t;

/* 0 when the program runs, with all descriptors owned by the caller; or -1 with the step that failed (E-SPAWN); a process that did
 * not get so far is left to the reaper. The caller must ignore no signal, see spawn_ignore_none. Waits for the exec, which reads
 * the program's first page. */
int spawn_child(const spawn_spec_t *spec, spawned_t *ret, err_t *err);

/* Once, before PID 1 hides itself (secret_hide): then only root may open its own /proc/self/oom_score_adj. */
void spawn_init(void);
/* No signal is ignored any more. PID 1 calls it once: what it ignored its children would ignore. */
void spawn_ignore_none(void);
/* That, and an empty mask: what a program expects at exec. */
void spawn_reset_signals(void);

#endif
