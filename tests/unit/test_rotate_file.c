/* links: bootstrap base */
#include "bootstrap/rotate_file.h"
#include "bootstrap/rotate_groups.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    char muc[80];
    snprintf(dir, sizeof dir, "/tmp/moodlectl-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(muc, sizeof muc, "%s/muc", dir);
    return mkdir(muc, 0770);
}

static const char *in_dir(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(in_dir(name), mode), 0);
}

static int remove_dir(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "%s", dir);
    char rm[] = "rm", rf[] = "-rf", *argv[] = {rm, rf, command, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    int status = -1;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void owner_and_mode_stay(void **state)
{
    (void)state;
    err_t err = {0};
    struct stat st;
    put("moodle.json", "{\"a\":1}", 0440);
    json_t *o = rotate_file_read(dir, "moodle.json", &err);
    json_object_set_new(o, "a", json_integer(2));
    assert_int_equal(rotate_file_write(dir, "moodle.json", o, &err), 0);
    json_decref(o);
    o = rotate_file_read(dir, "moodle.json", &err);
    assert_int_equal(json_integer_value(json_object_get(o, "a")), 2);
    json_decref(o);
    assert_int_equal(stat(in_dir("moodle.json"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0440);
}

static void what_is_no_json_is_not_quoted(void **state)
{
    (void)state;
    err_t err = {0};
    put("moodle.json", "{\"password\":hush}", 0400);
    assert_null(rotate_file_read(dir, "moodle.json", &err));
    assert_null(strstr(err.msg, "hush"));
}

static void only_its_own_values_change(void **state)
{
    (void)state;
    char user[] = "MOODLE_DATABASE_USER=new", password[] = "MOODLE_DATABASE_PASSWORD=\xff'x";
    char *env[] = {user, password, NULL};
    settings_t *set = settings_load(env);
    json_t *file =
        json_pack("{s:{s:s,s:s,s:s},s:n}", "db", "user", "old", "password", "o", "host", "h", "redis");
    json_t *next = rotate_groups_patch(file, RG_DATABASE, set);
    json_t *db = json_object_get(next, "db");
    assert_string_equal(json_string_value(json_object_get(db, "user")), "new");
    assert_string_equal(json_string_value(json_object_get(db, "host")), "h");
    assert_string_equal(json_string_value(json_object_get(json_object_get(db, "password"), "b64")), "/yd4");
    assert_string_equal(json_string_value(json_object_get(json_object_get(file, "db"), "user")), "old");
    json_t *redis = rotate_groups_patch(file, RG_REDIS, set); /* the site has none */
    assert_true(json_equal(redis, file));
    json_decref(redis);
    json_decref(next);
    json_decref(file);
    settings_free(&set);
}

static json_t *moodle_with_muc(const char *name) { return json_pack("{s:s}", "muc", in_dir(name)); }

static const char *muc_of(const json_t *moodle) { return json_string_value(json_object_get(moodle, "muc")); }

static void stores_that_moodle_froze_are_followed_in_a_new_file(void **state)
{
    (void)state;
    err_t err = {0};
    struct stat st;
    put("muc/cacheconfig.php", "<?php $configuration = ['stores' => ['old password']];", 0660);
    json_t *moodle = moodle_with_muc("muc/cacheconfig.php");
    assert_int_equal(rotate_file_follow_stores(dir, moodle, &err), 0);
    assert_string_not_equal(muc_of(moodle), in_dir("muc/cacheconfig.php"));
    assert_int_equal(stat(muc_of(moodle), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    char *before = strdup(muc_of(moodle));
    assert_int_equal(rotate_file_follow_stores(dir, moodle, &err), 0); /* that one follows by itself */
    assert_string_equal(muc_of(moodle), before);
    free(before);
    json_decref(moodle);
}

/* The web user owns the folder and may put anything there. */
static void a_link_in_the_place_of_the_cache_configuration_is_not_followed(void **state)
{
    (void)state;
    err_t err = {0};
    assert_int_equal(symlink("/etc/passwd", in_dir("muc/link.php")), 0);
    json_t *moodle = moodle_with_muc("muc/link.php");
    assert_int_equal(rotate_file_follow_stores(dir, moodle, &err), -1);
    json_decref(moodle);
    moodle = moodle_with_muc("muc/../other.php");
    assert_int_equal(rotate_file_follow_stores(dir, moodle, &err), 0);
    assert_string_equal(muc_of(moodle), in_dir("muc/../other.php"));
    json_decref(moodle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_and_mode_stay),
        cmocka_unit_test(what_is_no_json_is_not_quoted),
        cmocka_unit_test(only_its_own_values_change),
        cmocka_unit_test(stores_that_moodle_froze_are_followed_in_a_new_file),
        cmocka_unit_test(a_link_in_the_place_of_the_cache_configuration_is_not_followed),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
