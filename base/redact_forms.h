/* redact_forms.h - the ways in which a value gets written into a log by programs that did not mean to show it. Pure. */
#ifndef MOODLECTL_BASE_REDACT_FORMS_H
#define MOODLECTL_BASE_REDACT_FORMS_H

#include "base/buf.h"
#include <stddef.h>

typedef void redact_form_fn(void *arg, const char *bytes, size_t len);
/* Calls fn with each form, the value itself first; the same bytes may come twice. */
void redact_forms_each(const char *bytes, size_t len, redact_form_fn *fn, void *arg);

#endif
