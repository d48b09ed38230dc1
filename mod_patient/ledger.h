/*
 * ledger.h - the truth about each incident, for who grades a diagnosis.
 *
 * A file of JSON lines that PatientLedger names; never the log.
 */
#ifndef PATIENT_LEDGER_H
#define PATIENT_LEDGER_H

#include <httpd.h>
#include <jansson.h>

#include "incident.h"

/** Opens the file, if there is one to keep. In the parent, in post_config.
 * @return why it cannot be written */
apr_status_t ledger_open(const char *path, apr_pool_t *pconf);

/** Adds an incident that is over; one write. */
void ledger_add(const incident_t *incident);

/** What happened, as the ledger and the operator's API tell it: a new
 * reference. */
json_t *ledger_evidence(const incident_t *incident);

/** Adds the moments of an incident to an object, as times of day; null for one
 * that has not come. */
void ledger_add_times(json_t *object, const incident_t *incident);

/**
 * What the ledger holds, a JSON object a line, newest last: the end of the
 * file, or, where none is kept or can be read, what this server's memory has.
 * @param text from pool
 */
void ledger_read(const char **text, apr_size_t *len, apr_pool_t *pool);

/** Its arguments: a new reference. */
json_t *ledger_parameters(const incident_t *incident, apr_pool_t *pool);

#endif
