/*
 * chaos.c - the operator's switchboard: make it ill, make it well.
 */
#include "api/api.h"

#include <unistd.h>

#include <apr_strings.h>

#include "api/chaos_json.h"
#include "api/chaos_look.h"
#include "api/chaos_order.h"
#include "chaos/chaos.h"
#include "host.h"
#include "http/json.h"
#include "http/reply.h"
#include "incident.h"
#include "vitals.h"

/* A one-shot that answers when it is done: it bounds itself, this is only for
 * one whose child dies meanwhile. */
#define RUN_SPAN apr_time_from_sec(180)

#define CLOSE_PATIENCE apr_time_from_sec(2)
#define CLOSE_STEP apr_time_from_msec(10)

/* ---- begin ---- */

static apr_status_t arm(incident_t **incident, int *answer,
                        const chaos_order_t *order, apr_interval_time_t span,
                        call_t *call)
{
    incident_order_t wanted = {
        .scenario = order->scenario, .args = order->args, .span = span,
        .once = order->duration_s == 0,
        .live_max = (int)call->conf->chaos_max_incidents,
        .memory_budget = host_memory_budget(call->conf)
    };
    apr_status_t rv = incident_arm(incident, &wanted, call->pool);

    if (rv == APR_EEXIST) {
        *answer = reply_json(call, HTTP_CONFLICT, json_pack(
            "{s:s, s:s}", "error", "This scenario is running already",
            "incident", (*incident)->id));
    }
    else if (rv != APR_SUCCESS) {
        *answer = reply_error(call, HTTP_CONFLICT, rv == APR_EBUSY
                              ? "As many incidents run as may run at once"
                              : "There is no room for another incident");
    }
    return rv;
}

static int begin_incident(const chaos_order_t *order, call_t *call)
{
    incident_t *incident;
    int answer;

    if (arm(&incident, &answer, order,
            apr_time_from_sec(order->duration_s), call) != APR_SUCCESS) {
        return answer;
    }
    apr_table_setn(call->r->headers_out, "Location", apr_pstrcat(
        call->pool, "/api/chaos/incidents/", incident->id, NULL));
    return reply_json(call, HTTP_ACCEPTED, chaos_incident_json(incident,
                                                               call->pool));
}

/* A run that goes on after the answer: this child's ward takes it up. */
static int run_later(const chaos_order_t *order, call_t *call)
{
    apr_interval_time_t span = order->scenario->once_s
        ? apr_time_from_sec(order->scenario->once_s) : RUN_SPAN;
    incident_t *incident;
    int answer;

    if (arm(&incident, &answer, order, span, call) != APR_SUCCESS) {
        return answer;
    }
    apr_atomic_set32(&incident->owner, (apr_uint32_t)getpid());
    return reply_json(call, HTTP_OK, json_pack(
        "{s:s, s:s}", "message", order->scenario->message,
        "incident", incident->id));
}

/* Waits until the ward has closed a run that is done, so that who has its
 * answer can begin the next one. */
static void await_close(const incident_t *incident)
{
    apr_time_t deadline = vitals_now() + CLOSE_PATIENCE;

    while (incident_is_live(incident) && vitals_now() < deadline) {
        apr_sleep(CLOSE_STEP);
    }
}

static int run_now(const chaos_order_t *order, call_t *call)
{
    chaos_report_t *report = chaos_report_create(call->pool);
    incident_t *incident;
    apr_status_t rv;
    json_t *body;
    int answer;

    if (arm(&incident, &answer, order, RUN_SPAN, call) != APR_SUCCESS) {
        return answer;
    }
    incident_work(incident, 1);
    incident_advance(incident, INCIDENT_INJECTED);
    rv = order->scenario->run(host_create(call->conf, call->db, incident,
                                          call->pool),
                              order->args, report, call->pool);
    apr_atomic_set32(&incident->result, rv == APR_SUCCESS
                     ? INCIDENT_HAPPENED : INCIDENT_FAILED);
    incident_work(incident, -1);
    await_close(incident);
    body = chaos_report_json(report, call->pool);
    json_object_set_new(body, "incident", json_string(incident->id));
    if (rv == APR_EINTR) {
        json_object_set_new(body, "error", json_string("It was stopped"));
    }
    return reply_json(call, rv == APR_SUCCESS ? HTTP_OK : HTTP_CONFLICT,
                      body);
}

/* POST /api/chaos/{name} */
static int run_scenario(call_t *call)
{
    chaos_order_t order;
    int answer;

    if (chaos_order_read(&order, &answer, call) != APR_SUCCESS) {
        return answer;
    }
    if (order.duration_s > 0) {
        return begin_incident(&order, call);
    }
    return order.scenario->message ? run_later(&order, call)
                                   : run_now(&order, call);
}

/* ---- end ---- */

/* DELETE /api/chaos/{name} */
static int stop_scenario(call_t *call)
{
    const chaos_scenario_t *scenario = chaos_find(call->segment);
    incident_t *incident;

    if (scenario == NULL) {
        return reply_error(call, HTTP_NOT_FOUND, "No such scenario");
    }
    incident = incident_stop(scenario);
    return reply_json(call, HTTP_OK, json_pack(
        "{s:s, s:o}", "message", incident ? "Stopping" : "Nothing was running",
        "incident", json_text(incident ? incident->id : NULL, call->pool)));
}

/* POST /api/chaos/halt */
static int halt(call_t *call)
{
    return reply_json(call, HTTP_OK, json_pack(
        "{s:s, s:i}", "message", "All incidents are asked to end",
        "stopped", incident_halt()));
}

const route_t chaos_routes[] = {
    { M_GET, "/api/chaos", ROUTE_OPERATOR, chaos_show_catalogue, ROUTE_VITAL },
    { M_GET, "/api/chaos/page", ROUTE_OPERATOR, chaos_show_page,
      ROUTE_VITAL },
    { M_GET, "/api/chaos/incidents", ROUTE_OPERATOR, chaos_list_incidents,
      ROUTE_VITAL },
    { M_GET, "/api/chaos/incidents/:id", ROUTE_OPERATOR, chaos_show_incident,
      ROUTE_VITAL },
    { M_GET, "/api/chaos/ledger", ROUTE_OPERATOR, chaos_show_ledger,
      ROUTE_VITAL },
    { M_POST, "/api/chaos/halt", ROUTE_OPERATOR, halt, ROUTE_VITAL },
    { M_GET, "/api/chaos/:name", ROUTE_OPERATOR, chaos_show_scenario,
      ROUTE_VITAL },
    { M_POST, "/api/chaos/:name", ROUTE_OPERATOR, run_scenario, ROUTE_VITAL },
    { M_DELETE, "/api/chaos/:name", ROUTE_OPERATOR, stop_scenario,
      ROUTE_VITAL },
    ROUTE_END
};
