/* json_check.h - is it JSON? Answers without building anything, for lines that only pass through. Pure, allocates nothing. */
#ifndef MOODLECTL_BASE_JSON_CHECK_H
#define MOODLECTL_BASE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* One object (RFC 8259) with nothing around it. Stricter than needed: valid UTF-8, paired surrogates, no \u0000, at most 64 levels, and
 * numbers that any reader can hold, so that whoever reads it next takes it, too. */
bool json_check_object(const char *bytes, size_t len);

#endif
