/* lease_key.h - names and numbers of our locks, computed from the server's own name of the database and the table prefix.
 * Pure.
 *
 * They cannot meet Moodle's: on PostgreSQL Moodle's lock factory uses (int4 crc32, 28 bits) and its session handler one
 * bigint (lib/classes/lock/postgres_lock_factory.php), ours has bit 30 of the second int set; on MySQL Moodle's names are 40 hex
 * digits or DATABASE-PREFIX-session-N (lib/classes/lock/mysql_lock_factory.php), ours begin with "msup.". */
#ifndef MOODLECTL_COORD_LEASE_KEY_H
#define MOODLECTL_COORD_LEASE_KEY_H

#include "coord/db.h"
#include <stdint.h>

/* What is agreed on: rows of {coord}, and but for CRON_OK a pair of locks each. The numbers are part of the keys. */
typedef enum {
    PURPOSE_DEPLOY,  /* install and upgrade */
    PURPOSE_CRON,    /* the one cron */
    PURPOSE_CRON_OK, /* no lock: when cron last did its work (coord/cron_health.h) */
    PURPOSE_ADHOC,   /* the first of ADHOC_RUNNERS_MAX places for runners of ad-hoc tasks */
    PURPOSE_COUNT_ = PURPOSE_ADHOC + 8,
} purpose_t;
enum { ADHOC_RUNNERS_MAX = PURPOSE_COUNT_ - PURPOSE_ADHOC };
const char *purpose_name(purpose_t p);

typedef struct lease_keys {
    int32_t key1;            /* PostgreSQL, both locks: never negative (pg_locks shows unsigned) */
    int32_t lead2, work2;    /* PostgreSQL, second key */
    char lead[64], work[64]; /* MySQL family: at most 57 characters, lower case */
} lease_keys_t;

void lease_keys_make(const char *database, const char *prefix, purpose_t purpose, lease_keys_t *ret);

/* Tables must not begin with Moodle's prefix, or its installer refuses (install_database.php: $DB->get_tables()). */
void lease_names_make(const char *prefix, db_names_t *ret);

#endif
