/*
 * ward.c - in each child, somebody starts and ends the work of incidents.
 */
#include "ward.h"

#include <string.h>
#include <unistd.h>

#include <apr_strings.h>
#include <mod_watchdog.h>

#include "chaos/standby.h"
#include "host.h"
#include "incident.h"
#include "store/schema.h"
#include "vitals.h"

/* A piece of work that ended before its time is begun anew after this. */
#define RETRY apr_time_from_sec(1)

typedef enum { JOB_NONE, JOB_PREPARE, JOB_WORK, JOB_RUN, JOB_RECOVER } job_e;

/* What this child does for one incident. */
typedef struct job_t {
    incident_t *incident;
    apr_uint32_t serial;        /* of the slot's use that it is for */
    job_e kind;
    standby_task_t task;
    int is_busy;                /* something is being done */
    apr_pool_t *pool;
    apr_uint32_t done;
    apr_time_t not_before;
} job_t;

static struct {
    server_rec *s;
    struct db_t *db;
    job_t jobs[INCIDENT_SLOTS];
} ward;

/* ---- this child's work ---- */

static void do_prepare(incident_t *incident, chaos_host_t *host,
                       const chaos_args_t *args, apr_pool_t *pool)
{
    apr_status_t rv = incident_scenario(incident)->prepare(host, args, pool);

    if (rv == APR_SUCCESS) {
        apr_atomic_set32(&incident->prepared, 1);
        if (!incident_is_over(incident)) {
            incident_bend(incident, 1);
        }
    }
    apr_atomic_set32(&incident->preparing, 0);
}

static void do_work(incident_t *incident, chaos_host_t *host,
                    const chaos_args_t *args, apr_pool_t *pool)
{
    incident_advance(incident, INCIDENT_INJECTED);
    incident_scenario(incident)->work(host, args, pool);
    apr_atomic_cas32(&incident->owner, 0, (apr_uint32_t)getpid());
}

static void do_run(incident_t *incident, chaos_host_t *host,
                   const chaos_args_t *args, apr_pool_t *pool)
{
    apr_status_t rv;

    incident_advance(incident, INCIDENT_INJECTED);
    rv = incident_scenario(incident)->run(host, args,
                                          chaos_report_create(pool), pool);
    apr_atomic_set32(&incident->result, rv == APR_SUCCESS
                     ? INCIDENT_HAPPENED : INCIDENT_FAILED);
}

static void do_recover(incident_t *incident, chaos_host_t *host,
                       apr_pool_t *pool)
{
    if (incident_scenario(incident)->recover(host, pool) == APR_SUCCESS) {
        apr_atomic_set32(&incident->recovered, 1);
    }
    apr_atomic_set32(&incident->recovering, 0);
}

static void work(void *data)
{
    job_t *job = data;
    incident_t *incident = job->incident;
    chaos_host_t *host = host_create(patient_conf(ward.s), ward.db,
                                     job->kind == JOB_RECOVER ? NULL
                                                              : incident,
                                     job->pool);
    chaos_args_t *args = incident_args(incident, job->pool);

    switch (job->kind) {
    case JOB_PREPARE:
        do_prepare(incident, host, args, job->pool);
        break;
    case JOB_WORK:
        do_work(incident, host, args, job->pool);
        break;
    case JOB_RUN:
        do_run(incident, host, args, job->pool);
        break;
    default:
        do_recover(incident, host, job->pool);
        break;
    }
    if (job->kind != JOB_RECOVER) {
        incident_work(incident, -1);
    }
    apr_atomic_set32(&job->done, 1);
}

/* Takes a word for this process; 0 if another has it. */
static int claim(apr_uint32_t *word)
{
    return apr_atomic_cas32(word, (apr_uint32_t)getpid(), 0) == 0;
}

/* What this child should do for an incident that goes on. */
static job_e choose_work(incident_t *incident)
{
    const chaos_scenario_t *scenario = incident_scenario(incident);

    if (incident->once) {
        return apr_atomic_read32(&incident->owner) == (apr_uint32_t)getpid()
            && !apr_atomic_read32(&incident->started) ? JOB_RUN : JOB_NONE;
    }
    if (!apr_atomic_read32(&incident->prepared)) {
        return claim(&incident->preparing) ? JOB_PREPARE : JOB_NONE;
    }
    switch (scenario->where) {
    case CHAOS_EVERY_CHILD:
        return JOB_WORK;
    case CHAOS_ONE_CHILD:
        return claim(&incident->owner) ? JOB_WORK : JOB_NONE;
    default:
        return JOB_NONE;
    }
}

static job_e choose(incident_t *incident)
{
    if (!incident_is_finished(incident)) {
        return choose_work(incident);
    }
    return incident_needs_recovery(incident) && !incident_has_workers(incident)
        && claim(&incident->recovering) ? JOB_RECOVER : JOB_NONE;
}

/* Gives a word back that claim() took. */
static void unclaim(apr_uint32_t *word)
{
    apr_atomic_cas32(word, 0, (apr_uint32_t)getpid());
}

/* What was claimed for a piece of work that could not be begun is free again.
 * A run stays with the child that was asked for it, which tries anew. */
static void give_up(incident_t *incident, job_e kind)
{
    switch (kind) {
    case JOB_PREPARE:
        unclaim(&incident->preparing);
        break;
    case JOB_WORK:
        unclaim(&incident->owner);
        break;
    case JOB_RUN:
        apr_atomic_set32(&incident->started, 0);
        break;
    default:
        unclaim(&incident->recovering);
        break;
    }
    if (kind != JOB_RECOVER) {
        incident_work(incident, -1);
    }
}

static void begin(job_t *job, incident_t *incident, job_e kind)
{
    job->incident = incident;
    job->serial = incident->serial;
    job->kind = kind;
    job->done = 0;
    job->not_before = vitals_now() + RETRY;
    if (kind != JOB_RECOVER) {
        incident_work(incident, 1);
    }
    /* Not below the child's pool: its allocator is not for two threads. */
    if (apr_pool_create(&job->pool, NULL) != APR_SUCCESS) {
        give_up(incident, kind);
        return;
    }
    job->task.body = work;
    job->task.baton = job;
    job->task.is_low = 0;
    job->is_busy = 1;
    if (standby_begin(&job->task, job->pool) != APR_SUCCESS) {
        job->is_busy = 0;
        give_up(incident, kind);
        apr_pool_destroy(job->pool);
    }
}

static void reap(job_t *job)
{
    standby_join(&job->task);
    apr_pool_destroy(job->pool);
    job->is_busy = 0;
}

static void tend(job_t *job, incident_t *incident)
{
    job_e kind;

    if (job->is_busy && apr_atomic_read32(&job->done)) {
        reap(job);
    }
    if (job->is_busy || !incident_is_live(incident)
        || (job->serial == incident->serial
            && vitals_now() < job->not_before)) {
        return;
    }
    kind = choose(incident);
    if (kind != JOB_NONE) {
        begin(job, incident, kind);
    }
}

apr_status_t ward_round(int state, void *data, apr_pool_t *pool)
{
    int i;

    (void)data;
    if (state != AP_WATCHDOG_STATE_RUNNING || ward.db == NULL
        || host_is_stopping()) {
        return APR_SUCCESS;
    }
    for (i = 0; i < INCIDENT_SLOTS; i++) {
        tend(&ward.jobs[i], &incident_slots()[i]);
    }
    schema_look_first(ward.db, pool);
    return APR_SUCCESS;
}

static apr_status_t stop(void *unused)
{
    int i;

    (void)unused;
    host_stop();
    for (i = 0; i < INCIDENT_SLOTS; i++) {
        if (ward.jobs[i].is_busy) {
            reap(&ward.jobs[i]);
        }
    }
    incident_child_leave(getpid(), 0);
    return APR_SUCCESS;
}

void ward_start(struct db_t *db, server_rec *s, apr_pool_t *pchild)
{
    ward.s = s;
    ward.db = db;
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
}
