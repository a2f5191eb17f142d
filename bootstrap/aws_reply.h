/* aws_reply.h - what an answer of AWS means and what to do about it. Pure. Codes are believed before HTTP statuses: AWS documents
 * different statuses for one code (https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html). */
#ifndef MOODLECTL_BOOTSTRAP_AWS_REPLY_H
#define MOODLECTL_BOOTSTRAP_AWS_REPLY_H

#include "base/err.h"
#include "bootstrap/aws_http.h"

typedef enum {
    AWS_GOOD,
    AWS_FINAL,  /* trying again does not help */
    AWS_AGAIN,  /* may pass at any moment */
    AWS_SLOWER, /* throttled */
    AWS_LATER,  /* may pass when a new role or secret has spread: worth a few tries */
    AWS_KEYS,   /* the credentials are refused: worth fresh ones, once */
    AWS_CLOCK,  /* the signature is refused: worth the server's time, once, then fresh credentials */
} aws_action_t;

/* Sets *err unless AWS_GOOD (status 2xx; the body is not looked at). */
aws_action_t aws_reply_judge(const aws_answer_t *a, err_t *err);

/* Full jitter: `random` over all its values is any time from 0 to min(20 s, base * 2^(attempt - 1)); base is 100 ms, for SLOWER and LATER 1 s.
 * retry_after_ms (-1: none) is obeyed, but never more than 5 s above that. `attempt` begins with 1. */
uint64_t aws_reply_delay_ms(aws_action_t action, unsigned attempt, int64_t retry_after_ms, uint32_t random);

/* Waits so long, unless that would pass the deadline (clock_ms) or we are told to stop: -1. Blocks. */
int aws_reply_wait(aws_action_t action, unsigned attempt, int64_t retry_after_ms, uint64_t deadline_ms);

/* Foreign words for a message: printable ASCII, cut to fit. */
void aws_reply_words(const char *foreign, char *ret, size_t size);

#endif
