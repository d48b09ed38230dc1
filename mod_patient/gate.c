/*
 * gate.c - a counting gate whose permits pass from hand to hand.
 */
#include "gate.h"

#include <pthread.h>
#include <time.h>

/* One who waits.  It lives on the stack of its thread, with a condition of
 * its own: to wait costs no memory, and to wake one wakes no other. */
typedef struct waiter_t {
    struct waiter_t *longer;    /* the neighbours in line: who has waited */
    struct waiter_t *shorter;   /* longer than this one, and who less long */
    pthread_cond_t turn;
    gate_line_e line;
    apr_time_t since, until;    /* monotonic: it came; its deadline */
    apr_time_t notice_at;       /* when to say that it waits; 0: never */
    int has_permit;
} waiter_t;

/* POSIX threads instead of APR's: APR 1 counts a wait in wall clock time, and
 * a clock that is set meanwhile would end all waits at once, or none. */
struct gate_t {
    pthread_mutex_t lock;
    pthread_condattr_t monotonic;
    waiter_t *longest;
    waiter_t *shortest;
    int waiters_max;
    int bounded_waiting;
    gate_stats_t stats;
};

static apr_status_t destroy_gate(void *data)
{
    gate_t *gate = data;

    pthread_condattr_destroy(&gate->monotonic);
    pthread_mutex_destroy(&gate->lock);
    return APR_SUCCESS;
}

apr_status_t gate_create(gate_t **gate, int permits, int waiters_max,
                         apr_pool_t *pool)
{
    gate_t *created = apr_pcalloc(pool, sizeof(*created));
    int rc = pthread_mutex_init(&created->lock, NULL);

    *gate = NULL;
    if (rc != 0) {
        return rc;
    }
    pthread_condattr_init(&created->monotonic);
    pthread_condattr_setclock(&created->monotonic, CLOCK_MONOTONIC);
    created->stats.permits = permits;
    created->waiters_max = waiters_max;
    apr_pool_cleanup_register(pool, created, destroy_gate,
                              apr_pool_cleanup_null);
    *gate = created;
    return APR_SUCCESS;
}

/* How often a waiter who may change its mind is asked. */
#define LOOK apr_time_from_msec(200)

static apr_time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return apr_time_from_sec(time.tv_sec) + time.tv_nsec / 1000;
}

static void join_line(gate_t *gate, waiter_t *waiter)
{
    waiter->longer = gate->shortest;
    *(waiter->longer ? &waiter->longer->shorter : &gate->longest) = waiter;
    gate->shortest = waiter;
    gate->stats.waiting++;
    gate->bounded_waiting += waiter->line == GATE_BOUNDED;
}

static void leave_line(gate_t *gate, waiter_t *waiter)
{
    *(waiter->longer ? &waiter->longer->shorter : &gate->longest)
        = waiter->shorter;
    *(waiter->shorter ? &waiter->shorter->longer : &gate->shortest)
        = waiter->longer;
    gate->stats.waiting--;
    gate->bounded_waiting -= waiter->line == GATE_BOUNDED;
}

/* With the lock held: until when to wait before looking around again. */
static apr_time_t next_look(const waiter_t *waiter, const gate_entry_t *entry)
{
    apr_time_t look = waiter->until;

    if (waiter->notice_at != 0 && waiter->notice_at < look) {
        look = waiter->notice_at;
    }
    if (entry->keep && now() + LOOK < look) {
        look = now() + LOOK;
    }
    return look;
}

/* With the lock held, which it lets go for a moment: a permit may come
 * meanwhile. */
static void say_waiting(gate_t *gate, waiter_t *waiter,
                        const gate_entry_t *entry)
{
    apr_interval_time_t next;

    if (entry->notice == NULL || waiter->notice_at == 0
        || now() < waiter->notice_at) {
        return;
    }
    pthread_mutex_unlock(&gate->lock);
    next = entry->notice(entry->notice_baton, now() - waiter->since);
    pthread_mutex_lock(&gate->lock);
    waiter->notice_at = next ? waiter->since + next : 0;
}

/* With the lock held.  Who gives the permit away takes the waiter out of the
 * line under the same lock, so has_permit alone tells how the wait ended: a
 * permit that comes while the time runs out is neither lost nor given twice. */
static apr_status_t wait_for_turn(gate_t *gate, waiter_t *waiter,
                                  const gate_entry_t *entry)
{
    apr_status_t rv = APR_SUCCESS;

    pthread_cond_init(&waiter->turn, &gate->monotonic);
    waiter->since = now();
    waiter->until = waiter->since + entry->patience;
    waiter->notice_at = entry->notice
        ? waiter->since + entry->notice_after : 0;
    join_line(gate, waiter);
    while (!waiter->has_permit && rv == APR_SUCCESS) {
        apr_time_t step = next_look(waiter, entry);
        struct timespec deadline;

        deadline.tv_sec = apr_time_sec(step);
        deadline.tv_nsec = apr_time_usec(step) * 1000;
        if (pthread_cond_timedwait(&waiter->turn, &gate->lock, &deadline)
            != 0) {
            rv = now() >= waiter->until ? APR_TIMEUP
                : entry->keep && !entry->keep(entry->baton) ? APR_EINTR
                : APR_SUCCESS;
        }
        if (!waiter->has_permit && rv == APR_SUCCESS) {
            say_waiting(gate, waiter, entry);
        }
    }
    if (!waiter->has_permit) {
        leave_line(gate, waiter);
    }
    pthread_cond_destroy(&waiter->turn);
    return waiter->has_permit ? APR_SUCCESS : rv;
}

/* With the lock held. */
static apr_status_t take_permit(gate_t *gate, const gate_entry_t *entry)
{
    waiter_t waiter = { .line = entry->line };
    apr_status_t rv = APR_TIMEUP;

    /* A free permit means that nobody waits: else it would have been handed
     * over when it was given back. */
    if (gate->stats.in_use < gate->stats.permits) {
        gate->stats.in_use++;
        return APR_SUCCESS;
    }
    if (entry->line == GATE_BOUNDED
        && gate->bounded_waiting >= gate->waiters_max) {
        gate->stats.refused++;
        return APR_EBUSY;
    }
    if (entry->patience > 0) {
        rv = wait_for_turn(gate, &waiter, entry);
    }
    if (rv == APR_TIMEUP) {
        gate->stats.timeouts++;
    }
    return rv;
}

apr_status_t gate_enter_while(gate_t *gate, const gate_entry_t *entry)
{
    apr_status_t rv;

    pthread_mutex_lock(&gate->lock);
    rv = take_permit(gate, entry);
    pthread_mutex_unlock(&gate->lock);
    return rv;
}

apr_status_t gate_enter(gate_t *gate, apr_interval_time_t patience,
                        gate_line_e line)
{
    gate_entry_t entry = { .patience = patience, .line = line };

    return gate_enter_while(gate, &entry);
}

void gate_leave(gate_t *gate)
{
    waiter_t *next;

    pthread_mutex_lock(&gate->lock);
    /* Who is past its deadline is about to find out, and would have no time
     * left for anything. */
    next = gate->longest;
    while (next != NULL && next->until <= now()) {
        next = next->shorter;
    }
    if (next == NULL) {
        gate->stats.in_use--;
    }
    else {
        leave_line(gate, next);
        next->has_permit = 1;
        /* Still under the lock: once the waiter has the lock, its condition
         * is gone with its stack. */
        pthread_cond_signal(&next->turn);
    }
    pthread_mutex_unlock(&gate->lock);
}

void gate_stats(gate_t *gate, gate_stats_t *stats)
{
    pthread_mutex_lock(&gate->lock);
    *stats = gate->stats;
    pthread_mutex_unlock(&gate->lock);
}
