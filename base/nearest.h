/* nearest.h - "did you mean": the word of a list that is nearest to what was typed. Pure. */
#ifndef MOODLECTL_BASE_NEAREST_H
#define MOODLECTL_BASE_NEAREST_H

#include <stddef.h>

enum { NEAREST_MAX = 96 }; /* longer words are near nothing */

/* Insertions, deletions, substitutions and swaps of neighbours that lead from a to b, upper and lower case being one. */
size_t nearest_distance(const char *a, const char *b);
/* Is `distance` small enough, for a word of this length, to propose the other word? */
int nearest_is_near(const char *typed, size_t distance);

#endif
