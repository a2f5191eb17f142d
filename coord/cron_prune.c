#include "coord/cron_prune.h"
#include "base/log.h"
#include "coord/job.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 8 };

static bool is_cache_name(const char *name)
{
    return name[0] == 'm' && strlen(name) == 1 + DIGITS && strspn(name + 1, "0123456789abcdef") == DIGITS;
}

bool cron_prune_needed(const char *data_dir, const char *code_hash)
{
    char path[4096], own[2 + DIGITS];
    bool found = false;
    snprintf(path, sizeof path, "%s/cache", data_dir);
    snprintf(own, sizeof own, "m%.*s", DIGITS, code_hash);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && !found && (d = readdir(dir));)
        found = is_cache_name(d->d_name) && strcmp(d->d_name, own) != 0;
    if (dir) closedir(dir);
    return found;
}

int cron_prune(lease_t *l, const lead_conf_t *conf, const char *run_dir, err_t *err)
{
    char path[4096], words[300];
    job_result_t r;
    if (!cron_prune_needed(conf->data_dir, conf->code_hash)) return 0;
    snprintf(path, sizeof path, "%s/prune-caches.php", conf->template_dir);
    const char *const args[] = {path, conf->code_dir, NULL};
    job_spec_t spec = {.src = "cron", .args = args, .lease = l, .conf = conf, .run_dir = run_dir};
    if (job_run(&spec, &r, err) < 0) return -1;
    if (r.end != JOB_EXITED || (r.code != 0 && !r.stopped))
        log_write(LOG_WARN_, ERR_CRON_FAILED, "prune-caches.php: %s",
                  job_result_words(&r, words, sizeof words));
    return 0;
}
