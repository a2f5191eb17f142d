#include "coord/db.h"
#include "coord/redis_probe.h"
#include "coord/roles.h"

int coord_login_database(const json_t *moodle, uint64_t limit_ms, err_t *err)
{
    target_t t;
    int rc = target_parse(moodle, &t, err);
    if (rc == 0) {
        db_t *db = db_open(&t.db, "moodlectl secrets", limit_ms, err);
        rc = db ? 0 : -1;
        db_close(&db);
    }
    target_free(&t);
    return rc;
}

int coord_login_redis(const json_t *moodle, uint64_t limit_ms, err_t *err)
{
    target_t t;
    int rc = target_parse(moodle, &t, err);
    if (rc == 0 && t.redis.present) rc = redis_probe(&t.redis, limit_ms, err);
    target_free(&t);
    return rc;
}
