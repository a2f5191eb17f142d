#include "bootstrap/site.h"
#include "base/fd.h"
#include "base/passwd.h"
#include "bootstrap/memory.h"
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEAST_CHILDREN = 2, CHILDREN_PER_CPU = 16, NGINX_WORKERS_MAX = 4 };

static bool is_file(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* nginx wants names where others take numbers. */
static void find_user(site_t *s, problems_t *problems)
{
    err_t err = {0};
    const char *name = settings_str(s->set, SET_user);
    snprintf(s->home, sizeof s->home, "%s", "/");
    if (passwd_find(name, &s->web.uid, &s->web.gid, &err) < 0) {
        problems_take(problems, &err);
        return;
    }
    const struct passwd *pw = getpwuid(s->web.uid);
    const struct group *gr = getgrgid(s->web.gid);
    if (pw) {
        snprintf(s->user, sizeof s->user, "%s", pw->pw_name);
        snprintf(s->home, sizeof s->home, "%s", pw->pw_dir);
    }
    if (gr) snprintf(s->group, sizeof s->group, "%s", gr->gr_name);
    if (!s->is_root) return;
    if (!pw || !gr)
        problems_add(problems, ERR_USER, "%s has no entry in /etc/%s, which nginx needs", name,
                     pw ? "group" : "passwd");
    else if (s->web.uid == 0)
        problems_add(problems, ERR_USER, "MOODLECTL_USER is root: choose an ordinary user");
}

static void find_programs(site_t *s)
{
    settings_program(s->set, SET_php, s->php, sizeof s->php);
    settings_program(s->set, SET_php_fpm, s->php_fpm, sizeof s->php_fpm);
    snprintf(s->nginx, sizeof s->nginx, "%s", settings_str(s->set, SET_nginx));
}

static void find_dirs(site_t *s)
{
    const char *templates = settings_str(s->set, SET_template_dir);
    s->run_dir = settings_str(s->set, SET_run_dir);
    s->local_dir = settings_str(s->set, SET_local_dir);
    s->data_dir = settings_str(s->set, SET_data_dir);
    snprintf(s->template_dir, sizeof s->template_dir, "%s",
             *templates ? templates : MOODLECTL_DATADIR "/templates");
    snprintf(s->code_dir, sizeof s->code_dir, "%s", settings_str(s->set, SET_code_dir));
    /* Moodle 5.1: the web root moved to public/, config.php stayed (https://moodledev.io/docs/5.1/devupdate) */
    s->has_router = is_file(s->code_dir, "public/lib/setup.php");
    int n = snprintf(s->web_dir, sizeof s->web_dir, "%s%s", s->code_dir, s->has_router ? "/public" : "");
    if (n >= (int)sizeof s->web_dir) s->web_dir[0] = '\0';
}

static void find_ca_bundle(site_t *s)
{
    static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles && !*s->ca_bundle; i++)
        if (access(bundles[i], R_OK) == 0) snprintf(s->ca_bundle, sizeof s->ca_bundle, "%s", bundles[i]);
}

int site_fpm_children(uint64_t memory_bytes, uint64_t php_bytes, int cpus, char *why, size_t size)
{
    uint64_t by_memory = php_bytes ? memory_bytes / 4 * 3 / php_bytes : 0;
    uint64_t by_cpu = (uint64_t)cpus * CHILDREN_PER_CPU, n = by_memory < by_cpu ? by_memory : by_cpu;
    if (n < LEAST_CHILDREN) n = LEAST_CHILDREN;
    snprintf(why, size,
             "%llu PHP-FPM workers: three quarters of %llu MiB memory hold %llu of %llu MiB; %d processors "
             "drive %llu",
             (unsigned long long)n, (unsigned long long)(memory_bytes >> 20), (unsigned long long)by_memory,
             (unsigned long long)(php_bytes >> 20), cpus, (unsigned long long)by_cpu);
    return (int)n;
}

static void reckon_children(site_t *s, uint64_t memory_bytes, int cpus)
{
    s->fpm_children = (int)settings_int(s->set, SET_fpm_children);
    if (s->fpm_children == 0)
        s->fpm_children = site_fpm_children(memory_bytes, (uint64_t)settings_int(s->set, SET_php_memory),
                                            cpus, s->fpm_arithmetic, sizeof s->fpm_arithmetic);
}

bool site_fit_task(site_t *s, uint64_t memory_bytes, double cpus)
{
    uint64_t memory = memory_limit_bytes();
    int count = memory_cpus(), before = s->fpm_children;
    if (memory_bytes > 0 && memory_bytes < memory) memory = memory_bytes;
    if (cpus > 0 && cpus < count) count = cpus > 1 ? (int)(cpus + 0.999) : 1;
    reckon_children(s, memory, count);
    return s->fpm_children != before;
}

static void find_numbers(site_t *s)
{
    int cpus = memory_cpus();
    s->nginx_workers = cpus < NGINX_WORKERS_MAX ? cpus : NGINX_WORKERS_MAX;
    reckon_children(s, memory_limit_bytes(), cpus);
}

void site_find(site_t *s, const settings_t *set, problems_t *problems)
{
    *s = (site_t){.set = set, .is_root = geteuid() == 0};
    find_user(s, problems);
    find_programs(s);
    find_dirs(s);
    find_ca_bundle(s);
    find_numbers(s);
}

typedef struct {
    const char *name;
    bool web;    /* owned by the web user */
    bool in_run; /* else in the local directory */
    mode_t mode;
} dir_row_t;

static const dir_row_t DIRS[] = {
    {"", false, true, 0750},        {"muc", true, true, 0770},  {"www", false, true, 0755},
    {"state", false, true, 0755},   {"", false, false, 0755},   {"localcache", true, false, 0770},
    {"request", true, false, 0770}, {"tmp", true, false, 0700}, {"nginx", true, false, 0700},
};

static void make_parents(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *c = part + 1; (c = strchr(c, '/')); *c++ = '/') {
        *c = '\0';
        mkdir(part, 0755); /* what fails here fails again, with a message, one level below */
    }
}

void site_make_dirs(const site_t *s, problems_t *problems)
{
    bool failed[2] = {false, false};
    for (size_t i = 0; i < sizeof DIRS / sizeof *DIRS; i++) {
        const dir_row_t *d = &DIRS[i];
        char path[PATH_MAX];
        err_t err = {0};
        file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = d->mode};
        if (s->is_root)
            spec = (file_spec_t){.uid = d->web ? s->web.uid : 0, .gid = s->web.gid, .mode = d->mode};
        snprintf(path, sizeof path, "%s%s%s", d->in_run ? s->run_dir : s->local_dir, *d->name ? "/" : "",
                 d->name);
        if (failed[d->in_run]) continue;
        if (!*d->name) make_parents(path);
        if (fd_make_dir(path, &spec, &err) == 0) continue;
        failed[d->in_run] = true;
        err.id = d->in_run ? ERR_DIR_RUN : ERR_DIR_LOCAL;
        problems_take(problems, &err);
    }
}
