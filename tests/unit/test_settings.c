/* links: base */
#include "test.h"

#include "base/settings.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A whole valid environment, with up to 12 more variables behind (and so overridden by) `extra`. */
#define BASE_ENV                                                                                             \
    "MOODLE_URL=https://moodle.example", "MOODLE_DATABASE_TYPE=pgsql", "MOODLE_DATABASE_HOST=db",            \
        "MOODLE_DATABASE_USER=moodle", "MOODLE_DATABASE_PASSWORD=p"
#define LOAD(...) settings_load((char *const[]){__VA_ARGS__, BASE_ENV, NULL})

static const set_issue_t *issue_find(const settings_t *s, err_id_t id, const char *word)
{
    for (size_t i = 0; i < settings_issue_count(s); i++)
        if (settings_issue(s, i)->id == id && strstr(settings_issue(s, i)->msg, word))
            return settings_issue(s, i);
    return NULL;
}

static void show(const settings_t *s)
{
    for (size_t i = 0; i < settings_issue_count(s); i++)
        printf("issue: %s %s\n", err_name(settings_issue(s, i)->id), settings_issue(s, i)->msg);
}

/* One variable in error gives this id, and a message that names the variable. */
static void wrong(const char *variable, err_id_t id)
{
    settings_t *s = LOAD((char *)variable);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(variable, "="), variable);
    if (!issue_find(s, id, name) || settings_error_count(s) != 1) {
        show(s);
        fail_msg("%s: not one %s", variable, err_name(id));
    }
    settings_free(&s);
}

static settings_t *right(const char *variable)
{
    settings_t *s = LOAD((char *)variable);
    if (settings_error_count(s)) {
        show(s);
        fail_msg("%s is refused", variable);
    }
    return s;
}

static void number(const char *variable, set_id_t id, int64_t expected)
{
    settings_t *s = right(variable);
    assert_int_equal(settings_int(s, id), expected);
    settings_free(&s);
}

static void text(const char *variable, set_id_t id, const char *expected)
{
    settings_t *s = right(variable);
    assert_string_equal(settings_str(s, id), expected);
    settings_free(&s);
}

static void truth(const char *variable, set_id_t id, bool expected)
{
    settings_t *s = right(variable);
    assert_int_equal(settings_bool(s, id), expected);
    settings_free(&s);
}

static void test_all_defaults_are_valid(void **state)
{
    (void)state;
    settings_t *s = right("IRRELEVANT=1");
    assert_int_equal(settings_issue_count(s), 0);
    assert_int_equal(settings_int(s, SET_stop_timeout), 30000);
    assert_int_equal(settings_int(s, SET_upload_limit), 200 << 20);
    assert_string_equal(settings_str(s, SET_data_dir), "/var/www/moodledata");
    assert_string_equal(settings_origin_name(s, SET_data_dir), "default");
    assert_false(settings_is_set(s, SET_data_dir));
    assert_true(settings_is_set(s, SET_url));
    assert_string_equal(settings_origin_name(s, SET_url), "MOODLE_URL");
    assert_true(settings_bool(s, SET_sslproxy)); /* auto, https */
    settings_check(s);
    assert_int_equal(settings_error_count(s), 0);
    settings_free(&s);
    assert_null(s);
}

static void test_everything_missing_is_reported_at_once(void **state)
{
    (void)state;
    settings_t *s = settings_load((char *const[]){"MOODLE_UPLOAD_LIMIT=12", NULL});
    assert_int_equal(settings_error_count(s), 6);
    const char *needed[] = {"MOODLE_URL", "MOODLE_DATABASE_TYPE", "MOODLE_DATABASE_HOST",
                            "MOODLE_DATABASE_USER", "MOODLE_DATABASE_PASSWORD"};
    for (size_t i = 0; i < 5; i++) assert_non_null(issue_find(s, ERR_SET_MISSING, needed[i]));
    assert_non_null(issue_find(s, ERR_SET_INVALID, "MOODLE_UPLOAD_LIMIT"));
    assert_int_equal(settings_int(s, SET_upload_limit), 200 << 20); /* a wrong value keeps its default */
    settings_free(&s);
}

static void test_empty_is_not_set(void **state)
{
    (void)state;
    settings_t *s = settings_load((char *const[]){"MOODLE_URL=", BASE_ENV, NULL});
    assert_non_null(issue_find(s, ERR_SET_MISSING, "MOODLE_URL"));
    settings_free(&s);
}

static void test_types(void **state)
{
    (void)state;
    number("MOODLECTL_LAME_DUCK=1500ms", SET_lame_duck, 1500);
    number("MOODLECTL_LAME_DUCK=2m", SET_lame_duck, 120000);
    wrong("MOODLE_DATABASE_PREFIX=", ERR_DB_PREFIX); /* perhaps meant: not the default in silence */
    wrong("DB_PREFIX=", ERR_DB_PREFIX);
    number("MOODLECTL_LAME_DUCK=0s", SET_lame_duck, 0);
    number("MOODLECTL_STALE_EXIT=5m", SET_stale_exit, 300000);
    number("MOODLECTL_STALE_EXIT=Never", SET_stale_exit, SET_NEVER);
    wrong("MOODLECTL_STALE_EXIT=2h", ERR_SET_INVALID);
    wrong("MOODLECTL_LAME_DUCK=never", ERR_SET_INVALID);
    wrong("MOODLECTL_LAME_DUCK=30", ERR_SET_INVALID);
    wrong("MOODLECTL_LAME_DUCK=-1s", ERR_SET_INVALID);
    wrong("MOODLECTL_LAME_DUCK=1d", ERR_SET_INVALID);
    wrong("MOODLECTL_LAME_DUCK=99999999999999999999s", ERR_SET_INVALID);
    wrong("MOODLECTL_LAME_DUCK=9223372036854775807h", ERR_SET_INVALID);
    wrong("MOODLECTL_STOP_TIMEOUT=1s", ERR_SET_INVALID);
    number("MOODLE_UPLOAD_LIMIT=2g", SET_upload_limit, 2LL << 30);
    wrong("MOODLE_UPLOAD_LIMIT=512", ERR_SET_INVALID);
    wrong("MOODLE_UPLOAD_LIMIT=17G", ERR_SET_INVALID);
    number("MOODLE_REDIS_DATABASE=15", SET_redis_database, 15);
    wrong("MOODLE_REDIS_DATABASE=16", ERR_SET_INVALID);
    wrong("MOODLE_REDIS_DATABASE=1x", ERR_SET_INVALID);
    wrong("MOODLE_REDIS_DATABASE= 1", ERR_SET_INVALID);
    text("MOODLE_SMTP_PROTOCOL=SSL", SET_smtp_protocol, "ssl");
    wrong("MOODLE_SMTP_PROTOCOL=starttls", ERR_SET_INVALID);
    text("MOODLE_DATA_DIR=/data/moodle//", SET_data_dir, "/data/moodle");
    wrong("MOODLE_DATA_DIR=data", ERR_SET_INVALID);
    wrong("MOODLE_DATA_DIR=/", ERR_SET_INVALID);
    wrong("MOODLE_DATA_DIR=/a$b", ERR_SET_INVALID);
    text("MOODLECTL_HTTP_LISTEN=[::]:80", SET_listen, "[::]:80");
    text("MOODLECTL_HTTP_LISTEN=127.0.0.3:8081", SET_listen, "127.0.0.3:8081");
    wrong("MOODLECTL_HTTP_LISTEN=8080", ERR_SET_INVALID);
    wrong("MOODLECTL_HTTP_LISTEN=0.0.0.0:0", ERR_SET_INVALID);
    wrong("MOODLECTL_HTTP_LISTEN=:8080", ERR_SET_INVALID);
    wrong("MOODLECTL_HTTP_LISTEN=::1:80", ERR_SET_INVALID);
    text("MOODLE_TRUSTED_PROXIES=10.0.0.0/8, 192.168.1.1", SET_trusted_proxies, "10.0.0.0/8,192.168.1.1");
    wrong("MOODLE_TRUSTED_PROXIES=10.0.0.0/33", ERR_SET_INVALID);
    wrong("MOODLE_TRUSTED_PROXIES=10.0.0.0/8;", ERR_SET_INVALID);
}

static void test_truth(void **state)
{
    (void)state;
    const char *yes[] = {"1", "true", "YES", "On"}, *no[] = {"0", "False", "no", "OFF"};
    for (size_t i = 0; i < 4; i++) {
        char v[64];
        snprintf(v, sizeof v, "MOODLE_REDIS_TLS=%s", yes[i]);
        truth(v, SET_redis_tls, true);
        snprintf(v, sizeof v, "MOODLECTL_CRON=%s", no[i]);
        truth(v, SET_cron, false);
    }
    wrong("MOODLE_REDIS_TLS=2", ERR_SET_INVALID);
    wrong("MOODLE_REDIS_TLS=y", ERR_SET_INVALID);
    wrong("MOODLE_REDIS_TLS=auto", ERR_SET_INVALID);
    truth("MOODLE_SSLPROXY=auto", SET_sslproxy, true);
    truth("MOODLE_SSLPROXY=off", SET_sslproxy, false);
    truth("MOODLE_URL=http://x", SET_sslproxy, false);
}

static void test_rules_of_single_settings(void **state)
{
    (void)state;
    text("MOODLE_URL=http://127.0.0.1:8000", SET_url, "http://127.0.0.1:8000");
    const char *urls[] = {"moodle.example", "https://",     "https://x/",   "https://a b",     "ftp://x",
                          "https://u@x",    "https://x/?a", "https://x\"y", "https://x/moodle"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char v[64];
        snprintf(v, sizeof v, "MOODLE_URL=%s", urls[i]);
        wrong(v, ERR_SET_INVALID);
    }
    wrong("MOODLE_DATABASE_TYPE=postgres", ERR_DB_TYPE);
    wrong("MOODLE_DATABASE_TYPE=sqlite3", ERR_DB_TYPE);
    text("MOODLE_DATABASE_PREFIX=m2_", SET_db_prefix, "m2_");
    wrong("MOODLE_DATABASE_PREFIX=Mdl_", ERR_DB_PREFIX);
    wrong("MOODLE_DATABASE_PREFIX=toolongprefix_", ERR_DB_PREFIX);
    wrong("MOODLE_DATABASE_PREFIX=2_", ERR_DB_PREFIX);
    wrong("MOODLE_PASSWORD=bitnami", ERR_SET_DEFAULT_PASSWORD);
    wrong("MOODLE_PASSWORD=PLEASE_CHANGEME", ERR_SET_DEFAULT_PASSWORD);
    wrong("MOODLE_EMAIL=nobody", ERR_SET_INVALID);
    wrong("MOODLE_DATABASE_HOST=db:5432", ERR_SET_INVALID);
    wrong("MOODLE_DATABASE_HOST=a'b", ERR_SET_INVALID);
    text("MOODLE_DATABASE_HOST=fd00::1", SET_db_host, "fd00::1");
    settings_t *s = LOAD("MOODLE_DATABASE_TYPE=postgres");
    assert_non_null(issue_find(s, ERR_DB_TYPE, "pgsql|mariadb|mysqli|auroramysql"));
    settings_free(&s);
}

static void test_secrets_are_not_shown(void **state)
{
    (void)state;
    settings_t *s = LOAD("MOODLE_PASSWORD=changeme", "MOODLE_DATABASE_PASSWORD=hunter2hunter2",
                         "MOODLE_DATABASE_PASSWORD_ARN=hunter2hunter2");
    show(s);
    for (size_t i = 0; i < settings_issue_count(s); i++) {
        assert_null(strstr(settings_issue(s, i)->msg, "hunter2"));
        assert_null(strstr(settings_issue(s, i)->msg, "changeme"));
    }
    assert_int_equal(settings_error_count(s), 2);
    settings_free(&s);
}

/* A password file with its exact bytes; the caller frees the path. */
static char *file_make(const char *bytes, size_t len)
{
    char *path = strdup("/tmp/test_settings_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    return path;
}

static settings_t *load_file(const char *bytes, size_t len)
{
    char *path = file_make(bytes, len), v[128];
    snprintf(v, sizeof v, "MOODLE_SMTP_PASSWORD_FILE=%s", path);
    settings_t *s = LOAD(v);
    unlink(path);
    free(path);
    return s;
}

static void test_file_form(void **state)
{
    (void)state;
    settings_t *s = load_file("se'c\"r\\et \xff\n\n", 13);
    assert_int_equal(settings_error_count(s), 0);
    assert_string_equal(settings_str(s, SET_smtp_password),
                        "se'c\"r\\et \xff\n"); /* exactly one newline goes */
    assert_int_equal(settings_origin(s, SET_smtp_password), SO_FILE);
    assert_string_equal(settings_origin_name(s, SET_smtp_password), "MOODLE_SMTP_PASSWORD_FILE");
    settings_free(&s);
    const char *bad[] = {"", "\n", "a\0b"};
    size_t len[] = {0, 1, 3};
    for (size_t i = 0; i < 3; i++) {
        s = load_file(bad[i], len[i]);
        assert_non_null(issue_find(s, ERR_SET_FILE, "MOODLE_SMTP_PASSWORD_FILE"));
        settings_free(&s);
    }
    wrong("MOODLE_SMTP_PASSWORD_FILE=/nonexistent/file", ERR_SET_FILE);
    wrong("MOODLE_SMTP_PASSWORD_FILE=relative", ERR_SET_FILE);
}

static void test_two_forms(void **state)
{
    (void)state;
    settings_t *s = LOAD("MOODLE_DATABASE_PASSWORD_FILE=/x");
    assert_int_equal(settings_error_count(s), 1);
    const set_issue_t *i = issue_find(s, ERR_SET_CONFLICT, "MOODLE_DATABASE_PASSWORD_FILE");
    assert_non_null(i);
    assert_non_null(strstr(i->msg, "MOODLE_DATABASE_PASSWORD and"));
    settings_free(&s);
}

#define ARN "arn:aws:secretsmanager:eu-central-1:123456789012:secret:moodle/db-AbCdEf:password::"

static void test_arn_form(void **state)
{
    (void)state;
    settings_t *s = LOAD("MOODLE_PASSWORD_ARN=" ARN, "MOODLE_DATABASE_PREFIX_ARN=" ARN);
    assert_int_equal(settings_error_count(s), 0);
    assert_string_equal(settings_arn(s, SET_password), ARN);
    assert_string_equal(settings_str(s, SET_password), "");
    err_t err = {0};
    assert_int_equal(settings_resolve(s, SET_password, "x'\"", &err), 0);
    assert_string_equal(settings_str(s, SET_password), "x'\"");
    assert_null(settings_arn(s, SET_password));
    assert_int_equal(settings_origin(s, SET_password), SO_ARN);
    assert_int_equal(settings_resolve(s, SET_db_prefix, "Not Good", &err), -1); /* checked like any other */
    assert_int_equal(err.id, ERR_DB_PREFIX);
    assert_null(strstr(err.msg, "Not Good")); /* from a secret: not shown, though a prefix is none */
    assert_int_equal(settings_resolve(s, SET_db_prefix, "", &err), -1);
    assert_int_equal(err.id, ERR_SEC_FORMAT);
    assert_int_equal(settings_resolve(s, SET_url, "https://x", &err), -1);
    settings_free(&s);
    s = settings_load((char *const[]){"MOODLE_URL_ARN=" ARN, NULL}); /* counts as present */
    assert_null(issue_find(s, ERR_SET_MISSING, "MOODLE_URL"));
    settings_free(&s);
    wrong("MOODLE_PASSWORD_ARN=arn:aws:s3:::bucket", ERR_SEC_ARN);
    wrong("MOODLE_PASSWORD_ARN=moodle/db", ERR_SEC_ARN);
}

static void test_aliases(void **state)
{
    (void)state;
    settings_t *s = LOAD("REDIS_HOST=cache", "PHP_MEMORY_LIMIT=512M", "DB_HOST=other");
    assert_string_equal(settings_str(s, SET_redis_host), "cache");
    assert_int_equal(settings_origin(s, SET_redis_host), SO_ALIAS);
    assert_string_equal(settings_origin_name(s, SET_redis_host), "REDIS_HOST (alias)");
    assert_string_equal(settings_str(s, SET_db_host), "db"); /* lowest precedence */
    assert_int_equal(settings_issue_count(s), 3);
    for (size_t i = 0; i < 3; i++) assert_int_equal(settings_issue(s, i)->severity, SI_NOTICE);
    settings_free(&s);
    s = LOAD("REDIS_HOST=a", "VALKEY_HOST=b");
    assert_non_null(issue_find(s, ERR_SET_CONFLICT, "VALKEY_HOST"));
    settings_free(&s);
    s = settings_load((char *const[]){"DB_TYPE=postgres", NULL});
    assert_non_null(issue_find(s, ERR_DB_TYPE, "DB_TYPE (MOODLE_DATABASE_TYPE)"));
    assert_null(issue_find(s, ERR_SET_MISSING, "MOODLE_DATABASE_TYPE"));
    settings_free(&s);
}

static void test_unknown_names(void **state)
{
    (void)state;
    settings_t *s = LOAD("MOODLE_DATABASE_HOTS=x", "MOODLE_DATABSE_PASSWORD_FILE=/x",
                         "MOODLE_COLOUR_OF_LOGO=x", "MOODLECTL_FENCE=/x", "MOODLE_DB_HOST=db",
                         "MOODLE_ADMIN_PASSWORD_FILE=", "MOODLECTL_ECS_METADATA_FILE=x");
    const set_issue_t *i = issue_find(s, ERR_SET_UNKNOWN, "MOODLE_DATABASE_HOTS ");
    assert_non_null(i);
    assert_int_equal(i->severity, SI_WARNING);
    assert_non_null(strstr(i->msg, "did you mean MOODLE_DATABASE_HOST?"));
    i = issue_find(s, ERR_SET_UNKNOWN, "MOODLE_DATABSE_PASSWORD_FILE");
    assert_non_null(i);
    assert_non_null(strstr(i->msg, "MOODLE_DATABASE_PASSWORD_FILE?"));
    i = issue_find(s, ERR_SET_UNKNOWN, "MOODLE_COLOUR_OF_LOGO");
    assert_non_null(i);
    assert_null(strstr(i->msg, "did you mean"));
    assert_null(issue_find(s, ERR_SET_UNKNOWN, "FENCE"));
    assert_null(issue_find(s, ERR_SET_UNKNOWN, "MOODLE_DB_HOST"));
    assert_null(issue_find(s, ERR_SET_UNKNOWN, "MOODLE_ADMIN_PASSWORD_FILE"));
    assert_int_equal(settings_error_count(s), 0);
    settings_free(&s);
    assert_string_equal(settings_nearest("MOODLE_URI"), "MOODLE_URL");
    assert_null(settings_nearest("PATH"));
}

static void checked(const char *variable, err_id_t id)
{
    settings_t *s = right(variable);
    settings_check(s);
    if (!issue_find(s, id, "MOODLE")) fail_msg("%s: no %s", variable, err_name(id));
    settings_free(&s);
}

static void test_rules_over_several(void **state)
{
    (void)state;
    checked("MOODLE_REDIS_USER=me", ERR_SET_MISSING);
    checked("MOODLE_REDIS_PASSWORD=p", ERR_SET_MISSING);
    checked("MOODLE_DATABASE_USER=o'hara", ERR_SET_INVALID);
    checked("MOODLE_DATABASE_NAME=my db", ERR_SET_INVALID);
    checked("MOODLE_SMTP_USER=me", ERR_SET_MISSING);
    checked("MOODLECTL_LAME_DUCK=30s", ERR_SET_CONFLICT);
    checked("MOODLECTL_LOCAL_DIR=/run/moodlectl", ERR_SET_CONFLICT);
    settings_t *s = LOAD("MOODLE_URL=http://x", "MOODLE_SSLPROXY=1");
    settings_check(s);
    assert_non_null(issue_find(s, ERR_SET_CONFLICT, "MOODLE_SSLPROXY"));
    settings_free(&s);
    s = LOAD("MOODLE_DATABASE_TYPE=mariadb", "MOODLE_DATABASE_USER=o'hara");
    settings_check(s); /* only PostgreSQL's conninfo has that trouble */
    assert_int_equal(settings_error_count(s), 0);
    assert_int_equal(settings_db_port(s), 3306);
    settings_free(&s);
}

static void test_derived(void **state)
{
    (void)state;
    char buf[256];
    settings_t *s = right("MOODLECTL_MEMBER=m-1");
    settings_member(s, buf, sizeof buf);
    assert_string_equal(buf, "m-1");
    assert_int_equal(settings_db_port(s), 5432);
    settings_free(&s);
    s = right("MOODLE_DATABASE_PORT_NUMBER=6000");
    settings_member(s, buf, sizeof buf);
    assert_true(*buf != '\0');
    assert_int_equal(settings_db_port(s), 6000);
    settings_program(s, SET_php, buf, sizeof buf);
    assert_true(*buf == '\0' || access(buf, X_OK) == 0);
    settings_program(s, SET_php_fpm, buf, sizeof buf);
    assert_true(*buf == '\0' || access(buf, X_OK) == 0);
    settings_free(&s);
    s = right("MOODLECTL_PHP_FPM=/opt/fpm");
    settings_program(s, SET_php_fpm, buf, sizeof buf);
    assert_string_equal(buf, "/opt/fpm");
    settings_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_defaults_are_valid),
        cmocka_unit_test(test_everything_missing_is_reported_at_once),
        cmocka_unit_test(test_empty_is_not_set),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_truth),
        cmocka_unit_test(test_rules_of_single_settings),
        cmocka_unit_test(test_secrets_are_not_shown),
        cmocka_unit_test(test_file_form),
        cmocka_unit_test(test_two_forms),
        cmocka_unit_test(test_arn_form),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_rules_over_several),
        cmocka_unit_test(test_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
