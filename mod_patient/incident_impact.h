/*
 * incident_impact.h - who meets an incident, who feels it, and whether the log
 * tells of it.
 *
 * Any thread of any child may call; none of it blocks.
 */
#ifndef PATIENT_INCIDENT_IMPACT_H
#define PATIENT_INCIDENT_IMPACT_H

#include "incident.h"
#include "patient.h"

/** This thread's request has met the fault point.  Until it is answered, the
 * incident's books stay open. */
void incident_bite(incident_t *incident);

/** What it did to a user may be felt within this time: its books stay open
 * for that. */
void incident_linger(incident_t *incident, apr_interval_time_t span);

/** A user felt it: counted once for each request that met it. */
void incident_felt(incident_t *incident);

/** A request that took so long is about to be counted: of that, incidents
 * keep what fell into them. */
void incident_note_duration(apr_interval_time_t duration);

/**
 * A request was answered and counted. In log_transaction.
 * @param request what the log told of it counts, too: slow queries that nobody
 *        could read of there, nobody is to find
 */
void incident_request_end(patient_request_t *request, int status);

/** A line of that type was written to the log: incidents that show in such
 * lines are told. */
void incident_tell(const char *type);

#endif
