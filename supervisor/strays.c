#include "supervisor/strays.h"
#include "base/proc.h"
#include "supervisor/logfmt.h"
#include <signal.h>

typedef struct {
    int sig;
    bool name_them;
} stray_order_t;

static void stray_end(pid_t pid, const proc_stat_t *p, void *arg)
{
    const stray_order_t *o = arg;
    if (o->name_them)
        logfmt_own(LOG_WARN_, ERR_NONE, "stray", "ending %s (pid %d), which outlived its parent", p->name,
                   (int)pid);
    kill(pid, o->sig);
    kill(pid, SIGCONT);
}

unsigned strays_signal(int sig, bool name_them)
{
    stray_order_t order = {sig, name_them};
    return proc_children(stray_end, &order);
}
