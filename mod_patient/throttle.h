/*
 * throttle.h - how often a failure that goes on and on is told.
 *
 * The first time at once, then more and more rarely, and all failures
 * together so rarely that whoever reads the log page by page finds every one
 * of them on the first page.  The state is one struct without pointers, so
 * that processes can share it; every word of it is atomic, and nobody waits.
 * No httpd in here.
 */
#ifndef PATIENT_THROTTLE_H
#define PATIENT_THROTTLE_H

#include <apr.h>
#include <apr_time.h>

/** Kinds of failure that are told apart at a time. */
#define THROTTLE_KINDS 64

/** Lines about failures that go on, of all kinds together, that may be
 * written within THROTTLE_WINDOW; first lines come on top. */
#define THROTTLE_REPEATS 60
#define THROTTLE_WINDOW apr_time_from_sec(30 * 60)

typedef struct throttle_kind_t {
    apr_uint64_t key;           /* 0: the place is free */
    apr_uint64_t seen;          /* when it last happened; 0: forgotten */
    apr_uint64_t told;          /* when it was last told */
    apr_uint32_t step;          /* how long until it is again */
    apr_uint64_t suppressed;    /* since then */
} throttle_kind_t;

/** All zero to begin with. */
typedef struct throttle_t {
    throttle_kind_t kinds[THROTTLE_KINDS];
    apr_uint64_t repeats[THROTTLE_REPEATS];     /* when each was written */
    apr_uint32_t oldest;                        /* of them, to be replaced */
} throttle_t;

/**
 * Whether a failure may be told now.  Always if it is a first one: of a kind
 * that has not been told for THROTTLE_WINDOW, or since throttle_forget().
 * @param type and code (which may be NULL) make two failures the same kind
 * @param now time of day
 * @param suppressed set to how many were held back since the last one told
 */
int throttle_pass(throttle_t *throttle, const char *type, const char *code,
                  apr_time_t now, apr_uint64_t *suppressed);

/** From now on every failure is a first one again. */
void throttle_forget(throttle_t *throttle);

#endif
