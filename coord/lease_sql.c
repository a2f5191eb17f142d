#include "coord/lease_sql.h"
#include "coord/db.h"

#define MINE " WHERE site = $1 AND purpose = $2 AND epoch = $8 AND holder = $9"
#define COORD_COLUMNS(TIME)                                                                                  \
    "site varchar(64) NOT NULL, purpose varchar(16) NOT NULL, epoch bigint NOT NULL DEFAULT 0,"              \
    " holder varchar(128) NOT NULL DEFAULT '', server_id varchar(128) NOT NULL DEFAULT '',"                  \
    " phase varchar(16) NOT NULL DEFAULT 'released', action varchar(16) NOT NULL DEFAULT '',"                \
    " target varchar(128) NOT NULL DEFAULT '', attempt int NOT NULL DEFAULT 0, started_at " TIME             \
    ", heartbeat_at " TIME ", finished_at " TIME ", not_before " TIME                                        \
    ", result varchar(16) NOT NULL DEFAULT '',"                                                              \
    " detail varchar(1000) NOT NULL DEFAULT '', PRIMARY KEY (site, purpose)"
#define RUN_COLUMNS(TIME)                                                                                    \
    "site varchar(64) NOT NULL, purpose varchar(16) NOT NULL, epoch bigint NOT NULL, action varchar(16) "    \
    "NOT NULL,"                                                                                              \
    " target varchar(128) NOT NULL, holder varchar(128) NOT NULL, attempt int NOT NULL, started_at " TIME    \
    ", finished_at " TIME                                                                                    \
    ", result varchar(16) NOT NULL, exit_code int, detail varchar(1000) NOT NULL DEFAULT '',"                \
    " PRIMARY KEY (site, purpose, epoch)"
#define START_RUN                                                                                            \
    "INSERT INTO {run} (site, purpose, epoch, action, target, holder, attempt, started_at, result, detail)"  \
    " SELECT site, purpose, epoch, action, target, holder, attempt, started_at, 'running', detail FROM "     \
    "{coord}" MINE
#define PRUNE                                                                                                \
    "DELETE FROM {run} WHERE site = $1 AND purpose = $2 AND purpose <> 'deploy' AND epoch < $8 - 200"

/* A lock of ours in pg_locks: two-int keys have objsubid 2, and pg_locks shows every database of the server. */
#define PG_LOCK(ALIAS, KEY2)                                                                                 \
    ALIAS "locktype = 'advisory' AND " ALIAS "granted AND " ALIAS "classid = $3 AND " ALIAS "objid = " KEY2  \
          " AND " ALIAS "objsubid = 2 AND " ALIAS                                                            \
          "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
#define PG_MS(EXPR) "coalesce((extract(epoch FROM " EXPR ") * 1000)::bigint, $B)"
#define MY_MS(EXPR) "COALESCE(TIMESTAMPDIFF(MICROSECOND, " EXPR ") DIV 1000, $B)"

#define HEALTH(NOW, MINUTE_AGO)                                                                              \
    .mark = "UPDATE {coord} SET holder = $9, heartbeat_at = " NOW " WHERE site = $1 AND purpose = $2",       \
    .mark_new = "UPDATE {coord} SET heartbeat_at = " NOW ", started_at = " NOW                               \
                " WHERE site = $1 AND purpose = $2 AND heartbeat_at IS NULL",                                \
    .mark_report = "UPDATE {coord} SET started_at = " NOW " WHERE site = $1 AND purpose = $2"                \
                   " AND (started_at IS NULL OR started_at < " MINUTE_AGO ")"

const lease_sql_t LEASE_SQL[2] = {
    [DB_PGSQL] =
        {
            .writer = "SELECT CASE WHEN pg_is_in_recovery() THEN 2"
                      " WHEN current_setting('transaction_read_only') = 'on' THEN 1 ELSE 0 END, "
                      "current_database(),"
                      " concat_ws('/', host(inet_server_addr()), inet_server_port()),"
                      " extract(epoch FROM pg_postmaster_start_time())::bigint",
            .try_lead = "SELECT pg_try_advisory_lock($3, $4)",
            .try_work = "SELECT pg_try_advisory_lock($3, $5)",
            .unlock_lead = "SELECT pg_advisory_unlock($3, $4)",
            .create_coord = "CREATE TABLE IF NOT EXISTS {coord} (" COORD_COLUMNS(
                "timestamptz") ") WITH (fillfactor = 50)",
            .create_run = "CREATE TABLE IF NOT EXISTS {run} (" RUN_COLUMNS("timestamptz") ")",
            .create_row =
                "INSERT INTO {coord} (site, purpose, epoch)"
                " SELECT CAST($1 AS varchar), CAST($2 AS varchar), coalesce(max(epoch), 0) FROM {run}"
                " WHERE site = CAST($1 AS varchar) AND purpose = CAST($2 AS varchar) ON CONFLICT DO NOTHING",
            .row =
                "SELECT epoch, holder, server_id, phase, action, target, attempt, result, left(detail, 250),"
                " " PG_MS("clock_timestamp() - heartbeat_at") ", " PG_MS(
                    "clock_timestamp() - started_at") ","
                                                      " greatest(0, coalesce((extract(epoch FROM not_before "
                                                      "- clock_timestamp()) * 1000)::bigint, 0))"
                                                      " FROM {coord} WHERE site = $1 AND purpose = $2",
            .bump = "UPDATE {coord} SET epoch = epoch + 1, holder = $9, server_id = $A, phase = 'grace',"
                    " heartbeat_at = clock_timestamp() WHERE site = $1 AND purpose = $2 AND epoch = $B",
            .beat =
                "UPDATE {coord} SET heartbeat_at = clock_timestamp(), detail = $B" MINE
                " AND EXISTS (SELECT 1 FROM pg_locks WHERE pid = pg_backend_pid() AND " PG_LOCK("", "$4") ")",
            .start = "UPDATE {coord} SET phase = 'running', result = 'running', action = $B, target = $C, "
                     "detail = $D,"
                     " attempt = CASE WHEN target = $C THEN attempt + 1 ELSE 1 END, started_at = "
                     "clock_timestamp(),"
                     " finished_at = NULL, not_before = NULL" MINE,
            .start_run = START_RUN,
            .end = "UPDATE {coord} SET phase = 'released', result = $B, detail = $C, finished_at = "
                   "clock_timestamp(),"
                   " heartbeat_at = clock_timestamp(),"
                   " not_before = CASE WHEN $D = '0' THEN NULL ELSE clock_timestamp() + ($D || ' "
                   "milliseconds')::interval END" MINE,
            .end_run = "UPDATE {run} SET result = $B, detail = $C, exit_code = $D, finished_at = "
                       "clock_timestamp()" MINE,
            .settle = "UPDATE {run} SET result = 'interrupted', finished_at = clock_timestamp()"
                      " WHERE site = $1 AND purpose = $2 AND epoch < $8 AND result = 'running'",
            .not_before =
                "UPDATE {coord} SET not_before = clock_timestamp() + ($B || ' milliseconds')::interval" MINE,
            .prune = PRUNE,
            .work_owner = "SELECT l.pid FROM pg_locks l WHERE " PG_LOCK("l.", "$5"),
            .lead_owner = "SELECT l.pid FROM pg_locks l WHERE " PG_LOCK("l.", "$4"),
            .epoch = "SELECT epoch, holder FROM {coord} WHERE site = $1 AND purpose = $2",
            .made =
                "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND granted"
                " AND mode = 'AccessExclusiveLock' AND pid IN (SELECT l.pid FROM pg_locks l WHERE " PG_LOCK(
                    "l.", "$5") ")",
            HEALTH("clock_timestamp()", "clock_timestamp() - interval '55 seconds'"),
        },
    [DB_MYSQL] =
        {
            /* innodb_read_only: an Aurora reader; read_only: somebody has set it */
            .writer = "SELECT CASE WHEN @@innodb_read_only THEN 2 WHEN CAST(@@global.read_only AS CHAR)"
                      " NOT IN ('0', 'OFF') THEN 1 ELSE 0 END, "
                      "DATABASE(),"
                      " CONCAT_WS('/', @@hostname, @@port), UNIX_TIMESTAMP()",
            .multi = "SHOW GLOBAL VARIABLES WHERE (Variable_name = 'wsrep_on' AND Value = 'ON')"
                     " OR (Variable_name = 'group_replication_single_primary_mode' AND Value = 'OFF')",
            .try_lead = "SELECT GET_LOCK($6, 0)",
            .try_work = "SELECT GET_LOCK($7, 0)",
            .unlock_lead = "SELECT RELEASE_LOCK($6)",
            .own_lead = "SELECT COALESCE(IS_USED_LOCK($6) = CONNECTION_ID(), 0)",
            .create_coord = "CREATE TABLE IF NOT EXISTS {coord} (" COORD_COLUMNS(
                "datetime(6) NULL") ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
            .create_run = "CREATE TABLE IF NOT EXISTS {run} (" RUN_COLUMNS(
                "datetime(6) NULL") ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
            .create_row =
                "INSERT IGNORE INTO {coord} (site, purpose, epoch)"
                " SELECT $1, $2, COALESCE(MAX(epoch), 0) FROM {run} WHERE site = $1 AND purpose = $2",
            .row =
                "SELECT epoch, holder, server_id, phase, action, target, attempt, result, LEFT(detail, 250),"
                " " MY_MS("heartbeat_at, UTC_TIMESTAMP(6)") ", " MY_MS(
                    "started_at, UTC_TIMESTAMP(6)") ","
                                                    " GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, "
                                                    "UTC_TIMESTAMP(6), not_before) DIV 1000, 0))"
                                                    " FROM {coord} WHERE site = $1 AND purpose = $2",
            .bump = "UPDATE {coord} SET epoch = epoch + 1, holder = $9, server_id = $A, phase = 'grace',"
                    " heartbeat_at = UTC_TIMESTAMP(6) WHERE site = $1 AND purpose = $2 AND epoch = $B",
            .beat = "UPDATE {coord} SET heartbeat_at = UTC_TIMESTAMP(6), detail = $B" MINE,
            /* MySQL assigns from left to right: `attempt` must see the old target */
            .start =
                "UPDATE {coord} SET attempt = IF(target = $C, attempt + 1, 1), phase = 'running', result = "
                "'running',"
                " action = $B, target = $C, detail = $D, started_at = UTC_TIMESTAMP(6), finished_at = NULL,"
                " not_before = NULL" MINE,
            .start_run = START_RUN,
            .end = "UPDATE {coord} SET phase = 'released', result = $B, detail = $C, finished_at = "
                   "UTC_TIMESTAMP(6),"
                   " heartbeat_at = UTC_TIMESTAMP(6),"
                   " not_before = IF($D = '0', NULL, UTC_TIMESTAMP(6) + INTERVAL $D * 1000 MICROSECOND)" MINE,
            .end_run = "UPDATE {run} SET result = $B, detail = $C, exit_code = $D, finished_at = "
                       "UTC_TIMESTAMP(6)" MINE,
            .settle = "UPDATE {run} SET result = 'interrupted', finished_at = UTC_TIMESTAMP(6)"
                      " WHERE site = $1 AND purpose = $2 AND epoch < $8 AND result = 'running'",
            .not_before =
                "UPDATE {coord} SET not_before = UTC_TIMESTAMP(6) + INTERVAL $B * 1000 MICROSECOND" MINE,
            .prune = PRUNE,
            .work_owner = "SELECT IS_USED_LOCK($7)",
            .lead_owner = "SELECT IS_USED_LOCK($6)",
            .epoch = "SELECT epoch, holder FROM {coord} WHERE site = $1 AND purpose = $2",
            HEALTH("UTC_TIMESTAMP(6)", "UTC_TIMESTAMP(6) - INTERVAL 55 SECOND"),
        },
};
