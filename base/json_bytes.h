/* json_bytes.h - any bytes in JSON: a string, or {"b64":"..."} for those that are no UTF-8. Pure. */
#ifndef MOODLECTL_BASE_JSON_BYTES_H
#define MOODLECTL_BASE_JSON_BYTES_H

#include "base/buf.h"
#include <jansson.h>

/* A string, or the other form when it is none; the caller owns it. NULL: out of memory. */
json_t *json_bytes_new(const char *bytes, size_t len);
void json_bytes_base64(buf_t *out, const char *bytes, size_t len); /* RFC 4648, with padding */
void json_bytes_read(const json_t *value, buf_t *ret); /* appends; nothing for a missing or null value */

#endif
