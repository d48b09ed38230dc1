/*
 * ratelimit.h - the pulse of the log: how often a failure that goes on is
 * told.
 *
 * The first line of each kind of failure at once; after that one line a
 * pulse, over all kinds together, each in its turn, for as long as anything
 * fails.  So whoever counts lines hears a steady beat, and whoever reads the
 * log page by page finds every kind on the page.
 *
 * The state is one struct without pointers, so that processes can share it:
 * every word of it is written by ratelimit_pass() and ratelimit_forget()
 * alone, atomically, and nobody waits.  No httpd in here.
 */
#ifndef PATIENT_RATELIMIT_H
#define PATIENT_RATELIMIT_H

#include <apr.h>
#include <apr_time.h>

/** The span between two beats that the log is made for. */
#define RATELIMIT_PULSE apr_time_from_sec(25)

/** Beats of a window; with RATELIMIT_PULSE, that is 30 minutes. */
#define RATELIMIT_BEATS 72

/** Lines that are told within any window, at most. First lines that would be
 * more wait for their kind's turn. */
#define RATELIMIT_LINES 100

/** Kinds of failure that are told apart at a time. */
#define RATELIMIT_KINDS 128

typedef struct ratelimit_kind_t {
    apr_uint64_t key;           /* 0: the place is free */
    apr_uint64_t type;          /* hash of the type alone */
    apr_uint64_t seen;          /* when it last happened */
    apr_uint64_t turn;          /* when it was last told, or else first seen */
    apr_uint32_t told;          /* 0: its next line is a first one */
    apr_uint64_t suppressed;    /* since it was last told */
} ratelimit_kind_t;

/** All zero to begin with. */
typedef struct ratelimit_t {
    ratelimit_kind_t kinds[RATELIMIT_KINDS];
    apr_uint64_t due;           /* when the next beat is */
    apr_uint64_t lines[RATELIMIT_LINES];    /* when the last were told: a */
    apr_uint32_t next;                      /* ring, and its oldest */
} ratelimit_t;

/**
 * Whether a failure may be told now.
 * @param type and code (which may be NULL) make two failures the same kind
 * @param now steady time, over 0
 * @param pulse span between two beats, over 0
 * @param suppressed set to how many of its kind were held back since the
 *        last one told
 */
int ratelimit_pass(ratelimit_t *limit, const char *type, const char *code,
                   apr_time_t now, apr_interval_time_t pulse,
                   apr_uint64_t *suppressed);

/** From now on the next line of every kind of this type is a first one again;
 * those, too, are within RATELIMIT_LINES. */
void ratelimit_forget(ratelimit_t *limit, const char *type);

#endif
