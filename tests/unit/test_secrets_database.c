/* links: bootstrap base */
#include "bootstrap/secrets_database.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

static err_id_t spread(const char *json, char *more, settings_t **ret)
{
    char secret[600];
    err_t err = {0};
    snprintf(secret, sizeof secret, "MOODLE_DATABASE_SECRET=%s", json);
    *ret = settings_load((char *[]){secret, more, NULL});
    int rc = secrets_spread_database(*ret, &err);
    assert_null(strstr(err.msg, "hush"));
    assert_int_equal(rc, err.id ? -1 : 0);
    return err.id;
}

static char nothing[] = "X=";

static void a_whole_secret(void **state)
{
    (void)state;
    settings_t *set;
    assert_int_equal(spread("{\"engine\":\"postgres\",\"host\":\"h.example\",\"port\":5433,\"dbname\":"
                            "\"site\",\"username\":\"u\","
                            "\"password\":\"hush'\\\"\",\"masterarn\":\"arn:x\",\"ssl\":true}",
                            nothing, &set),
                     ERR_NONE);
    assert_string_equal(settings_str(set, SET_db_type), "pgsql");
    assert_string_equal(settings_str(set, SET_db_host), "h.example");
    assert_int_equal(settings_db_port(set), 5433);
    assert_string_equal(settings_str(set, SET_db_name), "site");
    assert_string_equal(settings_str(set, SET_db_user), "u");
    assert_string_equal(settings_str(set, SET_db_password), "hush'\"");
    for (size_t i = 0; i < settings_issue_count(set); i++)
        assert_null(strstr(settings_issue(set, i)->msg, "MOODLE_DATABASE_"));
    settings_free(&set);
}

static void a_port_as_text_and_the_engines(void **state)
{
    (void)state;
    static const char *const want[][2] = {{"mysql", "mysqli"},
                                          {"mariadb", "mariadb"},
                                          {"aurora-mysql", "auroramysql"},
                                          {"aurora-postgresql", "pgsql"}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char json[200];
        settings_t *set;
        snprintf(json, sizeof json,
                 "{\"engine\":\"%s\",\"host\":\"h\",\"port\":\"3307\",\"username\":\"u\",\"password\":\"p\"}",
                 want[i][0]);
        assert_int_equal(spread(json, nothing, &set), ERR_NONE);
        assert_string_equal(settings_str(set, SET_db_type), want[i][1]);
        assert_int_equal(settings_db_port(set), 3307);
        assert_string_equal(settings_str(set, SET_db_name), "moodle");
        settings_free(&set);
    }
}

static void own_settings_win(void **state)
{
    (void)state;
    char own[] = "MOODLE_DATABASE_HOST=own.example";
    settings_t *set;
    assert_int_equal(
        spread("{\"engine\":\"mariadb\",\"host\":\"h\",\"username\":\"u\",\"password\":\"p\"}", own, &set),
        ERR_NONE);
    assert_string_equal(settings_str(set, SET_db_host), "own.example");
    settings_free(&set);
}

/* RDS's own secret (ManageMasterUserPassword) */
static void two_keys_only(void **state)
{
    (void)state;
    settings_t *set;
    assert_int_equal(spread("{\"username\":\"u\",\"password\":\"hush\"}", nothing, &set), ERR_SET_MISSING);
    settings_free(&set);
}

static void what_is_no_secret(void **state)
{
    (void)state;
    settings_t *set;
    assert_int_equal(spread("hush", nothing, &set), ERR_SEC_FORMAT);
    settings_free(&set);
    assert_int_equal(spread("{\"engine\":\"oracle\",\"host\":\"h\",\"username\":\"u\",\"password\":\"hush\"}",
                            nothing, &set),
                     ERR_DB_TYPE);
    settings_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_secret),    cmocka_unit_test(a_port_as_text_and_the_engines),
        cmocka_unit_test(own_settings_win),  cmocka_unit_test(two_keys_only),
        cmocka_unit_test(what_is_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
