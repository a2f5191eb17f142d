/* output_json.h - moodle.json and lead.json (ARCHITECTURE.md has their schema). Pure. */
#ifndef MOODLECTL_BOOTSTRAP_OUTPUT_JSON_H
#define MOODLECTL_BOOTSTRAP_OUTPUT_JSON_H

#include "bootstrap/site.h"
#include <jansson.h>

json_t *output_moodle_json(const site_t *s); /* NULL: no memory */
json_t *output_lead_json(const site_t *s);
json_t *output_redis_json(const site_t *s);   /* its "redis" alone */
json_t *output_json_bytes(const char *bytes); /* a string, or {"b64":"..."} when it is not UTF-8 */
void output_json_mask(json_t *o);             /* secrets become "<secret>" */

#endif
