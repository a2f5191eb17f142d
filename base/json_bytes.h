/* json_bytes.h - any bytes in JSON: a string, or {"b64":"..."} for those that are no UTF-8. Pure. */
#ifndef MOODLECTL_BASE_JSON_BYTES_H
#define MOODLECTL_BASE_JSON_BYTES_H

#include "base/buf.h"
#include <jansson.h>

void json_bytes_read(const json_t *value, buf_t *ret); /* appends; nothing for a missing or null value */

#endif
