/*
 * breaker.c - who may ask for a connection, and who is told at once.
 */
#include "store/breaker.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

#include "vitals.h"

/* After a failed attempt, others are told at once for so long; or, if the
 * database only lets nobody else in, nobody tries again. */
#define BREAK apr_time_from_msec(500)

/* What is known of one place. */
typedef struct place_t {
    int number;                 /* 0: the usual one */
    int connecting;             /* somebody is making or probing one there */
    int is_failing;             /* the last attempt failed */
    apr_time_t broken_until;
    apr_time_t closed_until;    /* nobody else gets in */
    dberror_t reason;           /* of the last failure; its texts: */
    char texts[4][256];
} place_t;

struct breaker_t {
    apr_thread_mutex_t *mutex;  /* guards what follows */
    apr_thread_cond_t *changed;
    int idle;                   /* connections that nobody uses, the dead
                                 * ones included; less than none while
                                 * somebody has one that another thread had
                                 * reserved, or that is not counted yet */
    int lent;                   /* that somebody uses, or has reserved */
    place_t usual;
    place_t other;              /* the last that was asked for: whoever still
                                 * tries there says nothing of the usual */
    place_t *latest;            /* where an attempt failed last */
};

/* Keeps a failure for those who will be told of it. */
static void keep_reason(place_t *place, const dberror_t *error)
{
    const char *from[] = {
        error->sqlstate, error->native, error->message, error->host
    };
    int i;

    place->reason = *error;   /* name, code, hint: constants */
    for (i = 0; i < 4; i++) {
        apr_cpystrn(place->texts[i], from[i] ? from[i] : "",
                    sizeof(place->texts[i]));
    }
    place->reason.sqlstate = place->texts[0];
    place->reason.native = place->texts[1];
    place->reason.message = place->texts[2];
    place->reason.host = place->texts[3];
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
    keep_reason(&breaker->usual, reason);
    breaker->latest = &breaker->usual;
    *out = breaker;
    return rv;
}

/* With the lock held. @return NULL: others ask for another place by now */
static place_t *find_place(breaker_t *breaker, int number)
{
    return number == 0 ? &breaker->usual
        : number == breaker->other.number ? &breaker->other : NULL;
}

/* With the lock held: the place, of which nothing is known if it is new. */
static void go_to_place(breaker_t *breaker, int number)
{
    if (find_place(breaker, number) == NULL) {
        memset(&breaker->other, 0, sizeof(breaker->other));
        breaker->other.number = number;
        keep_reason(&breaker->other, &breaker->usual.reason);
        apr_thread_cond_broadcast(breaker->changed);
    }
}

/* With the lock held: whether this thread must not even wait. */
static int is_told(const place_t *place, apr_time_t now, apr_time_t deadline)
{
    return place == NULL || now >= deadline
        || (place->is_failing && (now < place->broken_until
                                  || place->connecting));
}

/* With the lock held: whether those that are open are all that there is. */
static int is_closed(const breaker_t *breaker, const place_t *place,
                     apr_time_t now)
{
    return now < place->closed_until && breaker->lent > 0;
}

/* With the lock held: until something changes, or may be worth another try. */
static void await_change(breaker_t *breaker, const place_t *place,
                         apr_time_t now, apr_time_t deadline)
{
    if (is_closed(breaker, place, now) && place->closed_until < deadline) {
        deadline = place->closed_until;
    }
    apr_thread_cond_timedwait(breaker->changed, breaker->mutex,
                              deadline - now);
}

/* With the lock held: what may be done now. @return BREAKER_TOLD: nothing */
static breaker_role_e choose(breaker_t *breaker, place_t *place,
                             apr_time_t now)
{
    breaker_role_e role = BREAKER_TOLD;

    if (breaker->idle > 0 && place == &breaker->usual) {
        breaker->idle--;
        breaker->lent++;
        role = place->is_failing ? BREAKER_PROBE_IDLE : BREAKER_USE_IDLE;
    }
    else if (!place->connecting && !is_closed(breaker, place, now)) {
        role = BREAKER_MAKE_NEW;
    }
    if (role == BREAKER_MAKE_NEW || role == BREAKER_PROBE_IDLE) {
        place->connecting = 1;
    }
    return role;
}

breaker_role_e breaker_take(breaker_t *breaker, int elsewhere,
                            apr_time_t deadline)
{
    breaker_role_e role = BREAKER_TOLD;
    place_t *place;
    apr_time_t now;

    apr_thread_mutex_lock(breaker->mutex);
    go_to_place(breaker, elsewhere);
    while (role == BREAKER_TOLD
           && !is_told(place = find_place(breaker, elsewhere),
                       now = vitals_now(), deadline)) {
        role = choose(breaker, place, now);
        if (role == BREAKER_TOLD) {
            await_change(breaker, place, now, deadline);
        }
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
static int note_failure(breaker_t *breaker, place_t *place,
                        const breaker_outcome_t *outcome)
{
    apr_time_t until = vitals_now() + BREAK;
    int are_others = breaker->lent > 0
                     || breaker->idle > outcome->left_dead;

    keep_reason(place, outcome->error);
    breaker->latest = place;
    place->is_failing = !(outcome->is_closed && are_others);
    if (place->is_failing) {
        place->broken_until = until;
    }
    else {
        place->closed_until = until;
    }
    return !place->is_failing;
}

int breaker_settle(breaker_t *breaker, breaker_role_e role, int elsewhere,
                   const breaker_outcome_t *outcome)
{
    int is_hope = !outcome->is_open;
    place_t *place;

    apr_thread_mutex_lock(breaker->mutex);
    count_connections(breaker, role, outcome);
    place = find_place(breaker, elsewhere);
    if (place != NULL && role != BREAKER_USE_IDLE) {
        place->connecting = 0;
    }
    if (outcome->error != NULL) {
        is_hope = place != NULL && note_failure(breaker, place, outcome);
    }
    else if (outcome->is_open && place != NULL) {
        place->is_failing = 0;
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

void breaker_reason(dberror_t *error, breaker_t *breaker, int elsewhere,
                    apr_pool_t *pool)
{
    const place_t *place;

    apr_thread_mutex_lock(breaker->mutex);
    place = elsewhere == BREAKER_ANYWHERE ? breaker->latest
        : elsewhere ? &breaker->other : &breaker->usual;
    *error = place->reason;
    error->message = apr_pstrdup(pool, place->reason.message);
    error->native = apr_pstrdup(pool, place->reason.native);
    error->sqlstate = apr_pstrdup(pool, place->reason.sqlstate);
    error->host = apr_pstrdup(pool, place->reason.host);
    apr_thread_mutex_unlock(breaker->mutex);
}
