#include "supervisor/reaper.h"
#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t strangers;

void reaper_adopt_orphans(void)
{
    if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void reaper_run(reaper_fn *on_exit)
{
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR) continue;
        if (pid <= 0) return;
        if (!on_exit(pid, status)) strangers++;
    }
}

uint64_t reaper_strangers(void) { return strangers; }
