#include "base/environment.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/role.h"
#include "bootstrap/ecs_task.h"
#include "bootstrap/output.h"
#include "bootstrap/roles.h"
#include "bootstrap/secrets.h"
#include "bootstrap/site.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum { TEST_MS = 20000 };

typedef struct {
    bool check, diff, quiet, code_info;
    bool
        reload; /* services run on the files that are there: they are replaced only when all new ones are good */
    int environment; /* a descriptor of base/environment.h; 0: the process's own */
    const char *out; /* another directory than the run directory */
    char **then;     /* a command to become afterwards */
    bool anyway;     /* also when the site could not be prepared: a shell to find out why */
} options_t;

typedef struct {
    options_t opt;
    settings_t *set;
    size_t issues_told;
    site_t site;
    problems_t problems;
    outputs_t outputs;
} prepare_t;

/* ---- what was found is told once, all of it ---- */

static void tell_issues(prepare_t *p)
{
    static const log_level_t levels[] = {
        [SI_ERROR] = LOG_ERROR_, [SI_WARNING] = LOG_WARN_, [SI_NOTICE] = LOG_NOTICE_};
    for (; p->issues_told < settings_issue_count(p->set); p->issues_told++) {
        const set_issue_t *i = settings_issue(p->set, p->issues_told);
        log_write(levels[i->severity], i->id, "%s", i->msg);
    }
}

/* Exit status of the first error among the settings; 0: there is none. */
static int issues_status(const prepare_t *p)
{
    for (size_t i = 0; i < settings_issue_count(p->set); i++)
        if (settings_issue(p->set, i)->severity == SI_ERROR) return err_status(settings_issue(p->set, i)->id);
    return 0;
}

static int problems_status(prepare_t *p)
{
    for (size_t i = 0; i < p->problems.count; i++) log_err(LOG_ERROR_, &p->problems.item[i]);
    return p->problems.count ? err_status(p->problems.item[0].id) : 0;
}

static int failed(const err_t *err)
{
    log_err(LOG_ERROR_, err);
    return err_status(err->id);
}

static void tell_rendered(const prepare_t *p, const char *stage)
{
    if (p->opt.then) return; /* no process 1 listens, and stdout is the command's */
    const char *release = settings_str(p->set, SET_release);
    json_t *is_text = *release ? json_string(release) : NULL; /* NULL too when it is not UTF-8 */
    if (!is_text) release = p->site.code.release;
    json_decref(is_text);
    role_emit(json_pack("{s:s,s:s,s:s}", "event", "rendered", "stage", stage, "release", release));
}

/* ---- the programs' own opinion of their files ---- */

/* The line that says what is wrong; nginx and PHP-FPM end with a line that only says that something is. */
static void first_line(const buf_t *b, char *buf, size_t size)
{
    const char *text = buf_cstr(b);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (memmem(line, strcspn(line, "\n"), "[emerg]", 7) ||
            memmem(line, strcspn(line, "\n"), "ERROR:", 6)) {
            snprintf(buf, size, "%.*s", (int)strcspn(line, "\n"), line);
            return;
        }
    snprintf(buf, size, "%.*s", (int)strcspn(text, "\n"), text);
}

static int test_file(char *const argv[], const char *what, err_t *err)
{
    cleanup_buf buf_t words = BUF_INIT;
    char line[400];
    int status = runner_program(argv, NULL, TEST_MS, &words, &words, err);
    if (status <= 0) return status;
    first_line(&words, line, sizeof line);
    return err_set(err, ERR_RENDER_TEST, "%s: %s", what, line);
}

static const char *suffix(const prepare_t *p) { return p->opt.reload ? OUTPUT_NEW : ""; }

static int test_nginx(prepare_t *p, err_t *err)
{
    char nginx[PATH_MAX], conf[PATH_MAX + 16], t[] = "-t", q[] = "-q", e[] = "-e", errors[] = "stderr",
                                               c[] = "-c";
    snprintf(nginx, sizeof nginx, "%s", p->site.nginx);
    snprintf(conf, sizeof conf, "%s/nginx.conf%s", p->site.run_dir, suffix(p));
    char *argv[] = {nginx, t, q, e, errors, c, conf, NULL};
    return test_file(argv, "nginx.conf", err);
}

static int test_fpm(prepare_t *p, err_t *err)
{
    char fpm[PATH_MAX], conf[PATH_MAX + 16], ini[PATH_MAX + 16], t[] = "-t", c[] = "-c", y[] = "-y";
    snprintf(fpm, sizeof fpm, "%s", p->site.php_fpm);
    snprintf(conf, sizeof conf, "%s/php-fpm.conf%s", p->site.run_dir, suffix(p));
    snprintf(ini, sizeof ini, "%s/php.ini%s", p->site.run_dir, suffix(p));
    char *argv[] = {fpm, t, c, ini, y, conf, NULL};
    return test_file(argv, "php-fpm.conf", err);
}

/* ---- the two stages ---- */

/* Everything nginx needs. No network, no shared disk: the holding page shall be there at once. */
static int stage_boot(prepare_t *p)
{
    err_t err = {0};
    site_check_programs(&p->site, &p->problems);
    if (!p->opt.out && !p->opt.diff) site_make_dirs(&p->site, &p->problems);
    if (p->problems.count) {
        site_check_code(&p->site, &p->problems);
        site_check_data(&p->site, &p->problems);
        return problems_status(p);
    }
    if (output_render_boot(&p->site, &p->outputs, &err) < 0) return failed(&err);
    if (p->opt.out || p->opt.diff) return 0;
    if (output_write(&p->outputs, p->site.run_dir, suffix(p), &err) < 0 || test_nginx(p, &err) < 0)
        return failed(&err);
    if (p->opt.reload) return 0;
    if (*p->site.fpm_arithmetic) log_info("%s", p->site.fpm_arithmetic);
    tell_rendered(p, "boot");
    return 0;
}

/* Who we are and how much memory the task has. Without an answer the member is called after its host. */
static void learn_task(prepare_t *p)
{
    ecs_task_t task;
    err_t err = {0};
    bool changes = p->opt.out || p->opt.diff || p->opt.reload; /* or it stands at its start */
    if (ecs_task_read(p->set, !changes, &task, &err) < 0) log_err(LOG_WARN_, &err);
    if (!*task.id) return;
    if (!settings_is_set(p->set, SET_member)) settings_supply(p->set, SET_member, task.id, NULL);
    if (site_fit_task(&p->site, task.memory_bytes, task.cpus)) log_info("%s", p->site.fpm_arithmetic);
    if (changes || p->opt.then) return;
    role_emit(json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:f}", "event", "identity", "member",
                        settings_str(p->set, SET_member), "task", task.id, "cluster", task.cluster, "service",
                        task.service, "definition", task.definition, "zone", task.zone, "memory_mib",
                        (json_int_t)(task.memory_bytes >> 20), "cpus", task.cpus));
}

static int finish_settings(prepare_t *p)
{
    secrets_resolve(p->set, &p->problems);
    settings_check(p->set);
    tell_issues(p);
    int status = issues_status(p), other = problems_status(p);
    return status ? status : other;
}

static int render_rest(prepare_t *p)
{
    err_t err = {0};
    if (site_read_code(&p->site, &err) < 0 || output_render_all(&p->site, &p->outputs, &err) < 0)
        return failed(&err);
    return 0;
}

static int write_and_test(prepare_t *p)
{
    err_t err = {0};
    if (output_write(&p->outputs, p->site.run_dir, "", &err) < 0 || test_fpm(p, &err) < 0)
        return failed(&err);
    tell_rendered(p, "all");
    return 0;
}

/* "moodlectl render" changes files and nobody follows: the next reload must know, though it finds nothing different. */
static void remember_change(const prepare_t *p, bool *nginx, bool *php)
{
    char path[PATH_MAX + 16];
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0400, .no_sync = true};
    snprintf(path, sizeof path, "%s/render-unfollowed", p->site.run_dir);
    if (p->opt.environment) { /* process 1 asked, and hears */
        if (unlink(path) == 0) *nginx = *php = true;
    } else if (*nginx || *php) {
        fd_replace_file(path, "", 0, &spec, NULL);
    }
}

/* Of a reload: the tests come first. PHP keeps compiled files (opcache.validate_timestamps), so config.php is one of PHP-FPM's. */
static int put_in_place(prepare_t *p)
{
    static const char *const of_php[] = {"php-fpm.conf", "php.ini", "ca.pem", "config.php", "muc-stores.php"};
    err_t err = {0};
    const char *dir = p->site.run_dir;
    bool nginx = output_differs(&p->outputs, "nginx.conf", dir), php = false;
    for (size_t i = 0; i < sizeof of_php / sizeof *of_php; i++)
        php |= output_differs(&p->outputs, of_php[i], dir);
    if (test_fpm(p, &err) < 0 || output_write(&p->outputs, dir, "", &err) < 0) return failed(&err);
    output_forget(&p->outputs, dir);
    remember_change(p, &nginx, &php);
    role_emit(json_pack("{s:s,s:b,s:b}", "event", "reloaded", "nginx", nginx, "php", php));
    tell_rendered(p, "all");
    return 0;
}

static int stage_all(prepare_t *p)
{
    if (!p->opt.out && !p->opt.diff) {
        site_check_code(&p->site, &p->problems);
        site_check_data(&p->site, &p->problems);
    }
    learn_task(p);
    int status = finish_settings(p);
    if (status == 0) status = render_rest(p);
    if (status || p->opt.out || p->opt.diff) return status;
    return p->opt.reload ? put_in_place(p) : write_and_test(p);
}

/* ---- for people ---- */

static int show_diff(prepare_t *p)
{
    cleanup_buf buf_t text = BUF_INIT;
    int differ = output_diff(&p->outputs, p->site.run_dir, &text);
    if (!p->opt.quiet) fputs(buf_cstr(&text), stdout);
    return differ ? EXIT_DIFFERENT : EXIT_OK;
}

static int write_out(prepare_t *p)
{
    err_t err = {0};
    char muc[PATH_MAX];
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0700};
    snprintf(muc, sizeof muc, "%s/muc", p->opt.out);
    if (fd_make_dir(p->opt.out, &spec, &err) < 0 || fd_make_dir(muc, &spec, &err) < 0 ||
        output_write(&p->outputs, p->opt.out, "", &err) < 0)
        return failed(&err);
    return EXIT_OK;
}

static int show_code_info(prepare_t *p)
{
    err_t err = {0};
    cleanup_buf buf_t json = BUF_INIT;
    site_code_t code;
    if (site_run_code_info(&p->site, &json, &err) < 0 ||
        site_code_parse(buf_cstr(&json), json.len, p->site.web_dir, &code, &err) < 0)
        return failed(&err);
    fputs(buf_cstr(&json), stdout);
    return EXIT_OK;
}

static int run(prepare_t *p)
{
    int status = 0;
    tell_issues(p);
    if (p->opt.check) return finish_settings(p);
    site_find(&p->site, p->set, &p->problems);
    if (p->opt.code_info) return show_code_info(p);
    status = issues_status(p);
    if (status) return status;
    status = stage_boot(p);
    if (status == 0) status = stage_all(p);
    if (status) return status;
    if (p->opt.diff) return show_diff(p);
    return p->opt.out ? write_out(p) : EXIT_OK;
}

static int parse_options(int argc, char **argv, options_t *o)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0)
            o->check = true;
        else if (strcmp(argv[i], "--diff") == 0)
            o->diff = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            o->quiet = true;
        else if (strcmp(argv[i], "--code-info") == 0)
            o->code_info = true;
        else if (strcmp(argv[i], "--reload") == 0)
            o->reload = true;
        else if (strcmp(argv[i], "--environment") == 0 && i + 1 < argc)
            o->environment = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
            o->out = argv[++i];
        else if ((strcmp(argv[i], "--then") == 0 || strcmp(argv[i], "--anyway") == 0) && i + 1 < argc) {
            o->anyway = strcmp(argv[i], "--anyway") == 0;
            o->then = argv + i + 1;
            break;
        } else
            return -1;
    }
    return o->check + o->diff + o->code_info + (o->out != NULL) > 1 ? -1 : 0;
}

static int become(char *const *argv)
{
    execvp(argv[0], argv);
    int status = errno == ENOENT ? 127 : 126; /* as a shell has it */
    fprintf(stderr, "moodlectl: cannot execute %s: %s\n", argv[0], strerror(errno));
    return status;
}

int prepare_main(int argc, char **argv)
{
    static prepare_t p;
    err_t err = {0};
    if (parse_options(argc, argv, &p.opt) < 0) {
        log_write(LOG_ERROR_, ERR_USAGE,
                  "prepare [--check | --diff [--quiet] | --out DIR | --code-info | --then COMMAND... | "
                  "--anyway COMMAND...]");
        return EXIT_USAGE_;
    }
    bool role = !p.opt.check && !p.opt.diff && !p.opt.out && !p.opt.code_info && !p.opt.then;
    if (role) role_begin();
    if (p.opt.then) log_set_level(LOG_WARN_);
    if (p.opt.environment && environment_take(p.opt.environment, &err) < 0) return failed(&err);
    p.set = settings_load(environ);
    int status = run(&p);
    output_free(&p.outputs);
    settings_free(&p.set);
    if (p.opt.then && (status == 0 || p.opt.anyway)) return become(p.opt.then);
    return status;
}
