/* settings.h - every variable the program reads, from one table (settings.def). The only getenv() of the program.
 * Pure but for reading NAME_FILE files. PID 1 loads it too: nothing here touches the network. */
#ifndef MOODLECTL_BASE_SETTINGS_H
#define MOODLECTL_BASE_SETTINGS_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SF_REQUIRED = 1, SF_SECRET = 2, SF_ENV = 4 };
enum { SET_NEVER = -1 }; /* a MILLIS setting whose hint ends with "|never" */
typedef enum {
    ST_STRING,
    ST_PATH,
    ST_URL,
    ST_HOST,
    ST_INT,
    ST_BOOL,
    ST_MILLIS,
    ST_SIZE,
    ST_ENUM,
    ST_ADDR,
    ST_LIST
} set_type_t;
typedef enum { SO_DEFAULT, SO_ENV, SO_ALIAS, SO_FILE, SO_ARN } set_origin_t;

typedef enum {
#define SETTING(ident, name, type, def, flags, hint, help) SET_##ident,
#include "base/settings.def"
#undef SETTING
    SET_COUNT_
} set_id_t;

typedef struct { /* one row of settings.def */
    const char *name;
    set_type_t type;
    const char *def;
    unsigned flags;
    const char *hint;
    const char *help;
} set_row_t;
extern const set_row_t SETTINGS[SET_COUNT_];

typedef struct settings settings_t;

typedef enum { SI_ERROR, SI_WARNING, SI_NOTICE } set_severity_t;
typedef struct { /* one thing found while loading; all are found, not the first */
    set_severity_t severity;
    err_id_t id;
    char msg[400]; /* names variables, never a secret's value */
} set_issue_t;

/* Reads `envp` (as environ). Always gives a settings_t, however wrong the input is (free it with settings_free, which wipes
 * secrets); look at the issues. A value in error keeps its default. Reads NAME_FILE files: blocks as long as they do. */
settings_t *settings_load(char *const *envp);
void settings_free(settings_t **s);

size_t settings_issue_count(const settings_t *s);
const set_issue_t *settings_issue(const settings_t *s, size_t i);
size_t settings_error_count(const settings_t *s);

/* Values. String pointers live as long as `s`. A value may hold any byte but NUL. */
const char *settings_str(const settings_t *s,
                         set_id_t id); /* "" when not set; for a secret too: mind where it goes */
int64_t settings_int(const settings_t *s, set_id_t id); /* INT; MILLIS in ms; SIZE in bytes */
bool settings_bool(const settings_t *s, set_id_t id);   /* BOOL; "auto" was resolved at load */
bool settings_is_set(const settings_t *s, set_id_t id); /* by the operator, in any form */
set_origin_t settings_origin(const settings_t *s, set_id_t id);
const char *settings_origin_name(
    const settings_t *s, set_id_t id); /* "default", "MOODLE_URL", "DB_HOST (alias)", "…_FILE", "…_ARN" */
const char *settings_arn(const settings_t *s,
                         set_id_t id); /* the ARN of a NAME_ARN setting until resolved, else NULL */
const char *settings_source(const settings_t *s,
                            set_id_t id);       /* its file or ARN, also when resolved; "" else */
bool settings_uses_iam(const settings_t *s);    /* the database takes tokens; there is no password */
bool settings_has_sources(const settings_t *s); /* does any value come from a file or an ARN? */

/* Gives the value that an ARN stood for; checked like any other value. */
int settings_resolve(settings_t *s, set_id_t id, const char *value, err_t *err);

/* A value that another one brings along: a token, a part of a whole secret. It does not count as set by the operator. */
int settings_supply(settings_t *s, set_id_t id, const char *value, err_t *err);

/* After all ARNs are resolved: rules over several settings (Redis user needs a password, ...). Adds issues. */
void settings_check(settings_t *s);

const char *settings_nearest(const char *name); /* nearest setting name, or NULL when none is near */
const char *set_type_name(set_type_t type);     /* "duration", "size", ... for help and tables */

/* Derived values that more than one program needs. */
int settings_db_port(const settings_t *s);                         /* default by type */
void settings_member(const settings_t *s, char *buf, size_t size); /* MOODLECTL_MEMBER or the host name */
void settings_program(const settings_t *s, set_id_t id, char *buf,
                      size_t size); /* php, php_fpm found; "" if none */

#endif
