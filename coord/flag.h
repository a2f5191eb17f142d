/* flag.h - Moodle's maintenance mark for everybody: DATA_DIR/climaintenance.html (lib/setup.php reads it before it connects to
 * the database, and sends it with status 503). The first line says whose mark it is. Blocks on the shared file system. */
#ifndef MOODLECTL_COORD_FLAG_H
#define MOODLECTL_COORD_FLAG_H

#include "base/err.h"
#include <stddef.h>
#include <sys/types.h>

typedef enum {
    FLAG_NONE,
    FLAG_UPGRADE,  /* ours, for the time of an upgrade */
    FLAG_OPERATOR, /* set by `moodlectl maintenance on` */
    FLAG_FOREIGN,  /* by Moodle's own script or by hand */
} flag_kind_t;

typedef struct flag {
    flag_kind_t kind;
    char who[100], when[40], message[300]; /* of ours; else "" */
} flag_t;

int flag_read(const char *data_dir, flag_t *ret, err_t *err);
/* Writes atomically, whatever was there. `message` is shown to visitors, may be "". */
int flag_write(const char *data_dir, flag_kind_t kind, const char *who, const char *message, uid_t uid,
               gid_t gid, err_t *err);
int flag_remove(const char *data_dir, err_t *err); /* it need not exist */

#endif
