/*
 * breaker.c - who may ask for a connection, and who is told at once.
 */
#include "store/breaker.h"

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

#include "vitals.h"

/* After a failed attempt, others are told at once for so long; or, if the
 * database only lets nobody else in, nobody tries again. */
#define BREAK apr_time_from_msec(500)

struct breaker_t {
    apr_thread_mutex_t *mutex;  /* guards what follows */
    apr_thread_cond_t *changed;
    int idle;                   /* connections that nobody uses, the dead
                                 * ones included; less than none while
                                 * somebody has one that another thread had
                                 * reserved, or that is not counted yet */
    int lent;                   /* that somebody uses, or has reserved */
    int connecting;             /* somebody is making or probing one */
    int is_failing;             /* the last attempt failed */
    int elsewhere;              /* number of where it was; 0: as usual */
    apr_time_t broken_until;
    apr_time_t closed_until;    /* nobody else gets in */
    dberror_t reason;           /* of the last failure; its texts: */
    char texts[4][256];
};

/* Keeps a failure for those who will be told of it. */
static void keep_reason(breaker_t *breaker, const dberror_t *error)
{
    const char *from[] = {
        error->sqlstate, error->native, error->message, error->host
    };
    int i;

    breaker->reason = *error;   /* name, code, hint: constants */
    for (i = 0; i < 4; i++) {
        apr_cpystrn(breaker->texts[i], from[i] ? from[i] : "",
                    sizeof(breaker->texts[i]));
    }
    breaker->reason.sqlstate = breaker->texts[0];
    breaker->reason.native = breaker->texts[1];
    breaker->reason.message = breaker->texts[2];
    breaker->reason.host = breaker->texts[3];
}

apr_status_t breaker_create(breaker_t **out, const dberror_t *reason,
                            apr_pool_t *pool)
{
    breaker_t *breaker = apr_pcalloc(pool, sizeof(*breaker));
    apr_status_t rv = apr_thread_mutex_create(
        &breaker->mutex, APR_THREAD_MUTEX_DEFAULT, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&breaker->changed, pool);
    }
    keep_reason(breaker, reason);
    *out = breaker;
    return rv;
}

/* With the lock held: whether this thread must not even wait. */
static int is_told(const breaker_t *breaker, apr_time_t now,
                   apr_time_t deadline)
{
    return now >= deadline
        || (breaker->is_failing && (now < breaker->broken_until
                                    || breaker->connecting));
}

/* With the lock held: whether those that are open are all that there is. */
static int is_closed(const breaker_t *breaker, apr_time_t now)
{
    return now < breaker->closed_until && breaker->lent > 0;
}

/* With the lock held: until something changes, or may be worth another try. */
static void await_change(breaker_t *breaker, apr_time_t now,
                         apr_time_t deadline)
{
    if (is_closed(breaker, now) && breaker->closed_until < deadline) {
        deadline = breaker->closed_until;
    }
    apr_thread_cond_timedwait(breaker->changed, breaker->mutex,
                              deadline - now);
}

breaker_role_e breaker_take(breaker_t *breaker, int elsewhere,
                            apr_time_t deadline)
{
    breaker_role_e role = BREAKER_TOLD;
    apr_time_t now;

    apr_thread_mutex_lock(breaker->mutex);
    if (breaker->elsewhere != elsewhere) {
        breaker->elsewhere = elsewhere;
        breaker->is_failing = 0;    /* that was about another place */
        breaker->closed_until = 0;
    }
    while (role == BREAKER_TOLD
           && !is_told(breaker, now = vitals_now(), deadline)) {
        if (breaker->idle > 0 && !elsewhere) {
            breaker->idle--;
            breaker->lent++;
            role = breaker->is_failing ? BREAKER_PROBE_IDLE
                                       : BREAKER_USE_IDLE;
        }
        else if (!breaker->connecting && !is_closed(breaker, now)) {
            role = BREAKER_MAKE_NEW;
        }
        else {
            await_change(breaker, now, deadline);
        }
    }
    if (role == BREAKER_MAKE_NEW || role == BREAKER_PROBE_IDLE) {
        breaker->connecting = 1;
    }
    apr_thread_mutex_unlock(breaker->mutex);
    return role;
}

/* With the lock held. */
static void count_connections(breaker_t *breaker, breaker_role_e role,
                              const breaker_outcome_t *outcome)
{
    int has_reserved = role != BREAKER_MAKE_NEW;

    if (has_reserved && !outcome->took_idle) {
        breaker->idle++;        /* another one took it, and left its own */
    }
    else if (!has_reserved && outcome->took_idle) {
        breaker->idle--;
    }
    breaker->lent += outcome->is_open - has_reserved;
}

/* With the lock held. @return 1 if there may still be a connection */
static int note_failure(breaker_t *breaker, const breaker_outcome_t *outcome)
{
    apr_time_t until = vitals_now() + BREAK;
    int are_others = breaker->lent > 0
                     || breaker->idle > outcome->left_dead;

    keep_reason(breaker, outcome->error);
    breaker->is_failing = !(outcome->is_closed && are_others);
    if (breaker->is_failing) {
        breaker->broken_until = until;
    }
    else {
        breaker->closed_until = until;
    }
    return !breaker->is_failing;
}

int breaker_settle(breaker_t *breaker, breaker_role_e role,
                   const breaker_outcome_t *outcome)
{
    int is_hope = !outcome->is_open;

    apr_thread_mutex_lock(breaker->mutex);
    if (role != BREAKER_USE_IDLE) {
        breaker->connecting = 0;
    }
    count_connections(breaker, role, outcome);
    if (outcome->error != NULL) {
        is_hope = note_failure(breaker, outcome);
    }
    else if (outcome->is_open) {
        breaker->is_failing = 0;
    }
    apr_thread_cond_broadcast(breaker->changed);
    apr_thread_mutex_unlock(breaker->mutex);
    return is_hope;
}

void breaker_returned(breaker_t *breaker, int was_open)
{
    apr_thread_mutex_lock(breaker->mutex);
    breaker->idle++;
    breaker->lent -= was_open;
    apr_thread_cond_signal(breaker->changed);
    apr_thread_mutex_unlock(breaker->mutex);
}

void breaker_reason(dberror_t *error, breaker_t *breaker, apr_pool_t *pool)
{
    apr_thread_mutex_lock(breaker->mutex);
    *error = breaker->reason;
    error->message = apr_pstrdup(pool, breaker->reason.message);
    error->native = apr_pstrdup(pool, breaker->reason.native);
    error->sqlstate = apr_pstrdup(pool, breaker->reason.sqlstate);
    error->host = apr_pstrdup(pool, breaker->reason.host);
    apr_thread_mutex_unlock(breaker->mutex);
}
