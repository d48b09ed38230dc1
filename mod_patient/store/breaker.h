/*
 * breaker.h - who may ask for a connection, and who is told at once.
 *
 * mod_dbd makes connections one after the other, each for up to the whole
 * connect timeout.  So one thread at a time makes one; and while the database
 * is away, one tries now and then and the others are told why.  While it is
 * there and only lets nobody else in, those that are open are what there is:
 * one tries now and then, and the others wait for one of these.  Keeps count
 * of mod_dbd's idle connections to know who needs a new one.  Any thread of
 * the process may call.  No httpd in here.
 */
#ifndef PATIENT_STORE_BREAKER_H
#define PATIENT_STORE_BREAKER_H

#include <apr_pools.h>
#include <apr_time.h>

#include "store/dberror.h"

typedef struct breaker_t breaker_t;

/** How a thread may ask for a connection. */
typedef enum {
    BREAKER_USE_IDLE,           /* there is an idle one, reserved for it */
    BREAKER_PROBE_IDLE,         /* so, but it may be dead: others are told */
    BREAKER_MAKE_NEW,           /* it may make one: nobody else does */
    BREAKER_TOLD                /* it may not: see breaker_reason() */
} breaker_role_e;

/** What came of it. */
typedef struct breaker_outcome_t {
    int is_open;                /* there is a connection */
    int took_idle;              /* it was an idle one, dead or alive */
    int is_closed;              /* nobody else gets in, which says nothing of
                                 * the connections that are open */
    int left_dead;              /* one that was made is among the idle ones,
                                 * and no good */
    const dberror_t *error;     /* the database is not to be reached; or
                                 * NULL */
} breaker_outcome_t;

/** @param reason told until a first attempt has failed */
apr_status_t breaker_create(breaker_t **breaker, const dberror_t *reason,
                            apr_pool_t *pool);

/**
 * Waits until this thread may ask, or is told.
 * @param elsewhere not 0: the question is for another place than usual, which
 *        has this number: idle connections don't count, nor what was learned
 *        of any other place.  Of two such, the last one asked for is known
 * @param deadline steady time
 */
breaker_role_e breaker_take(breaker_t *breaker, int elsewhere,
                            apr_time_t deadline);

/**
 * Says what came of a role other than BREAKER_TOLD, in the place that it was
 * for.
 * @return 1 if there may still be a connection: ask again
 */
int breaker_settle(breaker_t *breaker, breaker_role_e role, int elsewhere,
                   const breaker_outcome_t *outcome);

/**
 * A connection went back to the idle ones.
 * @param was_open somebody had it, as an outcome's is_open has said
 */
void breaker_returned(breaker_t *breaker, int was_open);

/** Any place: the one where an attempt failed last. */
#define BREAKER_ANYWHERE (-1)

/** Why the last attempt there failed; copied into pool. */
void breaker_reason(dberror_t *error, breaker_t *breaker, int elsewhere,
                    apr_pool_t *pool);

#endif
