#include "supervisor/reload.h"
#include "base/clock.h"
#include "supervisor/lifecycle.h"
#include "supervisor/rotation.h"
#include "supervisor/status.h"
#include <signal.h>
#include <stdio.h>

enum { POLITE_MS = 1500, SETTLE_MS = 1000 };

static void on_timer(uv_timer_t *timer);

static void step(member_t *m, int next, uint64_t ms)
{
    m->reload.step = next;
    status_write(m);
    uv_update_time(m->loop);
    if (ms)
        uv_timer_start(&m->reload.timer, on_timer, ms, 0);
    else
        uv_timer_stop(&m->reload.timer);
}

/* A worker of nginx that is told to go closes its idle connections, and with them a request that is on its way. So connections that are
 * in use are closed by their answers first; new ones come, and are closed the same way, until the new workers are there. */
static void on_timer(uv_timer_t *timer)
{
    member_t *m = timer->data;
    if (m->reload.step != RELOAD_POLITE || lifecycle_is_stopping(m->phase)) {
        step(m, RELOAD_IDLE, 0);
        return;
    }
    child_signal(&m->children[SV_NGINX], SIGHUP);
    step(m, RELOAD_SETTLES, SETTLE_MS);
}

void reload_init(member_t *m)
{
    uv_timer_init(m->loop, &m->reload.timer);
    m->reload.timer.data = m;
}

void reload_close(member_t *m)
{
    if (!uv_is_closing((uv_handle_t *)&m->reload.timer)) uv_close((uv_handle_t *)&m->reload.timer, NULL);
}

bool reload_start(member_t *m, bool nginx, bool php)
{
    reload_t *r = &m->reload;
    child_t *c = &m->children[SV_PREPARE];
    if (lifecycle_is_stopping(m->phase) || m->phase < LP_LEAD || !child_is_gone(c) || r->step != RELOAD_IDLE)
        return false;
    r->step = RELOAD_RENDERS;
    r->nginx = nginx;
    r->php = php;
    r->id = ERR_NONE;
    r->msg[0] = '\0';
    services_prepare_again(m->services);
    child_stop(c, 0, 0); /* from DONE to DOWN */
    child_start(c);
    return true;
}

void reload_changed(member_t *m, bool nginx, bool php)
{
    m->reload.nginx |= nginx;
    m->reload.php |= php;
}

void reload_rendered(member_t *m)
{
    reload_t *r = &m->reload;
    if (r->step != RELOAD_RENDERS) return;
    const char *who = r->nginx && r->php ? "nginx and php-fpm follow"
                      : r->nginx         ? "nginx follows"
                                         : "php-fpm follows";
    snprintf(r->msg, sizeof r->msg, "rendered anew; %s",
             r->nginx || r->php ? who : "neither nginx nor php-fpm needs to follow");
    logfmt_own(LOG_NOTICE_, ERR_NONE, "reload", "%s", r->msg);
    if (r->php)
        child_signal(&m->children[SV_FPM], SIGUSR2); /* it keeps its sockets: requests queue meanwhile */
    step(m, r->nginx ? RELOAD_POLITE : RELOAD_IDLE, r->nginx ? POLITE_MS : 0);
    rotation_ask(m, "refresh"); /* prepare knows one version of a secret only */
}

bool reload_failed(member_t *m)
{
    reload_t *r = &m->reload;
    const err_t *err = &m->children[SV_PREPARE].last_error;
    if (r->step != RELOAD_RENDERS) return false;
    r->step = RELOAD_IDLE;
    r->id = err->id ? err->id : ERR_CHILD_FAILED;
    snprintf(r->msg, sizeof r->msg, "the old configuration stays: %.250s", err->msg);
    logfmt_own(LOG_ERROR_, r->id, "reload.failed", "%s", r->msg);
    return true;
}

bool reload_is_polite(const member_t *m)
{
    return m->reload.step == RELOAD_POLITE || m->reload.step == RELOAD_SETTLES;
}

json_t *reload_json(const member_t *m)
{
    const reload_t *r = &m->reload;
    return json_pack("{s:b,s:s*,s:s}", "running", r->step != RELOAD_IDLE, "id",
                     r->id ? err_name(r->id) : NULL, "msg", r->msg);
}
