#include "bootstrap/problems.h"
#include <stdarg.h>
#include <stdio.h>

static err_t *next_item(problems_t *p)
{
    if (p->count < PROBLEMS_MAX) p->count++;
    return &p->item[p->count - 1];
}

void problems_add(problems_t *p, err_id_t id, const char *fmt, ...)
{
    char text[sizeof p->item[0].msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(next_item(p), id, "%s", text);
}

void problems_take(problems_t *p, err_t *err)
{
    if (err->id == ERR_NONE) return;
    *next_item(p) = *err;
    err_clear(err);
}
