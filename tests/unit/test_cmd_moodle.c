/* links: base */
/* `moodlectl moodle SCRIPT` as a process, with the real PHP: who it runs as, what it is given, what it refuses. */
#include "base/buf.h"
#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/test-moodle-XXXXXX";

static const char SHOW[] =
    "<?php\n$s = file_get_contents('/proc/self/status');\n"
    "preg_match('/^Uid:\\s+(\\d+)\\s+(\\d+)/m', $s, $u); preg_match('/^Gid:\\s+(\\d+)/m', $s, $g);\n"
    "preg_match('/^Groups:\\s*(.*?)\\s*$/m', $s, $gr); preg_match('/^SigBlk:\\s*(\\S+)/m', $s, $b);\n"
    "preg_match('/^SigIgn:\\s*(\\S+)/m', $s, $i); preg_match('/^Umask:\\s*(\\S+)/m', $s, $m);\n"
    "$e = getenv(); ksort($e);\n"
    "echo json_encode(['argv' => array_slice($argv, 1), 'uid' => $u[1], 'euid' => $u[2], 'gid' => $g[1], "
    "'groups' => $gr[1],\n"
    "  'blocked' => $b[1], 'ignored' => $i[1], 'umask' => $m[1], 'env' => $e, 'limit' => "
    "ini_get('memory_limit')],\n"
    "  JSON_UNESCAPED_SLASHES), \"\\n\";\nexit(7);\n";

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0444};
    assert_int_equal(fd_replace_file(path, text, strlen(text), &spec, NULL), 0);
}

static void folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static int set_up(void **state)
{
    (void)state;
    char lead[1024], from[256];
    if (!mkdtemp(dir) || chmod(dir, 0755) < 0) return -1;
    static const char *const FOLDERS[] = {"run",      "code",       "code/admin",     "code/admin/cli",
                                          "code/mod", "code/mod/x", "code/mod/x/cli", "outside"};
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++) folder(FOLDERS[i]);
    put("code/admin/cli/show.php", SHOW);
    put("code/mod/x/cli/show.php", SHOW);
    put("code/mod/x/lib.php", SHOW);
    put("outside/evil.php", SHOW);
    snprintf(from, sizeof from, "%s/code/admin/cli/evil.php", dir);
    if (symlink("../../../outside/evil.php", from) < 0) return -1;
    put("run/php.ini", "memory_limit = 77M\n");
    snprintf(lead, sizeof lead,
             "{\"php\":\"/usr/bin/php\",\"php_ini\":\"%s/run/php.ini\",\"code_dir\":\"%s/"
             "code\",\"web_home\":\"/var/www\","
             "\"web_uid\":33,\"web_gid\":33}",
             dir, dir);
    put("run/lead.json", lead);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-r", dir, NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    return 0;
}

/* Runs the program with these words; both outputs go to *out. */
static int run(const char *const *words, buf_t *out)
{
    int p[2];
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char run_dir[256];
        char *argv[12] = {(char[]){"moodlectl"}, (char[]){"moodle"}};
        for (int i = 0; words[i]; i++) argv[i + 2] = strdup(words[i]);
        snprintf(run_dir, sizeof run_dir, "MOODLECTL_RUN_DIR=%s/run", dir);
        char *env[] = {run_dir, (char[]){"MOODLE_DATABASE_PASSWORD=hush"}, (char[]){"TZ=Europe/Berlin"},
                       NULL};
        signal(SIGUSR2, SIG_IGN); /* must not reach the script, nor may the blocked one */
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        dup2(p[1], 1);
        dup2(p[1], 2);
        execve(BINARY_DIR "/moodlectl", argv, env);
        _exit(99);
    }
    close(p[1]);
    char chunk[1024];
    for (ssize_t n; (n = read(p[0], chunk, sizeof chunk)) > 0;) buf_add(out, chunk, (size_t)n);
    close(p[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void expect(const char *const *words, int want, const char *const *parts)
{
    buf_t out = BUF_INIT;
    int status = run(words, &out);
    if (status != want) fail_msg("status %d instead of %d: %s", status, want, buf_cstr(&out));
    for (; *parts; parts++)
        if (!strstr(buf_cstr(&out), *parts)) fail_msg("no \"%s\" in: %s", *parts, buf_cstr(&out));
    buf_free(&out);
}

static void the_script_has_a_clean_process(void **state)
{
    (void)state;
    bool root = geteuid() == 0;
    static const char *const WORDS[] = {"show", "--keep-alive=0", "a b", "--help", NULL};
    const char *const parts[] = {
        "\"argv\":[\"--keep-alive=0\",\"a b\",\"--help\"]",
        root ? "\"uid\":\"33\",\"euid\":\"33\",\"gid\":\"33\",\"groups\":\"33\"" : "\"uid\"",
        /* SIGPIPE is ignored by PHP itself (sapi/cli/php_cli.c), SIGUSR2 must be back to its default */
        "\"blocked\":\"0000000000000000\",\"ignored\":\"0000000000001000\"", "\"umask\":\"0007\"",
        "\"env\":{\"HOME\":\"/var/www\",\"LANG\":\"C.UTF-8\",\"PATH\":\"", "\"TZ\":\"Europe/Berlin\"}",
        "\"limit\":\"77M\"", NULL};
    expect(WORDS, 7, parts);
}

static void paths_inside_the_code(void **state)
{
    (void)state;
    static const char *const ANY[] = {"\"argv\":[]", NULL};
    expect((const char *const[]){"show.php", NULL}, 7, ANY);
    expect((const char *const[]){"admin/cli/show.php", NULL}, 7, ANY);
    expect((const char *const[]){"mod/x/cli/show.php", NULL}, 7, ANY);
    expect((const char *const[]){"mod/x/cli/show", NULL}, 7, ANY);
}

static void refuses_what_is_no_script(void **state)
{
    (void)state;
    static const char *const REFUSED[] = {"missing",
                                          "evil",
                                          "../outside/evil.php",
                                          "mod/x/cli/../lib.php",
                                          "mod/x/lib.php",
                                          "/etc/passwd",
                                          "mod//x/cli/show.php",
                                          "sh;ow",
                                          "",
                                          ".",
                                          NULL};
    static const char *const SAYS[] = {"there is no script", NULL};
    for (int i = 0; REFUSED[i]; i++) expect((const char *const[]){REFUSED[i], NULL}, 127, SAYS);
    static const char *const NEAR[] = {"Did you mean \"moodlectl moodle show\"?", NULL};
    expect((const char *const[]){"shwo", NULL}, 127, NEAR);
}

static void nothing_rendered(void **state)
{
    (void)state;
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/run/lead.json", dir);
    snprintf(to, sizeof to, "%s/run/away", dir);
    assert_int_equal(rename(from, to), 0);
    static const char *const SAYS[] = {"E-NOT-RUNNING: nothing has been rendered", NULL};
    expect((const char *const[]){"show", NULL}, 69, SAYS);
    assert_int_equal(rename(to, from), 0);
    static const char *const HELP[] = {"moodlectl moodle SCRIPT", NULL};
    expect((const char *const[]){"--help", NULL}, 0, HELP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_script_has_a_clean_process),
        cmocka_unit_test(paths_inside_the_code),
        cmocka_unit_test(refuses_what_is_no_script),
        cmocka_unit_test(nothing_rendered),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
