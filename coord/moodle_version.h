/* moodle_version.h - Moodle's version numbers ("2024100706", "2024100704.07") as fixed point, times 100. Pure. */
#ifndef MOODLECTL_COORD_MOODLE_VERSION_H
#define MOODLECTL_COORD_MOODLE_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False for anything that is not digits with at most two more after one point. */
bool moodle_version_parse(const char *text, int64_t *ret);
void moodle_version_format(int64_t version, char *buf, size_t size);

#endif
