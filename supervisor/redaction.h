/* redaction.h - what PID 1 knows of the secrets, so that no line of a child shows one (base/redact.h), and the proof at start that
 * its own output path hides what it knows. Reads small files of the run directory; else does not block. */
#ifndef MOODLECTL_SUPERVISOR_REDACTION_H
#define MOODLECTL_SUPERVISOR_REDACTION_H

#include "base/err.h"
#include "base/settings.h"

enum { REDACTION_KEEP_MS = 3600 * 1000 }; /* a value that was replaced is looked for so much longer */

/* The secret settings, and every secret in the rendered moodle.json and lead.json. Call again whenever one may have changed. */
void redaction_learn(const settings_t *set, uint64_t now_ms);
/* A random secret goes through the log's whole path in every shape of line. E-CANARY when it comes out. Needs outq. */
int redaction_prove(err_t *err);

#endif
