/*
 * chaos_look.c - what the operator may look at: scenarios and incidents.
 */
#include "api/chaos_look.h"

#include <stdlib.h>

#include <apr_strings.h>
#include <http_request.h>

#include "api/chaos_json.h"
#include "http/json.h"
#include "http/reply.h"
#include "incident.h"
#include "ledger.h"
#include "log/errorlog.h"
#include "log/recent.h"

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

static json_t *incident_or_null(const incident_t *incident, call_t *call)
{
    return incident ? chaos_incident_json(incident, call->pool)
                    : json_null();
}

static json_t *entry_json(const chaos_scenario_t *scenario, call_t *call)
{
    json_t *entry = chaos_scenario_json(scenario, call->conf, call->pool);

    json_object_set_new(entry, "open", json_boolean(is_open(scenario, call)));
    json_object_set_new(entry, "running",
                        incident_or_null(incident_of(scenario), call));
    json_object_set_new(entry, "last",
                        incident_or_null(incident_last(scenario), call));
    return entry;
}

int chaos_show_catalogue(call_t *call)
{
    const chaos_scenario_t *const *scenario;
    json_t *list = json_array();

    for (scenario = chaos_all(); *scenario != NULL; scenario++) {
        json_array_append_new(list, entry_json(*scenario, call));
    }
    return reply_json(call, HTTP_OK, json_pack("{s:o}", "scenarios", list));
}

int chaos_show_scenario(call_t *call)
{
    const chaos_scenario_t *scenario = chaos_find(call->segment);

    return scenario
        ? reply_json(call, HTTP_OK, entry_json(scenario, call))
        : reply_error(call, HTTP_NOT_FOUND, "No such scenario");
}

int chaos_show_ledger(call_t *call)
{
    const char *text;
    apr_size_t len;

    ledger_read(&text, &len, call->pool);
    return reply_text(call, "application/x-ndjson; charset=utf-8", text, len);
}

static int is_newer(const void *a, const void *b)
{
    const incident_t *const *left = a, *const *right = b;

    return (*left)->begun < (*right)->begun ? 1
        : (*left)->begun > (*right)->begun ? -1 : 0;
}

int chaos_list_incidents(call_t *call)
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

int chaos_show_incident(call_t *call)
{
    incident_t *incident = incident_by_id(call->segment);

    return incident
        ? reply_json(call, HTTP_OK, chaos_incident_json(incident, call->pool))
        : reply_error(call, HTTP_NOT_FOUND, "No such incident");
}

/* ---- the log, as its readers have it ---- */

/* The digits of an event's id, as many as CloudWatch's have. */
#define EVENT_ID "%036" APR_TIME_T_FMT "%020" APR_UINT64_T_FMT

static json_t *log_event(const recent_line_t *line, const char *stream,
                         apr_pool_t *pool)
{
    json_int_t when = apr_time_as_msec(line->written);

    return json_pack("{s:s, s:I, s:o, s:I, s:s}",
                     "logStreamName", stream,
                     "timestamp", when,
                     "message", json_text(line->text, pool),
                     "ingestionTime", when,
                     "eventId", apr_psprintf(pool, EVENT_ID, line->written,
                                             line->number));
}

typedef struct page_event_t {
    apr_time_t written;
    apr_uint64_t number;
    json_t *json;
} page_event_t;

/* Who has the lower number may have come to its time later. */
static int compare_events(const void *a, const void *b)
{
    const page_event_t *one = a, *other = b;

    if (one->written != other->written) {
        return one->written < other->written ? -1 : 1;
    }
    return one->number < other->number ? -1 : 1;
}

int chaos_show_page(call_t *call)
{
    const char *task = errorlog_task_name();
    const char *stream = apr_pstrcat(call->pool, "patient/patient",
                                     task ? "/" : "", task, NULL);
    recent_line_t *line = apr_palloc(call->pool, sizeof(*line));
    page_event_t found[RECENT_MAX] = { { 0, 0, NULL } };
    json_t *events = json_array();
    apr_uint64_t number = 0;
    int count = 0, i;

    while (count < RECENT_MAX && recent_next(line, number)) {
        number = line->number;
        found[count].written = line->written;
        found[count].number = number;
        found[count++].json = log_event(line, stream, call->pool);
    }
    qsort(found, (size_t)count, sizeof(found[0]), compare_events);
    for (i = 0; i < count; i++) {
        json_array_append_new(events, found[i].json);
    }
    return reply_json(call, HTTP_OK, json_pack(
        "{s:o, s:[]}", "events", events, "searchedLogStreams"));
}
