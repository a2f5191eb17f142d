/* set_value.h - one text against one row of settings.def. Pure; part of settings.c, split off for its tests and fuzzer.
 * Messages name the rule and, unless the row is a secret or `is_hidden` (it came from a file or from Secrets Manager), the value;
 * never the variable (the caller knows its form). */
#ifndef MOODLECTL_BASE_SET_VALUE_H
#define MOODLECTL_BASE_SET_VALUE_H

#include "base/buf.h"
#include "base/settings.h"

enum { SET_BOOL_AUTO = 2 };

/* Checks `text` and gives its number (BOOL 0, 1 or SET_BOOL_AUTO; INT; MILLIS in ms or SET_NEVER; SIZE in bytes; else 0) and its
 * canonical form, appended to *ret_text (ENUM as in the table, PATH without a slash at the end). */
int set_value_parse(set_id_t id, const char *text, bool is_hidden, buf_t *ret_text, int64_t *ret_num,
                    err_t *err);

#endif
