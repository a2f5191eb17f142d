#include "supervisor/liveness.h"
#include "supervisor/lifecycle.h"
#include <stdio.h>
#include <string.h>

static void on_fpm_stuck(void *arg, uint64_t still_ms, bool answers)
{
    member_t *m = arg;
    char reason[200];
    if (m->phase != LP_SERVE) return;
    snprintf(reason, sizeof reason,
             "php-fpm is stuck: a request waits and no worker has taken one for %llu s; its status %s",
             (unsigned long long)(still_ms / 1000), answers ? "answers" : "does not answer either");
    logfmt_metric("FpmStuck", 1, "Count");
    if (strcmp(settings_str(m->set, SET_fpm_stuck), "exit") == 0) {
        fpm_watch_stop(&m->fpm_watch);
        lifecycle_fail(m, EXIT_PROBE_FAILED, ERR_PROBE_FAILED, reason);
        return;
    }
    logfmt_own(LOG_ERROR_, ERR_PROBE_FAILED, "fpm.stuck", "%s. It is killed and started anew", reason);
    child_bounce(&m->children[SV_FPM]);
}

void liveness_init(member_t *m)
{
    int64_t ms = settings_int(m->set, SET_request_timeout) + settings_int(m->set, SET_fpm_stuck_after);
    fpm_watch_init(&m->fpm_watch, m->loop, (uint64_t)ms, on_fpm_stuck, m);
}

void liveness_follow(member_t *m, bool up)
{
    char pool[128], status[128];
    if (up && strcmp(settings_str(m->set, SET_fpm_stuck), "none") != 0)
        fpm_watch_start(&m->fpm_watch, services_run_path(m->services, "fpm.sock", pool, sizeof pool),
                        services_run_path(m->services, "fpm-status.sock", status, sizeof status));
    else
        fpm_watch_stop(&m->fpm_watch);
}

void liveness_close(member_t *m) { fpm_watch_close(&m->fpm_watch); }
