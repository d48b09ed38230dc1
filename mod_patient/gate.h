/*
 * gate.h - so many at once, the rest wait in line, and not for ever.
 *
 * What stands in front of a thing that exists in a fixed number (database
 * connections, CPUs for bcrypt).  First come, first served: a permit that is
 * given back goes to who has waited longest.  Any thread of the process may
 * call.
 */
#ifndef PATIENT_GATE_H
#define PATIENT_GATE_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct gate_t gate_t;

typedef struct gate_stats_t {
    int permits;                /* how many there are */
    int in_use;
    int waiting;
    apr_uint64_t timeouts;      /* since the start: waited in vain */
    apr_uint64_t refused;       /* since the start: line too long */
} gate_stats_t;

/** Who may wait: an ordinary caller only while fewer than the gate's bound
 * wait already; an exempt one always, and it does not count in that bound. */
typedef enum { GATE_BOUNDED, GATE_EXEMPT } gate_line_e;

/**
 * @param waiters_max how many ordinary callers may wait at once
 * @param pool the gate's; must outlive every thread that uses the gate
 */
apr_status_t gate_create(gate_t **gate, int permits, int waiters_max,
                         apr_pool_t *pool);

/**
 * Takes a permit, waiting for up to patience.
 * @return APR_SUCCESS: call gate_leave() later; APR_TIMEUP: patience is over;
 *         APR_EBUSY: too many wait already
 */
apr_status_t gate_enter(gate_t *gate, apr_interval_time_t patience,
                        gate_line_e line);

/** How to wait. */
typedef struct gate_entry_t {
    apr_interval_time_t patience;
    gate_line_e line;
    int (*keep)(void *baton);   /* asked now and then, with the gate held, so
                                 * it must be quick and not touch it: 0 ends
                                 * the wait; NULL: nobody is asked */
    void *baton;
    /* Called on the waiting thread, which keeps its place in line, without
     * the gate held, once it has waited for that long; NULL: nobody is told.
     * @return how long it is to have waited when it is called again; 0:
     *         never */
    apr_interval_time_t (*notice)(void *baton, apr_interval_time_t waited);
    apr_interval_time_t notice_after;
    void *notice_baton;
} gate_entry_t;

/** The same. @return as gate_enter(), or APR_EINTR: keep() said so */
apr_status_t gate_enter_while(gate_t *gate, const gate_entry_t *entry);

void gate_leave(gate_t *gate);

void gate_stats(gate_t *gate, gate_stats_t *stats);

#endif
