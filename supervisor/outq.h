/* outq.h - the only writer of stdout. Never blocks PID 1: what the reader does not take waits in bounded rings, one for access
 * lines, one for errors and warnings, one for the others. When a ring is full its oldest lines are dropped and counted for their
 * source; the loss is written when it clears.
 * The inherited stdout is never made non-blocking (its file description belongs to everybody who shares it, open(2)). */
#ifndef MOODLECTL_SUPERVISOR_OUTQ_H
#define MOODLECTL_SUPERVISOR_OUTQ_H

#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef enum { OUT_ACCESS, OUT_OTHER, OUT_ERRORS, OUT_CLASSES_ } out_class_t; /* ERRORS: warnings, too */

int outq_open(uv_loop_t *loop, int fd); /* 0 or -1 (errno): fd is not writable in any way */
/* A whole line with its newline; `src` says whose loss it is when it is dropped. Small writes are gathered until outq_flush. */
void outq_line(out_class_t cls, const char *src, const char *bytes, size_t len);
void outq_flush(void); /* writes what the reader takes now; the rest when it takes more */
/* Between the two nothing is written, unless there is no room to wait: for lines that may come after deeds that may not wait. */
void outq_hold(void);
void outq_release(void);
/* Much waits, yet the reader makes progress: whoever produces lines should pause until on_relief. A reader that takes nothing
 * worth the name for 300 ms does not hold anybody back: then lines are dropped instead. */
typedef void outq_relief_fn(void);
bool outq_is_crowded(void);
/* When much was written and then nothing for a while: whoever keeps memory for lines can give it back. */
typedef void outq_idle_fn(void);
void outq_set_idle(outq_idle_fn *fn);
void outq_set_relief(outq_relief_fn *fn);
bool outq_is_stalled(void);
uint64_t outq_dropped(void); /* lines lost in all */
/* Last act before exit: tries for at most `ms` to write what waits, less when the reader takes nothing. Blocks up to that long. */
void outq_close(uint64_t ms);

/* Until the next call: lines go to `to` and not to the reader. NULL: to the reader again. */
void outq_divert(buf_t *to);

#endif
