/* site.h - what the settings mean on this machine: users, programs, directories, numbers; and the checks of them. Looking at
 * moodledata or running PHP may block; the rest is local. */
#ifndef MOODLECTL_BOOTSTRAP_SITE_H
#define MOODLECTL_BOOTSTRAP_SITE_H

#include "base/settings.h"
#include "bootstrap/problems.h"
#include "bootstrap/runner.h"
#include <limits.h>

typedef struct site_code { /* templates/code-info.php prints it */
    char version[32], release[64], branch[16], hash[41];
} site_code_t;

typedef struct site {
    const settings_t *set;
    bool is_root;
    runner_user_t web;
    char user[64], group[64], home[PATH_MAX]; /* of the web user; "" when there is none */
    char php[PATH_MAX], php_fpm[PATH_MAX], nginx[PATH_MAX];
    const char *run_dir, *local_dir, *data_dir;
    char code_dir[PATH_MAX]; /* where config.php lives */
    char web_dir[PATH_MAX];  /* what nginx serves: code_dir, or its public/ from Moodle 5.1 on */
    bool has_router;
    char template_dir[PATH_MAX];
    char ca_bundle[PATH_MAX]; /* the system's CA certificates, "" if there are none */
    int fpm_children;
    char fpm_arithmetic[256]; /* how that number came about */
    int nginx_workers;
    site_code_t code;
} site_t;

/* Fills everything but `code`. Local files only. */
void site_find(site_t *s, const settings_t *set, problems_t *problems);

/* Limits that no file here shows (0: none) made PHP-FPM's number of workers another: true. */
bool site_fit_task(site_t *s, uint64_t memory_bytes, double cpus);

void site_check_programs(const site_t *s, problems_t *problems);
void site_check_data(const site_t *s,
                     problems_t *problems); /* moodledata, really written to as the web user */
/* Moodle is there and its config.php is ours; writes ours where there is none and one can be written. */
void site_check_code(const site_t *s, problems_t *problems);

/* Run directory, local directory and what belongs in them. */
void site_make_dirs(const site_t *s, problems_t *problems);

/* The code's version and plugin hash: from the file that the image's build made (site_code_baked), else by running PHP. */
int site_read_code(site_t *s, err_t *err);
int site_code_parse(const char *json, size_t len, const char *dirroot, site_code_t *ret,
                    err_t *err); /* pure */
int site_run_code_info(const site_t *s, buf_t *ret_json, err_t *err);
#define SITE_CODE_BAKED "/etc/moodlectl/code.json"

/* Workers for this much memory and these processors, and the sentence that explains it. Pure. */
int site_fpm_children(uint64_t memory_bytes, uint64_t php_bytes, int cpus, char *why, size_t size);

#endif
