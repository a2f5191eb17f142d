/* links: bootstrap base */
#include "test.h"

#include "base/fd.h"
#include "bootstrap/runner.h"
#include "bootstrap/site.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs the real moodlectl-role prepare against a copy of the stand-in code tree, with the real nginx and PHP. */
enum { ENV_MAX = 40, TEXT = 512 };
#define PASSWORD "se'c\"ret\\ $x"

static char root[64];
static char environment[ENV_MAX][TEXT];
static size_t environment_count;
static buf_t output; /* of the last run */

static void set_env(const char *name, const char *value)
{
    size_t i = 0, n = strlen(name);
    while (i < environment_count && !(strncmp(environment[i], name, n) == 0 && environment[i][n] == '=')) i++;
    assert_true(i < ENV_MAX - 1);
    if (i == environment_count) environment_count++;
    snprintf(environment[i], TEXT, "%s=%s", name, value);
}

static void tool(const char *a, const char *b, const char *c, const char *d)
{
    char w[4][TEXT];
    cleanup_buf buf_t out = BUF_INIT;
    err_t err = {0};
    snprintf(w[0], TEXT, "%s", a);
    snprintf(w[1], TEXT, "%s", b);
    snprintf(w[2], TEXT, "%s", c);
    snprintf(w[3], TEXT, "%s", d);
    char *argv[] = {w[0], w[1], w[2], *d ? w[3] : NULL, NULL};
    if (runner_program(argv, NULL, 20000, &out, &out, &err) != 0)
        fail_msg("%s: %s %s", a, err.msg, buf_cstr(&out));
}

static const char *in_root(const char *name)
{
    static char path[8][TEXT];
    static size_t next;
    char *p = path[next++ % 8];
    snprintf(p, TEXT, "%s/%s", root, name);
    return p;
}

static void put(const char *name, const char *text)
{
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0644};
    assert_int_equal(fd_replace_file(in_root(name), text, strlen(text), &spec, NULL), 0);
}

static void get(const char *name, buf_t *ret)
{
    assert_int_equal(fd_read_file(in_root(name), 1 << 20, ret, NULL), 0);
}

static void default_env(void)
{
    static const char *const rows[][2] = {{"MOODLE_URL", "https://moodle.example"},
                                          {"MOODLE_DATABASE_TYPE", "pgsql"},
                                          {"MOODLE_DATABASE_HOST", "127.0.0.1"},
                                          {"MOODLE_DATABASE_USER", "moodle"},
                                          {"MOODLE_DATABASE_PASSWORD", PASSWORD},
                                          {"MOODLE_REDIS_HOST", "127.0.0.1"},
                                          {"MOODLE_TRUSTED_PROXIES", "10.0.0.0/8,192.168.0.1"},
                                          {"MOODLECTL_HTTP_LISTEN", "127.0.0.1:18999"},
                                          {"MOODLECTL_MEMBER", "m-1"}};
    environment_count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) set_env(rows[i][0], rows[i][1]);
    set_env("MOODLE_DATA_DIR", in_root("data"));
    set_env("MOODLECTL_RUN_DIR", in_root("run"));
    set_env("MOODLECTL_LOCAL_DIR", in_root("local"));
    set_env("MOODLECTL_CODE_DIR", in_root("code"));
    set_env("MOODLECTL_TEMPLATE_DIR", in_root("templates"));
}

/* Exit status; everything printed is in `output`. */
static int prepare(const char *option, const char *argument)
{
    char *envp[ENV_MAX + 1] = {NULL}, name[] = BINARY_DIR "/moodlectl-role", role[] = "prepare", opt[16],
                         arg[TEXT];
    int fds[2], status = 0;
    snprintf(opt, sizeof opt, "%s", option ? option : "");
    snprintf(arg, sizeof arg, "%s", argument ? argument : "");
    char *argv[] = {name, role, option ? opt : NULL, argument ? arg : NULL, NULL};
    for (size_t i = 0; i < environment_count; i++) envp[i] = environment[i];
    buf_clear(&output);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(fds[1], 1);
        dup2(fds[1], 2);
        execve(name, argv, envp);
        _exit(127);
    }
    close(fds[1]);
    char chunk[4096];
    for (ssize_t n; (n = read(fds[0], chunk, sizeof chunk)) > 0;) buf_add(&output, chunk, (size_t)n);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_null(strstr(buf_cstr(&output), "se'c")); /* the password, whatever happens */
    return WEXITSTATUS(status);
}

static void says(const char *words)
{
    if (!strstr(buf_cstr(&output), words)) fail_msg("\"%s\" is not in: %s", words, buf_cstr(&output));
}

/* prepare ends with the status of `id` and says it. */
static void fails(err_id_t id, const char *words)
{
    int status = prepare(NULL, NULL);
    if (status != err_status(id)) fail_msg("status %d: %s", status, buf_cstr(&output));
    says(err_name(id));
    says(words);
    default_env();
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/test_prepare_XXXXXX");
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    tool("/bin/cp", "-r", SOURCE_DIR "/tests/standin/tree", in_root("code"));
    tool("/bin/cp", "-r", SOURCE_DIR "/templates", in_root("templates"));
    unlink(in_root("code/config.php"));
    assert_int_equal(mkdir(in_root("data"), 0777), 0);
    assert_int_equal(chmod(in_root("data"), 0777), 0);
    default_env();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&output);
    tool("/bin/rm", "-rf", root, "");
    return 0;
}

typedef struct {
    const char *name;
    bool web_owner;
    mode_t mode;
} wanted_t;

static void test_files_owners_modes(void **state)
{
    (void)state;
    static const wanted_t wanted[] = {
        {"run", false, 0750},
        {"run/config.php", false, 0440},
        {"run/moodle.json", false, 0440},
        {"run/lead.json", false, 0400},
        {"run/nginx.conf", false, 0440},
        {"run/php-fpm.conf", false, 0440},
        {"run/php.ini", false, 0440},
        {"run/muc", true, 0770},
        {"run/muc/cacheconfig.php", true, 0660},
        {"run/www", false, 0755},
        {"run/state", false, 0755},
        {"run/warm.php", false, 0440},
        {"run/fence.php", false, 0440},
        {"local/tmp", true, 0700},
        {"code/config.php", false, 0444},
    };
    if (prepare(NULL, NULL) != 0) fail_msg("%s", buf_cstr(&output));
    says("\"stage\":\"boot\"");
    says("\"stage\":\"all\"");
    says("PHP-FPM workers: three quarters of");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct stat st;
        assert_int_equal(stat(in_root(wanted[i].name), &st), 0);
        if ((st.st_mode & 07777) != wanted[i].mode)
            fail_msg("%s has mode %04o", wanted[i].name, st.st_mode & 07777);
        if (geteuid() == 0) assert_int_equal(st.st_uid != 0, wanted[i].web_owner);
    }
    cleanup_buf buf_t stub = BUF_INIT, ours = BUF_INIT, lead = BUF_INIT;
    get("code/config.php", &stub);
    get("templates/config-stub.php", &ours);
    assert_string_equal(buf_cstr(&stub), buf_cstr(&ours));
    get("run/lead.json", &lead);
    assert_non_null(strstr(buf_cstr(&lead), "\"member\": \"m-1\""));
}

static void test_cache_configuration_is_kept(void **state)
{
    (void)state;
    cleanup_buf buf_t a = BUF_INIT, b = BUF_INIT;
    put("run/muc/cacheconfig.php", "<?php // what Moodle wrote\n");
    assert_int_equal(prepare(NULL, NULL), 0);
    get("run/muc/cacheconfig.php", &a);
    assert_string_equal(buf_cstr(&a), "<?php // what Moodle wrote\n");
    set_env("MOODLE_REDIS_PREFIX", "other_"); /* other stores: begin anew */
    assert_int_equal(prepare(NULL, NULL), 0);
    get("run/muc/cacheconfig.php", &b);
    assert_non_null(strstr(buf_cstr(&b), "muc-stores.php"));
    default_env();
}

static void test_diff(void **state)
{
    (void)state;
    assert_int_equal(prepare(NULL, NULL), 0);
    assert_int_equal(prepare("--diff", NULL), EXIT_OK);
    assert_string_equal(buf_cstr(&output), "");
    set_env("MOODLE_DATABASE_PASSWORD", "another-password");
    assert_int_equal(prepare("--diff", NULL), EXIT_DIFFERENT);
    says("moodle.json");
    says("(a secret)");
    assert_null(strstr(buf_cstr(&output), "another-password"));
    set_env("MOODLE_URL", "https://new.example");
    assert_int_equal(prepare("--diff", NULL), EXIT_DIFFERENT);
    says("- \"wwwroot\": \"https://moodle.example\"");
    says("+ \"wwwroot\": \"https://new.example\"");
    assert_null(strstr(buf_cstr(&output), "another-password"));
    assert_int_equal(prepare("--diff", "--quiet"), EXIT_DIFFERENT);
    assert_string_equal(buf_cstr(&output), "");
    default_env();
    assert_int_equal(prepare("--diff", NULL), EXIT_OK); /* a diff writes nothing */
}

static void test_other_modes(void **state)
{
    (void)state;
    assert_int_equal(prepare("--check", NULL), 0);
    set_env("MOODLE_URL", "moodle.example");
    set_env("MOODLECTL_CRON", "maybe");
    assert_int_equal(prepare("--check", NULL), EXIT_CONFIG);
    says("MOODLE_URL");
    says("MOODLECTL_CRON");
    default_env();
    assert_int_equal(prepare("--code-info", NULL), 0);
    says("\"hash\":\"");
    assert_int_equal(prepare("--out", in_root("out")), 0);
    assert_int_equal(access(in_root("out/moodle.json"), F_OK), 0);
    assert_int_equal(prepare("--nonsense", NULL), EXIT_USAGE_);
}

static void test_any_byte_in_a_password(void **state)
{
    (void)state;
    cleanup_buf buf_t json = BUF_INIT;
    set_env("MOODLE_DATABASE_PASSWORD", "\xff\xfe'\"");
    assert_int_equal(prepare(NULL, NULL), 0);
    get("run/moodle.json", &json);
    assert_non_null(strstr(buf_cstr(&json), "\"b64\": \"//4nIg==\""));
    default_env();
}

static void test_single_mistakes(void **state)
{
    (void)state;
    set_env("MOODLE_DATA_DIR", in_root("nowhere"));
    fails(ERR_DATA_MISSING, "/nowhere");
    assert_int_equal(mkdir(in_root("closed"), 0555), 0);
    set_env("MOODLE_DATA_DIR", in_root("closed"));
    fails(ERR_DATA_WRITE, "cannot create a file");
    set_env("MOODLECTL_CODE_DIR", in_root("data"));
    fails(ERR_CODE_MISSING, "version.php");
    set_env("MOODLECTL_NGINX", in_root("nginx"));
    fails(ERR_PROGRAM_MISSING, "MOODLECTL_NGINX");
    set_env("MOODLECTL_PHP_FPM", in_root("fpm"));
    fails(ERR_PROGRAM_MISSING, "MOODLECTL_PHP_FPM");
    set_env("MOODLECTL_RUN_DIR", in_root("code/index.php/run"));
    fails(ERR_DIR_RUN, "index.php");
    set_env("MOODLECTL_LOCAL_DIR", in_root("code/index.php/x"));
    fails(ERR_DIR_LOCAL, "index.php");
    set_env("MOODLECTL_TEMPLATE_DIR", in_root("nowhere"));
    fails(ERR_TEMPLATE, "nginx.conf.tmpl");
    set_env("MOODLE_DATABASE_CA_FILE", in_root("nowhere.pem"));
    fails(ERR_SET_FILE, "nowhere.pem");
    set_env("MOODLE_REDIS_USER", "me");
    fails(ERR_SET_MISSING, "MOODLE_REDIS_PASSWORD");
    if (geteuid() != 0) return;
    set_env("MOODLECTL_USER", "no-such-user");
    fails(ERR_USER, "no-such-user");
    set_env("MOODLECTL_USER", "root");
    fails(ERR_USER, "root");
}

static void test_foreign_config(void **state)
{
    (void)state;
    put("code/config.php", "<?php $CFG = 1;\n");
    fails(ERR_CODE_CONFIG, "not moodlectl's config.php");
    put("code/config.php", "<?php\n/* moodlectl: this config.php is a constant. An older one. */\n");
    assert_int_equal(prepare(NULL, NULL), 0); /* ours: replaced */
    cleanup_buf buf_t b = BUF_INIT;
    get("code/config.php", &b);
    assert_non_null(strstr(buf_cstr(&b), "get_cfg_var"));
}

static void test_broken_templates_and_code(void **state)
{
    (void)state;
    cleanup_buf buf_t good = BUF_INIT, version = BUF_INIT;
    get("templates/nginx.conf.tmpl", &good);
    put("templates/nginx.conf.tmpl", "{{language nginx}}\nevents {}\nuser {{nobody}};\n");
    fails(ERR_TEMPLATE, "nginx.conf.tmpl line 3: unknown name \\\"nobody\\\"");
    put("templates/nginx.conf.tmpl", "{{language nginx}}\nevents {}\nwrong_word on;\n");
    fails(ERR_RENDER_TEST, "wrong_word");
    put("templates/nginx.conf.tmpl", buf_cstr(&good));
    get("templates/php-fpm.conf.tmpl", &version);
    put("templates/php-fpm.conf.tmpl", "{{language ini}}\n[global]\nwrong_word = 1\n");
    fails(ERR_RENDER_TEST, "wrong_word");
    put("templates/php-fpm.conf.tmpl", buf_cstr(&version));
    buf_clear(&version);
    get("code/version.php", &version);
    put("code/version.php", "<?php this is not PHP\n");
    fails(ERR_CODE_INFO, "syntax error");
    put("code/version.php", buf_cstr(&version));
    assert_int_equal(prepare(NULL, NULL), 0);
}

static void test_all_mistakes_at_once(void **state)
{
    (void)state;
    set_env("MOODLECTL_NGINX", in_root("nginx"));
    set_env("MOODLE_DATA_DIR", in_root("nowhere"));
    set_env("MOODLECTL_CODE_DIR", in_root("nowhere"));
    set_env("MOODLE_DATABASE_HOTS", "x");
    fails(ERR_PROGRAM_MISSING, "MOODLECTL_NGINX");
    says("E-DATA-MISSING");
    says("E-CODE-MISSING");
    says("did you mean MOODLE_DATABASE_HOST?");
}

static void test_children_arithmetic(void **state)
{
    (void)state;
    char why[256];
    assert_int_equal(site_fpm_children(4ULL << 30, 256 << 20, 4, why, sizeof why), 12);
    assert_string_equal(
        why,
        "12 PHP-FPM workers: three quarters of 4096 MiB memory hold 12 of 256 MiB; 4 processors drive 64");
    assert_int_equal(site_fpm_children(512 << 20, 512 << 20, 1, why, sizeof why), 2);
    assert_int_equal(site_fpm_children(1ULL << 40, 256 << 20, 2, why, sizeof why), 32);
}

static void test_code_info(void **state)
{
    (void)state;
#define HASH "09b4974108521b8f8dd5ffcfcdd9c000f26b108a"
    static const char good[] =
        "{\"dirroot\":\"/c\",\"version\":\"2024100704.07\",\"release\":\"4.5.4+\",\"branch\":\"405\","
        "\"hash\":\"" HASH "\"}\n";
    static const char *const bad[] = {
        "", "[]", "{\"dirroot\":\"/c\",\"version\":\"1\"}",
        "{\"dirroot\":\"/c\",\"version\":\"1\",\"release\":\"r\",\"branch\":\"b\",\"hash\":\"x\"}",
        "{\"dirroot\":\"/c\",\"version\":\"1'\",\"release\":\"r\",\"branch\":\"b\",\"hash\":\"" HASH "\"}"};
    site_code_t code;
    err_t err = {0};
    assert_int_equal(site_code_parse(good, strlen(good), "/c", &code, &err), 0);
    assert_string_equal(code.version, "2024100704.07");
    assert_int_equal(site_code_parse(good, strlen(good), "/other", &code, &err), -1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(site_code_parse(bad[i], strlen(bad[i]), "/c", &code, &err), -1);
        assert_int_equal(err.id, ERR_CODE_INFO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_owners_modes),
        cmocka_unit_test(test_cache_configuration_is_kept),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_other_modes),
        cmocka_unit_test(test_any_byte_in_a_password),
        cmocka_unit_test(test_single_mistakes),
        cmocka_unit_test(test_foreign_config),
        cmocka_unit_test(test_broken_templates_and_code),
        cmocka_unit_test(test_all_mistakes_at_once),
        cmocka_unit_test(test_children_arithmetic),
        cmocka_unit_test(test_code_info),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
