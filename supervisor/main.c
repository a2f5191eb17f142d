/* moodlectl: process 1 of a Moodle container, and the commands of its operators. */
#include "base/settings.h"
#include "supervisor/cli.h"
#include "supervisor/run.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int run_here(void)
{
    /* A SIGTERM that comes while settings are read must wait: the kernel drops what process 1 neither handles nor blocks.
     * run_main() opens the signals again that it does not wait for. */
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    settings_t *s = settings_load(environ);
    if (!s) return EXIT_OSERR;
    int status = run_main(s);
    settings_free(&s);
    return status;
}

static bool is_ours(int argc, char **argv)
{
    int words;
    return argv[0][0] == '-' || cli_is_noun(argv[0]) || cli_find(argc, argv, &words);
}

/* "docker run IMAGE moodle purge_caches": a task of its own has to render the site before it can run a script. */
static int run_script(int argc, char **argv)
{
    static char self[512]; /* by its name: /proc/self/exe will be the role program by then */
    settings_t *s = settings_load(environ);
    bool rendered = !s || run_is_rendered(s);
    settings_free(&s);
    if (rendered || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return cli_main(argc, argv, environ);
    argv[0] = self;
    return run_foreign(argv, false);
}

/* Not one of our commands, so another program; when there is none of that name it may be a command of ours, misspelt. */
static int run_other(int argc, char **argv)
{
    int status = run_foreign(argv, true);
    const char *near = status == 127 ? cli_nearest(argc, argv) : NULL;
    if (near) fprintf(stderr, "Did you mean \"moodlectl %s\"?\n", near);
    return status;
}

int main(int argc, char **argv)
{
    bool is_init = getpid() == 1;
    if (argc < 2) return is_init ? run_here() : cli_main(argc, argv, environ);
    if (strcmp(argv[1], "run") != 0) {
        /* an image with this program as its entry point: "docker run IMAGE bash" */
        if (is_init && strcmp(argv[1], "moodle") == 0) return run_script(argc, argv);
        if (is_init && !is_ours(argc - 1, argv + 1)) return run_other(argc - 1, argv + 1);
        return cli_main(argc, argv, environ);
    }
    if (argc == 2) return run_here();
    if (strcmp(argv[2], "--") == 0) {
        if (argc == 3) return run_here();
        return run_foreign(argv + 3, true);
    }
    if (strcmp(argv[2], "-h") == 0 || strcmp(argv[2], "--help") == 0) return cli_main(argc, argv, environ);
    if (argv[2][0] == '-') return cli_usage("run has no options", "See \"moodlectl help run\".");
    if (is_init && strcmp(argv[2], "moodle") == 0) return run_script(argc - 1, argv + 1);
    if (is_ours(argc - 2, argv + 2)) return cli_main(argc - 1, argv + 1, environ);
    return run_other(argc - 2, argv + 2);
}
