/*
 * incident_impact.c - who meets an incident, who feels it, and whether the log
 * tells of it.
 */
#include "incident_impact.h"

#include <string.h>

#include "incident_book.h"
#include "log/context.h"
#include "shared.h"
#include "vitals.h"

/* ---- live incidents ---- */

/* Calls for each incident that is live. */
static void for_each_live(void (*visit)(incident_t *incident,
                                        const void *baton),
                          const void *baton)
{
    int i;

    if (incident_book == NULL) {
        return;
    }
    for (i = 0; i < SCENARIOS_MAX; i++) {
        apr_uint32_t live = apr_atomic_read32(&incident_book->live[i]);

        if (live != 0 && incident_is_live(&incident_book->slots[live - 1])) {
            visit(&incident_book->slots[live - 1], baton);
        }
    }
}

/* ---- meetings ---- */

/* What a request carries: which slot, in which of its uses. */
static apr_uint32_t mark_of(const incident_t *incident)
{
    return (incident->serial << 8)
        | (apr_uint32_t)(incident - incident_book->slots + 1);
}

/* NULL: the slot has been used anew. */
static incident_t *incident_met(const patient_meeting_t *meeting)
{
    incident_t *incident = &incident_book->slots[(meeting->mark & 0xff) - 1];

    return mark_of(incident) == meeting->mark ? incident : NULL;
}

static patient_meeting_t *find_meeting(patient_request_t *request,
                                       const incident_t *incident)
{
    int i;

    for (i = 0; i < request->met; i++) {
        if (request->meetings[i].mark == mark_of(incident)) {
            return &request->meetings[i];
        }
    }
    return NULL;
}

/* That of the user for whom this thread works, or NULL. */
static patient_request_t *current_request(void)
{
    request_rec *r = context_current();
    patient_request_t *request = r ? context_request(r) : NULL;

    return request && !request->is_operators ? request : NULL;
}

void incident_bite(incident_t *incident)
{
    patient_request_t *request = current_request();
    patient_meeting_t *meeting;

    if (request != NULL && request->met < PATIENT_MEETINGS
        && find_meeting(request, incident) == NULL) {
        meeting = &request->meetings[request->met++];
        meeting->mark = mark_of(incident);
        meeting->has_place = incident_take_place(incident->guests, 1);
        apr_atomic_inc64(&incident->bitten);
    }
    incident_advance(incident, INCIDENT_INJECTED);
}

void incident_linger(incident_t *incident, apr_interval_time_t span)
{
    shared_raise(&incident->lingering, (apr_uint64_t)(vitals_now() + span));
}

void incident_felt(incident_t *incident)
{
    patient_request_t *request = current_request();
    patient_meeting_t *meeting =
        request ? find_meeting(request, incident) : NULL;

    if (meeting != NULL && meeting->has_felt) {
        return;
    }
    if (meeting != NULL) {
        meeting->has_felt = 1;
    }
    apr_atomic_inc64(&incident->felt);
}

/* ---- the end of a request ---- */

static void keep_duration(incident_t *incident, const void *baton)
{
    const apr_interval_time_t *duration = baton;
    apr_interval_time_t span = vitals_now() - incident->begun;

    if (*duration < span) {
        span = *duration;
    }
    shared_raise(&incident->longest, (apr_uint64_t)span);
    apr_atomic_inc64(&incident->buckets[board_bucket(span)]);
}

void incident_note_duration(apr_interval_time_t duration)
{
    for_each_live(keep_duration, &duration);
}

/* An answer that failed is the work of what the request met last. */
static int is_felt(const patient_request_t *request, int i,
                   const incident_t *incident, int status)
{
    return (status >= 500 && i == request->met - 1)
        || (request->is_slow
            && incident_scenario(incident)->fault == CHAOS_FAULT_LIST);
}

void incident_request_end(patient_request_t *request, int status)
{
    int i;

    for (i = 0; i < request->met; i++) {
        patient_meeting_t *meeting = &request->meetings[i];
        incident_t *incident = incident_met(meeting);

        if (incident == NULL) {
            continue;
        }
        if (!meeting->has_felt && is_felt(request, i, incident, status)) {
            apr_atomic_inc64(&incident->felt);
        }
        /* Last: nobody waits for this request from now on. */
        if (meeting->has_place) {
            incident_take_place(incident->guests, -1);
        }
    }
}

/* ---- what the log tells ---- */

static void note_told(incident_t *incident, const void *baton)
{
    const char *const *symptom = incident_scenario(incident)->symptoms;

    if (apr_atomic_read32(&incident->state) < INCIDENT_INJECTED) {
        return;                 /* nothing of it could be seen */
    }
    for (; symptom != NULL && *symptom != NULL; symptom++) {
        if (strcmp(*symptom, baton) == 0) {
            incident_stamp(&incident->told);
        }
    }
}

void incident_tell(const char *type)
{
    for_each_live(note_told, type);
}
