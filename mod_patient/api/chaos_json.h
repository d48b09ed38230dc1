/*
 * chaos_json.h - scenarios and incidents as the operator's API shows them.
 */
#ifndef PATIENT_API_CHAOS_JSON_H
#define PATIENT_API_CHAOS_JSON_H

#include <jansson.h>

#include "chaos/chaos.h"
#include "conf.h"
#include "incident.h"

/* Each a new reference. */

json_t *chaos_report_json(const chaos_report_t *report, apr_pool_t *pool);

json_t *chaos_scenario_json(const chaos_scenario_t *scenario,
                            const patient_conf_t *conf, apr_pool_t *pool);

json_t *chaos_incident_json(const incident_t *incident, apr_pool_t *pool);

#endif
