/*
 * incident.h - what is wrong with the patient on purpose, at this moment.
 *
 * A slot in shared memory for each incident, one-shot or lasting, live or
 * over.  Nobody owns a running incident: its end is a moment of steady time
 * in its slot, which whoever is concerned compares by himself, so it ends on
 * time whatever becomes of the process that began it.  All functions may be
 * called from any thread of any child, and none blocks.
 *
 *     ARMED -> INJECTED -> WITNESSED -> RECOVERED
 *          \___________\______________> INVALID     nothing was felt
 */
#ifndef PATIENT_INCIDENT_H
#define PATIENT_INCIDENT_H

#include <httpd.h>
#include <apr_atomic.h>

#include "chaos/chaos.h"
#include "figures.h"

#define INCIDENT_SLOTS 64
#define INCIDENT_WORKERS 64
#define INCIDENT_ID_BYTES 17    /* 16 hex digits */

typedef enum {
    INCIDENT_FREE,
    INCIDENT_TAKEN,             /* being filled, or being emptied */
    INCIDENT_ARMED,
    INCIDENT_INJECTED,
    INCIDENT_WITNESSED,
    INCIDENT_RECOVERED,
    INCIDENT_INVALID
} incident_state_e;

/** How the run of a one-shot came out. */
typedef enum {
    INCIDENT_UNKNOWN,
    INCIDENT_HAPPENED,
    INCIDENT_FAILED
} incident_result_e;

typedef struct incident_t {
    apr_uint32_t state;         /* incident_state_e */
    apr_uint32_t serial;        /* grows each time the slot is used */
    char id[INCIDENT_ID_BYTES];
    int scenario;               /* index in chaos_all() */
    int once;                   /* a one-shot: no fault point is bent */
    apr_int64_t args[CHAOS_PARAMS_MAX];

    apr_time_t until;           /* steady time */
    apr_uint32_t stop;          /* the operator wants it over */
    apr_uint32_t bending;       /* the fault point is bent */
    apr_uint32_t preparing;     /* pid of who prepares; the work waits */
    apr_uint32_t prepared;
    apr_uint32_t owner;         /* pid of who does one child's work */
    apr_uint32_t recovering;    /* pid of who recovers */
    apr_uint32_t recovered;
    apr_uint32_t result;        /* incident_result_e */
    apr_uint32_t started;       /* somebody worked on it */
    apr_uint32_t measured;      /* how far its figures are, see watch.c */
    apr_uint32_t workers[INCIDENT_WORKERS];     /* pids at work on it */
    apr_uint32_t guests[INCIDENT_WORKERS];  /* pids of requests that met it
                                             * and are not answered yet */

    apr_time_t armed;           /* the time of day, the only one */
    apr_time_t begun;           /* the same moment in steady time, and, 0 if
                                 * they have not come, other such moments: */
    apr_uint64_t injected, witnessed, told, finished, ended;

    apr_uint64_t lingering;     /* steady time until which it may be felt, if
                                 * need be after its end */

    apr_uint64_t bitten, felt;
    apr_uint64_t memory_budget; /* bytes that it may fill, in all children */
    /* Durations of the requests that ended meanwhile, as far as they fell into
     * it: the longest, in microseconds, and how many in each bucket. */
    apr_uint64_t longest;
    apr_uint64_t buckets[BOARD_BUCKETS];
    apr_uint64_t waiting_peak, rss_peak;
    figures_sums_t sums;       /* at the beginning */
    chaos_figures_t before, during;
    char why[200];              /* it was invalid */
} incident_t;

/** Maps the slots. After a start that is not a graceful restart, all are
 * empty. In the parent, in post_config. */
apr_status_t incident_open(server_rec *s);

/** A child ended: nobody of it works any more.
 * @param died it was not orderly; in the parent */
void incident_child_leave(pid_t pid, int died);

/* ---- begin and end ---- */

typedef struct incident_order_t {
    const chaos_scenario_t *scenario;
    const chaos_args_t *args;
    apr_interval_time_t span;
    int once;
    int live_max;               /* incidents that may be live then */
    apr_uint64_t memory_budget; /* host_memory_budget() */
} incident_order_t;

/**
 * Begins an incident.
 * @param incident set on APR_SUCCESS, and on APR_EEXIST to the one that runs
 * @return APR_SUCCESS; APR_EEXIST: this scenario runs already; APR_EBUSY: as
 *         many run as may; APR_ENOSPC: no slot
 */
apr_status_t incident_arm(incident_t **incident,
                          const incident_order_t *order, apr_pool_t *pool);

/** Asks for the end of a scenario's incident. @return it, or NULL: none ran */
incident_t *incident_stop(const chaos_scenario_t *scenario);

/** Asks for the end of all. @return how many ran */
int incident_halt(void);

/** Whether its time is over or its end was asked for. */
int incident_is_over(const incident_t *incident);

/** This process works on it (+1), or no more (-1). @return 0: no place */
int incident_work(incident_t *incident, int step);

/** Whether this process works on it. */
int incident_works_here(incident_t *incident);

/** Whether any process works on it. */
int incident_has_workers(incident_t *incident);

/** Whether its scenario leaves something behind that is still to be taken
 * away. */
int incident_needs_recovery(incident_t *incident);

/** Whether its work is to end or has ended: a one-shot may before its time. */
int incident_is_finished(incident_t *incident);

/** Whether, once finished, it has no work left and no request that has met it
 * and is still to be answered, and nobody is likely to feel it later; those are
 * waited for up to a bound. */
int incident_is_settled(incident_t *incident);

/* ---- fault points ---- */

/** Bent fault points, a word each: 0, or the slot's number + 1. */
extern apr_uint32_t *incident_faults;

incident_t *incident_find_fault(chaos_fault_e fault);

/** The incident that bends this point now, or NULL.  A healthy patient pays
 * one load for it. */
static inline incident_t *incident_at(chaos_fault_e fault)
{
    if (incident_faults == NULL || incident_faults[fault] == 0) {
        return NULL;
    }
    return incident_find_fault(fault);
}

/** Bends or straightens the point that an incident is about. */
void incident_bend(incident_t *incident, int bend);

/* ---- looking ---- */

/** All slots; INCIDENT_SLOTS of them. */
incident_t *incident_slots(void);

/** Whether it is not over and done with. */
int incident_is_live(const incident_t *incident);

/** The incident of that id, or NULL. */
incident_t *incident_by_id(const char *id);

/** The live incident of a scenario, or NULL. */
incident_t *incident_of(const chaos_scenario_t *scenario);

/** The live incident that is about this point, or NULL: one that is over but
 * not closed, and a one-shot, too. */
incident_t *incident_about(chaos_fault_e fault);

/** The one of a scenario that ended last, or NULL. */
incident_t *incident_last(const chaos_scenario_t *scenario);

/** Its scenario. */
const chaos_scenario_t *incident_scenario(const incident_t *incident);

/** Its arguments, from pool. */
chaos_args_t *incident_args(const incident_t *incident, apr_pool_t *pool);

/** The time of day of one of its moments, counted from its beginning by the
 * steady clock: in order, whatever the clock of the machine was set to.
 * @param moment steady; 0: has not come, and that is the answer, too */
apr_time_t incident_time(const incident_t *incident, apr_uint64_t moment);

/** "armed", "injected", ... */
const char *incident_state_name(const incident_t *incident);

/* ---- figures, by who watches (watch.c) ---- */

/** Notes that it is finished, if it is not noted yet. */
void incident_finish(incident_t *incident);

/** Moves on to a state, if it is not there or further yet. */
void incident_advance(incident_t *incident, incident_state_e state);

/** Ends it for good and frees its scenario. */
void incident_close(incident_t *incident, incident_state_e state,
                    const char *why);

/** Keeps sums of now for the "before" of incidents to come. */
void incident_remember(const figures_sums_t *sums);

#endif
