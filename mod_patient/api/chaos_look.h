/*
 * chaos_look.h - what the operator may look at: scenarios and incidents.
 */
#ifndef PATIENT_API_CHAOS_LOOK_H
#define PATIENT_API_CHAOS_LOOK_H

#include "http/call.h"

/* Handlers of routes, see http/route.h. */

/** GET /api/chaos */
int chaos_show_catalogue(call_t *call);

/** GET /api/chaos/{name} */
int chaos_show_scenario(call_t *call);

/** GET /api/chaos/ledger */
int chaos_show_ledger(call_t *call);

/** GET /api/chaos/page */
int chaos_show_page(call_t *call);

/** GET /api/chaos/incidents */
int chaos_list_incidents(call_t *call);

/** GET /api/chaos/incidents/{id} */
int chaos_show_incident(call_t *call);

#endif
