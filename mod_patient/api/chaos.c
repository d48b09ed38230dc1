/*
 * chaos.c - the operator's switchboard: make it ill, look, make it well.
 */
#include "api/api.h"

#include <string.h>
#include <unistd.h>

#include <apr_strings.h>
#include <http_request.h>

#include "api/chaos_json.h"
#include "chaos/chaos.h"
#include "host.h"
#include "http/json.h"
#include "http/reply.h"
#include "http/request.h"
#include "incident.h"

/* The word of an incident's body that no scenario has for itself. */
#define DURATION "duration_s"

/* A one-shot that answers when it is done: it bounds itself, this is only for
 * one whose child dies meanwhile. */
#define RUN_SPAN apr_time_from_sec(180)

#define CLOSE_PATIENCE apr_time_from_sec(2)
#define CLOSE_STEP apr_time_from_msec(10)

/* ---- what is asked for ---- */

typedef struct order_t {
    const chaos_scenario_t *scenario;
    chaos_args_t *args;
    apr_int64_t duration_s;     /* 0: a one-shot */
} order_t;

/* One member of the body as a scenario's argument.
 * @return APR_EINVAL: neither number, truth nor text */
static apr_status_t read_value(chaos_value_t *value, const char *name,
                               json_t *member)
{
    value->name = name;
    switch (json_typeof(member)) {
    case JSON_INTEGER:
        value->kind = CHAOS_INT;
        value->number = json_integer_value(member);
        return APR_SUCCESS;
    case JSON_TRUE:
    case JSON_FALSE:
        value->kind = CHAOS_BOOL;
        value->number = json_is_true(member);
        return APR_SUCCESS;
    case JSON_STRING:
        value->kind = CHAOS_WORD;
        value->word = json_string_value(member);
        return APR_SUCCESS;
    default:
        return APR_EINVAL;
    }
}

/* @return APR_SUCCESS, APR_EINVAL or CHAOS_ERANGE */
static apr_status_t read_duration(order_t *order, json_t *member,
                                  const char **why, const call_t *call)
{
    *why = apr_psprintf(call->pool, DURATION " must be a whole number from 1 "
                        "to %" APR_INT64_T_FMT,
                        call->conf->chaos_max_duration);
    if (!json_is_integer(member)) {
        return APR_EINVAL;
    }
    order->duration_s = json_integer_value(member);
    return order->duration_s < 1
        || order->duration_s > call->conf->chaos_max_duration
        ? CHAOS_ERANGE : APR_SUCCESS;
}

/* Caps that the operator set below the scenario's own. */
static apr_status_t check_caps(const order_t *order, const char **why,
                               const call_t *call)
{
    const struct { const char *name; apr_int64_t cap; } caps[] = {
        { "limit_mb", call->conf->chaos_max_memory },
        { "percent", call->conf->chaos_max_cpu },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        if (chaos_param_find(order->scenario, caps[i].name) != NULL
            && chaos_args_int(order->args, caps[i].name) > caps[i].cap) {
            *why = apr_psprintf(call->pool, "%s must be at most %"
                                APR_INT64_T_FMT " on this server",
                                caps[i].name, caps[i].cap);
            return CHAOS_ERANGE;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t read_member(order_t *order, const char *name,
                                json_t *member, const char **why,
                                const call_t *call)
{
    chaos_value_t value;
    apr_status_t rv;

    if (strcmp(name, DURATION) == 0) {
        return read_duration(order, member, why, call);
    }
    rv = read_value(&value, name, member);
    if (rv != APR_SUCCESS) {
        *why = apr_psprintf(call->pool, "%s must be a whole number, a text, "
                            "true or false", name);
        return rv;
    }
    return chaos_args_set(order->args, &value, why);
}

/* @return APR_SUCCESS; anything else: answered */
static apr_status_t read_order(order_t *order, int *answer, call_t *call)
{
    apr_status_t rv;
    const char *name, *why;
    json_t *body, *member;

    memset(order, 0, sizeof(*order));
    order->scenario = chaos_find(call->segment);
    if (order->scenario == NULL) {
        *answer = reply_error(call, HTTP_NOT_FOUND, "No such scenario");
        return APR_NOTFOUND;
    }
    rv = request_body(&body, answer, call);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    order->args = chaos_args_create(order->scenario, call->pool);
    json_object_foreach(body, name, member) {
        if (rv == APR_SUCCESS) {
            rv = read_member(order, name, member, &why, call);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = check_caps(order, &why, call);
    }
    if (rv != APR_SUCCESS) {
        *answer = reply_error(call, rv == CHAOS_ERANGE
                              ? HTTP_UNPROCESSABLE_ENTITY : HTTP_BAD_REQUEST,
                              why);
    }
    return rv;
}

/* ---- begin ---- */

static apr_status_t arm(incident_t **incident, int *answer,
                        const order_t *order, apr_interval_time_t span,
                        call_t *call)
{
    incident_order_t wanted = {
        .scenario = order->scenario, .args = order->args, .span = span,
        .once = order->duration_s == 0,
        .live_max = (int)call->conf->chaos_max_incidents
    };
    apr_status_t rv = incident_arm(incident, &wanted);

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

static int begin_incident(const order_t *order, call_t *call)
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
static int run_later(const order_t *order, call_t *call)
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
    apr_time_t deadline = apr_time_now() + CLOSE_PATIENCE;

    while (incident_is_live(incident) && apr_time_now() < deadline) {
        apr_sleep(CLOSE_STEP);
    }
}

static int run_now(const order_t *order, call_t *call)
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
    order_t order;
    int answer;

    if (read_order(&order, &answer, call) != APR_SUCCESS) {
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

/* ---- look ---- */

/* Whether the toggle of a scenario's route is on: what its place says. */
static int is_open(const chaos_scenario_t *scenario, call_t *call)
{
    request_rec *lookup = ap_sub_req_lookup_uri(
        apr_pstrcat(call->pool, "/api/chaos/", scenario->name, NULL),
        call->r, NULL);
    int open = patient_place(lookup)->chaos == 1;

    ap_destroy_sub_req(lookup);
    return open;
}

/* GET /api/chaos */
static int show_catalogue(call_t *call)
{
    const chaos_scenario_t *const *scenario;
    json_t *list = json_array();

    for (scenario = chaos_all(); *scenario != NULL; scenario++) {
        json_t *entry = chaos_scenario_json(*scenario, call->conf,
                                            call->pool);
        incident_t *incident = incident_of(*scenario);

        json_object_set_new(entry, "open",
                            json_boolean(is_open(*scenario, call)));
        json_object_set_new(entry, "running", incident
                            ? chaos_incident_json(incident, call->pool)
                            : json_null());
        json_array_append_new(list, entry);
    }
    return reply_json(call, HTTP_OK, json_pack("{s:o}", "scenarios", list));
}

static int is_newer(const void *a, const void *b)
{
    const incident_t *const *left = a, *const *right = b;

    return (*left)->armed < (*right)->armed ? 1
        : (*left)->armed > (*right)->armed ? -1 : 0;
}

/* GET /api/chaos/incidents */
static int list_incidents(call_t *call)
{
    incident_t *found[INCIDENT_SLOTS] = { NULL };
    incident_t *slots = incident_slots();
    json_t *list = json_array();
    int i, count = 0;

    for (i = 0; i < INCIDENT_SLOTS; i++) {
        if (apr_atomic_read32(&slots[i].state) >= INCIDENT_ARMED) {
            found[count++] = &slots[i];
        }
    }
    qsort(found, (size_t)count, sizeof(incident_t *), is_newer);
    for (i = 0; i < count; i++) {
        json_array_append_new(list, chaos_incident_json(found[i],
                                                        call->pool));
    }
    return reply_json(call, HTTP_OK, json_pack("{s:o}", "incidents", list));
}

/* GET /api/chaos/incidents/{id} */
static int show_incident(call_t *call)
{
    incident_t *incident = incident_by_id(call->segment);

    return incident
        ? reply_json(call, HTTP_OK, chaos_incident_json(incident, call->pool))
        : reply_error(call, HTTP_NOT_FOUND, "No such incident");
}

const route_t chaos_routes[] = {
    { M_GET, "/api/chaos", ROUTE_OPERATOR, show_catalogue, ROUTE_VITAL },
    { M_GET, "/api/chaos/incidents", ROUTE_OPERATOR, list_incidents,
      ROUTE_VITAL },
    { M_GET, "/api/chaos/incidents/:id", ROUTE_OPERATOR, show_incident,
      ROUTE_VITAL },
    { M_POST, "/api/chaos/halt", ROUTE_OPERATOR, halt, ROUTE_VITAL },
    { M_POST, "/api/chaos/:name", ROUTE_OPERATOR, run_scenario, ROUTE_VITAL },
    { M_DELETE, "/api/chaos/:name", ROUTE_OPERATOR, stop_scenario,
      ROUTE_VITAL },
    ROUTE_END
};
