#include "supervisor/run.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/secret.h"
#include "supervisor/control.h"
#include "supervisor/lifecycle.h"
#include "supervisor/reaper.h"
#include "supervisor/redaction.h"
#include "supervisor/reload.h"
#include "supervisor/spawn.h"
#include "supervisor/status.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAST_LINES_MS = 500 };

typedef void signal_fn(member_t *m, int sig);
static void do_stop(member_t *m, int sig);
static void do_reload(member_t *m, int sig);
static void do_reap(member_t *m, int sig);

/* One row a signal; nothing hidden. QUIT and WINCH are what php and httpd base images ask for (their STOPSIGNAL). */
static const struct {
    int sig;
    signal_fn *fn;
} SIGNALS[] = {{SIGTERM, do_stop},  {SIGINT, do_stop},   {SIGQUIT, do_stop},
               {SIGWINCH, do_stop}, {SIGHUP, do_reload}, {SIGCHLD, do_reap}};
enum { SIGNAL_COUNT = sizeof SIGNALS / sizeof *SIGNALS };

static uv_poll_t watcher;
static int signals = -1;
static member_t member;

static void do_stop(member_t *m, int sig)
{
    if (sig == SIGWINCH && isatty(STDIN_FILENO)) return; /* there it means that the window was resized */
    char who[32];
    snprintf(who, sizeof who, "SIG%s", sigabbrev_np(sig));
    lifecycle_stop(m, who);
}

static void do_reload(member_t *m, int sig)
{
    (void)sig;
    if (!reload_start(m, false, false))
        logfmt_own(LOG_WARN_, ERR_NONE, "reload", "SIGHUP: nothing can be reloaded in this phase");
}

static bool on_exit_of(pid_t pid, int status) { return lifecycle_reap(&member, pid, status); }

static void do_reap(member_t *m, int sig)
{
    (void)m;
    (void)sig;
    reaper_run(on_exit_of);
}

/* Lines are written when all is done: a stop or a new start comes before the words about it. */
static void on_signals(uv_poll_t *w, int status, int events)
{
    struct signalfd_siginfo info;
    (void)status;
    (void)events;
    outq_hold();
    while (read(signals, &info, sizeof info) == sizeof info)
        for (size_t i = 0; i < SIGNAL_COUNT; i++)
            if (SIGNALS[i].sig == (int)info.ssi_signo) SIGNALS[i].fn(w->data, SIGNALS[i].sig);
    outq_release();
}

/* PID 1 has no default action for a signal, and what it neither handles nor blocks is lost. All that is of interest stays blocked for
 * ever and is read from a descriptor: nothing comes too early, nothing interrupts, no handler runs. SIGPIPE is blocked and never
 * looked at, because children would inherit its being ignored. */
static int block_signals(void)
{
    sigset_t set, blocked;
    sigemptyset(&set);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) sigaddset(&set, SIGNALS[i].sig);
    blocked = set;
    sigaddset(&blocked, SIGPIPE);
    spawn_ignore_none(); /* as a careless launcher may do */
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals < 0 ? -1 : 0;
}

static int watch_signals(uv_loop_t *loop)
{
    watcher.data = &member;
    if (uv_poll_init(loop, &watcher, signals) < 0) return -1;
    return uv_poll_start(&watcher, UV_READABLE, on_signals);
}

static void harden(void)
{
    reaper_adopt_orphans();
    spawn_init();
    secret_forbid_core();
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* what the launcher left open reaches no child */
    umask(022);
    if (chdir("/") < 0) log_debug("chdir /: %s", strerror(errno));
}

static bool wants_json(const settings_t *set)
{
    const char *format = settings_str(set, SET_log_format);
    if (strcmp(format, "auto") == 0) return !isatty(STDOUT_FILENO);
    return strcmp(format, "json") == 0;
}

static int member_open(member_t *m, uv_loop_t *loop, const settings_t *set)
{
    m->loop = loop;
    m->set = set;
    settings_member(set, m->name, sizeof m->name);
    snprintf(m->release, sizeof m->release, "%s", settings_str(set, SET_release));
    outq_open(loop, STDOUT_FILENO);
    logfmt_init(wants_json(set), log_level_find(settings_str(set, SET_log_level), LOG_INFO_), m->name);
    logfmt_set_release(m->release);
    log_set_sink(logfmt_sink);
    secret_hide(); /* only now: it would have kept us from opening our own /proc/self/fd/1 */
    return 0;
}

/* The environment may hold secrets. Only role prepare needs them, and from here on only it can have them. */
static int hide_environment(member_t *m, err_t *err)
{
    int fd = environment_pack(environ, err);
    if (fd < 0) return -1;
    environment_wipe(environ);
    m->services = services_new(m->set, fd);
    return m->services ? 0 : err_set(err, ERR_MEMORY, "no memory for the services");
}

static int give_up(const err_t *err)
{
    log_err(LOG_ERROR_, err);
    outq_release();
    outq_close(LAST_LINES_MS);
    return err_status(err->id);
}

static void banner(const member_t *m)
{
    logfmt_own(LOG_NOTICE_, ERR_NONE, "start",
               "moodlectl %s, member %s, %s (pid %d), uid %d, stop budget %lld ms", MOODLECTL_VERSION,
               m->name, getpid() == 1 ? "PID 1" : "subreaper", (int)getpid(), (int)geteuid(),
               (long long)settings_int(m->set, SET_stop_timeout));
}

static void close_all(uv_loop_t *loop)
{
    lifecycle_close(&member);
    control_close();
    uv_close((uv_handle_t *)&watcher, NULL);
    outq_close(LAST_LINES_MS);
    uv_run(loop, UV_RUN_NOWAIT);
    services_free(&member.services);
}

/* The first child, role prepare, starts as early as can be. Nothing that it says is read, and nothing of ours written, before it is
 * proved that the log shows no secret. */
int run_main(const settings_t *set)
{
    static uv_loop_t loop;
    err_t err = {0};
    if (block_signals() < 0) return EXIT_OSERR;
    harden();
    if (uv_loop_init(&loop) < 0 || member_open(&member, &loop, set) < 0) return EXIT_OSERR;
    if (watch_signals(&loop) < 0) return EXIT_OSERR;
    outq_hold();
    if (hide_environment(&member, &err) < 0) return give_up(&err);
    lifecycle_init(&member);
    redaction_learn(set, clock_ms());
    if (redaction_prove(&err) < 0) {
        for (int id = 0; id < SV_COUNT_; id++) child_kill_now(&member.children[id]);
        return give_up(&err);
    }
    logfmt_trim();
    malloc_trim(0); /* the canary's longest line */
    logfwd_forward_access(
        settings_bool(set, SET_log_access)); /* behind the canary, which is an access line, too */
    banner(&member);
    outq_release();
    uv_run(&loop, UV_RUN_DEFAULT);
    close_all(&loop);
    return member.exit_status;
}

bool run_is_rendered(const settings_t *set)
{
    char path[300];
    snprintf(path, sizeof path, "%s/lead.json", settings_str(set, SET_run_dir));
    return access(path, F_OK) == 0;
}

/* Role prepare becomes the command itself when it has rendered: nothing is left between it and the container's runtime. */
static void become_by_prepare(char *const *argv, bool anyway)
{
    static char name[] = "moodlectl-role", prepare[] = "prepare", then[] = "--then", any[] = "--anyway";
    char path[512];
    size_t count = 0;
    while (argv[count]) count++;
    char **words = calloc(count + 4, sizeof *words);
    if (!words) return;
    words[0] = name;
    words[1] = prepare;
    words[2] = anyway ? any : then;
    for (size_t i = 0; i < count; i++) words[3 + i] = argv[i];
    services_role_path(path, sizeof path);
    execv(path, words);
    free(words);
}

int run_foreign(char *const *argv, bool anyway)
{
    spawn_reset_signals();
    settings_t *set = settings_load(environ);
    bool prepare = set && settings_is_set(set, SET_url) && !run_is_rendered(set);
    settings_free(&set);
    if (prepare) become_by_prepare(argv, anyway);
    execvp(argv[0], argv);
    int status = errno == ENOENT ? 127 : 126;
    fprintf(stderr, "moodlectl: cannot execute %s: %s\n", argv[0], strerror(errno));
    return status;
}
