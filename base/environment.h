/* environment.h - an environment that is not in /proc/PID/environ: handed on in a memory file, and wiped where the kernel shows it. */
#ifndef MOODLECTL_BASE_ENVIRONMENT_H
#define MOODLECTL_BASE_ENVIRONMENT_H

#include "base/err.h"
#include <stdbool.h>

/* A sealed memory file with all of it, close-on-exec; the caller owns it. -1: E-OS. */
int environment_pack(char *const *envp, err_t *err);
/* What such a descriptor holds, for good (never freed); it may be read again. NULL: E-OS. */
char **environment_unpack(int fd, err_t *err);
/* Makes it this process's own (libraries read it too: libcurl its proxies) and closes the descriptor. */
int environment_take(int fd, err_t *err);
/* The same for a role whose only words are "--environment" and the descriptor's number; without them nothing is done. */
int environment_take_option(int argc, char **argv, err_t *err);
/* Zeroes the strings in place: proc(5) shows the memory that they had at exec. Their readers must have copied what they need. */
void environment_wipe(char **envp);

/* Pure. The value of `name`; NULL when it is not there or empty, which means the same everywhere in this program but for the table
 * prefix. */
const char *environment_find(char *const *envp, const char *name);
bool environment_is_empty(char *const *envp, const char *name); /* there, with no value */
bool environment_mentions(char *const *envp,
                          const char *name); /* a name that begins so, for a look before a search */

#endif
