#include "coord/schema.h"
#include "coord/moodle_version.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Our own tables are left out: with a prefix such as "s" another site's sup_coord begins with it. */
static const char *const TABLES[] = {
    [DB_PGSQL] = "SELECT count(*), count(*) FILTER (WHERE c.relname = '{mdl}config'),"
                 " count(*) FILTER (WHERE c.relname IN ('{mdl}user', '{mdl}course'))"
                 " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                 " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')"
                 " AND left(c.relname, length('{mdl}')) = '{mdl}'"
                 " AND c.relname NOT IN ('sup_coord', 'sup_run', 'x_sup_coord', 'x_sup_run')",
    [DB_MYSQL] = "SELECT COUNT(*), COALESCE(SUM(table_name = '{mdl}config'), 0),"
                 " COALESCE(SUM(table_name IN ('{mdl}user', '{mdl}course')), 0)"
                 " FROM information_schema.tables"
                 " WHERE table_schema = DATABASE() AND LEFT(table_name, CHAR_LENGTH('{mdl}')) = '{mdl}'"
                 " AND table_name NOT IN ('sup_coord', 'sup_run', 'x_sup_coord', 'x_sup_run')",
};
static const char *const CONFIG[] = {
    [DB_PGSQL] =
        "SELECT name, value, floor(extract(epoch FROM clock_timestamp()))::bigint FROM {mdl}config WHERE "
        "name IN"
        " ('version', 'release', 'rolesactive', 'allversionshash', 'upgraderunning', 'outagelessupgrade')",
    [DB_MYSQL] =
        "SELECT name, value, UNIX_TIMESTAMP() FROM {mdl}config WHERE name IN"
        " ('version', 'release', 'rolesactive', 'allversionshash', 'upgraderunning', 'outagelessupgrade')",
};
static const char *const COLUMNS[] = {
    [DB_PGSQL] = "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema()"
                 " AND table_name = '{mdl}config' AND column_name IN ('name', 'value')",
    [DB_MYSQL] = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()"
                 " AND table_name = '{mdl}config' AND column_name IN ('name', 'value')",
};
static const char PEOPLE[] = "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM {mdl}user LIMIT 3) a),"
                             " (SELECT COUNT(*) FROM (SELECT 1 FROM {mdl}course LIMIT 2) b)";

static void config_row(schema_t *s, bool *roles, const char *name, const char *value, int64_t now)
{
    if (strcmp(name, "version") == 0) {
        s->has_version = moodle_version_parse(value, &s->version);
        snprintf(s->version_text, sizeof s->version_text, "%s", value);
    } else if (strcmp(name, "release") == 0) {
        snprintf(s->release, sizeof s->release, "%s", value);
    } else if (strcmp(name, "allversionshash") == 0) {
        snprintf(s->hash, sizeof s->hash, "%s", value);
    } else if (strcmp(name, "rolesactive") == 0) {
        *roles = strcmp(value, "1") == 0;
    } else if (strcmp(name, "upgraderunning") == 0) {
        s->upgrade_flag = strtoll(value, NULL, 10) > now;
    } else if (strcmp(name, "outagelessupgrade") == 0) {
        s->live_flag = *value && strcmp(value, "0") != 0;
    }
}

static int config_read(db_t *db, uint64_t limit_ms, schema_t *s, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    bool roles = false;
    if (db_query(db, limit_ms, CONFIG[db_family(db)], DB_NONE, &r, err) < 0) return -1;
    for (int i = 0; i < r.rows; i++)
        config_row(s, &roles, db_cell(&r, i, 0), db_cell(&r, i, 1), db_cell_int(&r, i, 2, 0));
    s->kind = s->has_version && roles ? SCHEMA_INSTALLED : SCHEMA_PARTIAL;
    return 0;
}

/* A table of that name which is not Moodle's: nothing that waiting mends, and nothing that may be dropped. */
static bool config_is_foreign(db_t *db, uint64_t limit_ms)
{
    cleanup_rows db_rows_t r = {0};
    return db_query(db, limit_ms, COLUMNS[db_family(db)], DB_NONE, &r, NULL) == 0 &&
           db_cell_int(&r, 0, 0, 2) < 2;
}

int schema_read(db_t *db, uint64_t limit_ms, schema_t *ret, err_t *err)
{
    *ret = (schema_t){.kind = SCHEMA_EMPTY, .small = true};
    cleanup_rows db_rows_t r = {0}, people = {0};
    if (db_query(db, limit_ms, TABLES[db_family(db)], DB_NONE, &r, err) < 0)
        return err_wrap(err, "reading the tables");
    ret->tables = (int)db_cell_int(&r, 0, 0, 0);
    if (ret->tables == 0) return 0;
    ret->kind = SCHEMA_PARTIAL;
    if (db_cell_int(&r, 0, 1, 0) && config_read(db, limit_ms, ret, err) < 0) {
        if (!err || err->id != ERR_DB_QUERY || !config_is_foreign(db, limit_ms))
            return err_wrap(err, "reading Moodle's config table");
        err_clear(err);
        ret->small = false;
        return 0;
    }
    if (db_cell_int(&r, 0, 2, 0) < 2) return 0;
    if (db_query(db, limit_ms, PEOPLE, DB_NONE, &people, err) < 0) return err_wrap(err, "counting users");
    ret->small = db_cell_int(&people, 0, 0, 9) <= 2 && db_cell_int(&people, 0, 1, 9) <= 1;
    return 0;
}
