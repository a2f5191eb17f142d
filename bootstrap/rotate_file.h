/* rotate_file.h - reads and replaces the run directory's JSON files, which PHP and the roles read at their next connect. Blocks on
 * local files only. Errors: E-OS, E-RENDER-WRITE, E-MEMORY. */
#ifndef MOODLECTL_BOOTSTRAP_ROTATE_FILE_H
#define MOODLECTL_BOOTSTRAP_ROTATE_FILE_H

#include "base/err.h"
#include <jansson.h>

json_t *rotate_file_read(const char *run_dir, const char *name, err_t *err);
/* In one step; owner and mode stay. */
int rotate_file_write(const char *run_dir, const char *name, const json_t *content, err_t *err);

/* The cache stores too must log in with what moodle.json holds. Moodle has frozen the password into its cache configuration, which
 * PHP-FPM keeps compiled (opcache.validate_timestamps is off): then moodle["muc"] becomes a file of a new name that takes the stores
 * from moodle.json and the rest from the old file. */
int rotate_file_follow_stores(const char *run_dir, json_t *moodle, err_t *err);

#endif
