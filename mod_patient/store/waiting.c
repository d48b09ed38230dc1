/*
 * waiting.c - the wait for a connection: counted, and told when it is long.
 */
#include "store/waiting.h"

#include "board.h"
#include "incident_impact.h"
#include "log/context.h"
#include "log/errorlog.h"
#include "log/symptom.h"

/* What a user calls long. */
#define LONG_WAIT apr_time_from_sec(1)

/* A stretch of waiting is told once.  Where requests may wait for so long, a
 * deadline that tells of it is far: they say it again, as often as the log lets
 * a failure that goes on be told. */
#define TELL_AGAIN_AFTER apr_time_from_sec(30)

/* No request waits for so long. */
#define PATIENCE_MAX apr_time_from_sec(3600)

/* One who waits. */
typedef struct wait_t {
    gate_t *gate;
    int is_request;             /* an ordinary one, and no run's */
} wait_t;

static void log_waiting(gate_t *gate, apr_interval_time_t waited)
{
    gate_stats_t stats;
    event_t event;

    gate_stats(gate, &stats);
    errorlog_open(&event, EVENT_WARNING, SYMPTOM_WAITING);
    symptom_waiting(&event, &stats, waited);
    errorlog_write(&event);
}

static void note_shortage(const wait_t *wait, int is_long)
{
    incident_t *incident = incident_about(CHAOS_FAULT_POOL);

    /* What the patient asks for itself is nobody's.  A one-shot holds the pool
     * of one child, and while it is at work: who is short of a connection
     * elsewhere has met other users. */
    if (incident == NULL || !wait->is_request || context_current() == NULL
        || incident_is_finished(incident)
        || !incident_works_here(incident)) {
        return;
    }
    incident_bite(incident);
    if (is_long) {
        incident_felt(incident);
    }
}

static apr_interval_time_t note_wait(void *baton, apr_interval_time_t waited)
{
    const wait_t *wait = baton;

    note_shortage(wait, 1);
    if (waited < SYMPTOM_WAITING_AFTER) {
        return SYMPTOM_WAITING_AFTER;
    }
    if (board_waiting_tell() || waited >= TELL_AGAIN_AFTER) {
        log_waiting(wait->gate, waited);
    }
    return waited + SYMPTOM_WAITING_AFTER;
}

static apr_status_t wait_in_line(wait_t *wait, const gate_entry_t *entry)
{
    gate_entry_t own = *entry;
    apr_status_t rv;

    /* Who would wait for ever has no reason to complain. */
    if (entry->patience < PATIENCE_MAX) {
        own.notice = note_wait;
        own.notice_after = LONG_WAIT;
        own.notice_baton = wait;
    }
    board_pool_wait(1);
    rv = gate_enter_while(wait->gate, &own);
    board_pool_wait(-1);
    return rv;
}

apr_status_t waiting_enter(gate_t *gate, const gate_entry_t *entry)
{
    wait_t wait = { gate, entry->line == GATE_BOUNDED };
    apr_status_t rv = gate_enter(gate, 0, entry->line);

    if (rv != APR_SUCCESS) {
        note_shortage(&wait, 0);
    }
    return rv == APR_TIMEUP ? wait_in_line(&wait, entry) : rv;
}
