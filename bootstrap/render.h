/* render.h - templates. Pure. The first line is "{{language php|nginx|ini|html}}" and is dropped; in the rest
 *
 *   {{name}}        the value as a literal of that language (RV_NUMBER: its digits)
 *   {{name:/x}}     the same of the value with /x behind it
 *   {{?name}}line   the line only if the value is set: a true flag, a number not 0, a text not empty
 *   {{!name}}line   the line only if it is not
 *   {{@name}}line   the line once for each item of a comma separated list, in which {{name}} is the item
 *
 * Conditions stand at the start of a line and may be combined. An unknown name is E-TEMPLATE with file and line. */
#ifndef MOODLECTL_BOOTSTRAP_RENDER_H
#define MOODLECTL_BOOTSTRAP_RENDER_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

typedef enum { RV_TEXT, RV_NUMBER, RV_FLAG, RV_LIST } render_type_t;
typedef struct render_value {
    const char *name; /* NULL ends a table */
    render_type_t type;
    const char *text;
    int64_t number;
} render_value_t;

/* `file` is for messages. Appends to *ret. */
int render_template(const char *file, const char *text, size_t len, const render_value_t *values, buf_t *ret,
                    err_t *err);

#endif
