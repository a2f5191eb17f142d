/* redact.h - keeps known secret values out of text that leaves the process: log lines, error messages, answers. One list a
 * process: settings, targets and PID 1's reading of the rendered files fill it. A value is looked for as it is and as JSON, URL,
 * base64 and hexadecimal writing make it. One pass over the text, whatever the number of values. Does not block. */
#ifndef MOODLECTL_BASE_REDACT_H
#define MOODLECTL_BASE_REDACT_H

#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDACT_LEAST = 6 }; /* shorter values would be found everywhere, and are not looked for */
#define REDACT_MARK "<secret>"

/* Copies. Known already: only seen again, at `now_ms` of any clock. False: too short, or out of memory. */
bool redact_add(const char *bytes, size_t len, uint64_t now_ms);
void redact_forget(uint64_t before_ms); /* the values last seen before that time; UINT64_MAX: all */

bool redact_find(const char *bytes, size_t len);
/* True: *ret has the text with a mark in place of each value. False: nothing was found and *ret is as it was. */
bool redact_copy(const char *bytes, size_t len, buf_t *ret);
/* The same in place; cut when the marks make it longer than size. The beginning of a value at the end of a full buffer goes too. */
void redact_text(char *text, size_t size);
/* Length of the longest start of a text that comes in pieces such that no value can lie across the cut. */
size_t redact_cut(const char *bytes, size_t len);

#endif
