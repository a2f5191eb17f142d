#include "coord/decide.h"
#include <string.h>

static const char *const VERDICTS[] = {
    [DECIDE_WAIT] = "wait",
    [DECIDE_CURRENT] = "current",
    [DECIDE_HOLD] = "hold",
    [DECIDE_INSTALL] = "install",
    [DECIDE_CLEAN_INSTALL] = "clean-install",
    [DECIDE_UPGRADE] = "upgrade",
    [DECIDE_FINISH] = "finish",
};
static const char *const RESULTS[] = {
    [RUN_NONE] = "",         [RUN_RUNNING] = "running",         [RUN_OK] = "ok",
    [RUN_FAILED] = "failed", [RUN_INTERRUPTED] = "interrupted",
};

const char *decide_name(decide_verdict_t v) { return VERDICTS[v]; }
bool decide_needs_lock(decide_verdict_t v) { return v >= DECIDE_INSTALL; }
const char *run_result_name(run_result_t r) { return RESULTS[r]; }

run_result_t run_result_find(const char *name)
{
    for (run_result_t r = RUN_NONE; r <= RUN_INTERRUPTED; r++)
        if (strcmp(RESULTS[r], name) == 0) return r;
    return RUN_FAILED; /* a word of a later version: not a success */
}

int64_t decide_backoff_ms(int failed, int interrupted)
{
    int n = failed +
            (interrupted > 1 ? interrupted - 1 : 0); /* the first stop costs nothing: somebody else goes on */
    if (n <= 0) return 0;
    int64_t ms = DECIDE_BACKOFF_MS;
    while (--n > 0 && ms < DECIDE_BACKOFF_MAX_MS) ms *= 2;
    return ms < DECIDE_BACKOFF_MAX_MS ? ms : DECIDE_BACKOFF_MAX_MS;
}

static decide_out_t out(decide_verdict_t v, err_id_t id, const char *why)
{
    return (decide_out_t){v, id, why};
}

static bool is_install(const history_t *h) { return strcmp(h->action, "install") == 0; }
static bool somebody_works(const history_t *h) { return h->result == RUN_RUNNING && h->alive; }

/* An install of ours that was never proven; a site in which people have worked is no such thing. */
static bool install_unproven(const decide_in_t *in)
{
    return is_install(&in->history) && in->history.result != RUN_OK && in->schema.small;
}

static decide_out_t attempts(const decide_in_t *in, decide_verdict_t v, const char *why)
{
    const history_t *h = &in->history;
    if (!in->forced && !somebody_works(h)) {
        if (h->failed >= DECIDE_FAILED_MAX) return out(DECIDE_HOLD, ERR_BLOCKED, "it failed too often");
        if (h->interrupted >= DECIDE_INTERRUPTED_MAX)
            return out(DECIDE_HOLD, ERR_BLOCKED, "it was interrupted too often");
        if (h->backoff_ms > 0)
            return out(DECIDE_WAIT, ERR_JOB_FAILED, "the last attempt failed; a pause before the next one");
    }
    return out(v, ERR_NONE, why);
}

static decide_out_t install(const decide_in_t *in, decide_verdict_t v, const char *why)
{
    bool can = in->install_auto && in->install_settings;
    if (!can && somebody_works(&in->history))
        return out(DECIDE_WAIT, ERR_LOCK_BUSY, "another member installs");
    if (!in->install_auto) return out(DECIDE_HOLD, ERR_INSTALL_OFF, "the database holds no finished site");
    if (!in->install_settings)
        return out(DECIDE_HOLD, ERR_INSTALL_SETTINGS, "the database holds no finished site");
    return attempts(in, v, somebody_works(&in->history) ? "another member installs" : why);
}

static decide_out_t upgrade(const decide_in_t *in, bool same_version)
{
    const history_t *h = &in->history;
    bool other = same_version && (in->served || h->was_ours) && !in->forced;
    if (somebody_works(h) && (other || !in->upgrade_auto))
        return out(DECIDE_WAIT, ERR_LOCK_BUSY, "another member upgrades");
    if (other) return out(DECIDE_HOLD, ERR_OTHER_CODE, "the site's plugins are not those of this image");
    if (!in->upgrade_auto && !in->forced)
        return out(DECIDE_HOLD, ERR_UPGRADE_MANUAL, "an upgrade is pending");
    if (in->schema.upgrade_flag && h->result != RUN_RUNNING && h->result != RUN_INTERRUPTED &&
        h->result != RUN_FAILED)
        return out(DECIDE_WAIT, ERR_LOCK_BUSY, "Moodle says that an upgrade runs which is not ours");
    return attempts(in, DECIDE_UPGRADE,
                    same_version ? "plugins differ from the database"
                                 : "the code is newer than the database");
}

static decide_out_t fits(const decide_in_t *in)
{
    const history_t *h = &in->history;
    if (h->result == RUN_RUNNING && !(h->alive && strcmp(h->action, "upgrade-live") == 0))
        return out(DECIDE_FINISH, ERR_LOCK_BUSY,
                   h->alive ? "another member works on the site" : "a member went before it had finished");
    /* its session was ended during the last steps: they are missing, and Moodle's flag may stand */
    if ((h->result == RUN_INTERRUPTED || h->result == RUN_FAILED) && h->ours && !is_install(h))
        return out(DECIDE_FINISH, ERR_LOCK_BUSY, "the last steps of an upgrade are missing");
    return out(DECIDE_CURRENT, ERR_NONE, "the database fits the code");
}

decide_out_t decide(const decide_in_t *in)
{
    const schema_t *s = &in->schema;
    if (s->kind == SCHEMA_EMPTY) return install(in, DECIDE_INSTALL, "the database is empty");
    if (install_unproven(in)) return install(in, DECIDE_CLEAN_INSTALL, "an install of ours was not finished");
    if (s->kind == SCHEMA_PARTIAL)
        return out(DECIDE_HOLD, ERR_HALF_INSTALLED, "there are tables, but no finished site");
    if (s->version > in->code_version && somebody_works(&in->history))
        return out(DECIDE_WAIT, ERR_LOCK_BUSY, "another member upgrades the site beyond this code");
    if (s->version > in->code_version)
        return out(DECIDE_HOLD, ERR_OLD_CODE, "the database is newer than the code");
    if (s->version < in->code_version) return upgrade(in, false);
    if (strcmp(s->hash, in->code_hash) != 0) return upgrade(in, true);
    return fits(in);
}
