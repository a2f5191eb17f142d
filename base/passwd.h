/* passwd.h - /etc/passwd and /etc/group read directly: no NSS, so PID 1 may use it. Blocks as little as a local file does. */
#ifndef MOODLECTL_BASE_PASSWD_H
#define MOODLECTL_BASE_PASSWD_H

#include "base/err.h"
#include <sys/types.h>

/* By name, or a number for uid (then gid = its entry's, or the same number). Not root: gives the own ids, whatever `name` is. */
int passwd_find(const char *name, uid_t *ret_uid, gid_t *ret_gid, err_t *err);

#endif
