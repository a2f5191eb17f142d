/* schema.h - what Moodle's tables say about the site, by SQL alone. Blocks up to the limit given, each statement.
 * Moodle writes `rolesactive` = 1 as one of its last steps of an install (lib/installlib.php): a version row alone does not
 * mean that a site is installed. */
#ifndef MOODLECTL_COORD_SCHEMA_H
#define MOODLECTL_COORD_SCHEMA_H

#include "coord/db.h"

typedef enum { SCHEMA_EMPTY, SCHEMA_PARTIAL, SCHEMA_INSTALLED } schema_kind_t;

typedef struct schema {
    schema_kind_t kind;
    int tables;
    bool has_version;
    int64_t version; /* times 100 */
    char version_text[32], release[96], hash[48];
    bool upgrade_flag; /* upgraderunning lies in the future, by the database's clock */
    bool live_flag;    /* outagelessupgrade is set */
    bool small;        /* at most 2 users and 1 course: nobody has worked here */
} schema_t;

int schema_read(db_t *db, uint64_t limit_ms, schema_t *ret, err_t *err);

#endif
