/* lease_sql.h - the protocol's statements, one column a database family. Parameters:
 * $1 site $2 purpose $3 key1 $4 lead2 $5 work2 $6 lead name $7 work name $8 epoch $9 holder $A server id; $B.. see lease.c. */
#ifndef MOODLECTL_COORD_LEASE_SQL_H
#define MOODLECTL_COORD_LEASE_SQL_H

typedef struct lease_sql {
    const char
        *writer;       /* -> 0 writer, 1 read-only, 2 reader; database, server id, server's start (seconds) */
    const char *multi; /* rows mean: multi-primary. NULL: cannot be */
    const char *try_lead, *try_work; /* -> got */
    const char *unlock_lead;         /* -> done */
    const char *own_lead;            /* -> 1 when this session owns it. NULL: part of `beat` */
    const char *create_coord, *create_run;
    const char *create_row; /* never again an epoch that has worked: the row may have been deleted by hand */
    const char *row;        /* see lease_row_read */
    const char *bump;       /* $B seen epoch */
    const char *beat;       /* $B detail */
    const char *start;      /* $B action $C target $D detail */
    const char *start_run;
    const char *end;     /* $B result $C detail $D back-off in ms */
    const char *end_run; /* $B result $C detail $D exit code */
    const char *settle;
    const char *not_before; /* $B back-off in ms */
    const char *prune;
    const char *work_owner, *lead_owner; /* -> id or nothing */
    const char *epoch;                   /* -> epoch, holder */
    const char *made; /* -> what the work lock's owner makes in an open transaction. NULL: nobody can */
    /* coord/cron_health.h: heartbeat_at is the last success, started_at the last report */
    const char *mark, *mark_new, *mark_report;
} lease_sql_t;

extern const lease_sql_t LEASE_SQL[2]; /* by db_family_t */

#endif
