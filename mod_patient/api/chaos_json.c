/*
 * chaos_json.c - scenarios and incidents as the operator's API shows them.
 */
#include "api/chaos_json.h"

#include <string.h>

#include "host.h"
#include "http/json.h"
#include "ledger.h"

static json_t *value_json(const chaos_value_t *value, apr_pool_t *pool)
{
    switch (value->kind) {
    case CHAOS_INT:
        return json_integer((json_int_t)value->number);
    case CHAOS_BOOL:
        return json_boolean(value->number);
    case CHAOS_REAL:
        return json_real(value->real);
    default:
        return json_text(value->word, pool);
    }
}

json_t *chaos_report_json(const chaos_report_t *report, apr_pool_t *pool)
{
    json_t *object = json_object();
    int i;

    for (i = 0; i < report->values->nelts; i++) {
        const chaos_value_t *value =
            &APR_ARRAY_IDX(report->values, i, chaos_value_t);

        json_object_set_new(object, value->name, value_json(value, pool));
    }
    return object;
}

/* ---- scenarios ---- */

static json_t *words_json(const char *const *words)
{
    json_t *list = json_array();

    for (; *words != NULL; words++) {
        json_array_append_new(list, json_string(*words));
    }
    return list;
}

static json_t *param_json(const chaos_param_t *param,
                          const patient_conf_t *conf)
{
    apr_int64_t cap = host_cap(param->role, conf);
    json_t *object = json_pack("{s:s, s:s}", "name", param->name, "help",
                               param->help);

    switch (param->kind) {
    case CHAOS_WORD:
        json_object_set_new(object, "type", json_string("string"));
        json_object_set_new(object, "default", json_string(param->words[0]));
        json_object_set_new(object, "values", words_json(param->words));
        break;
    case CHAOS_BOOL:
        json_object_set_new(object, "type", json_string("boolean"));
        json_object_set_new(object, "default",
                            json_boolean(param->fallback));
        break;
    default:
        json_object_set_new(object, "type", json_string("integer"));
        json_object_set_new(object, "default", json_integer(
            (json_int_t)param->fallback));
        json_object_set_new(object, "min", json_integer(
            (json_int_t)param->min));
        json_object_set_new(object, "max", json_integer(
            (json_int_t)(cap < param->cap ? cap : param->cap)));
        break;
    }
    return object;
}

json_t *chaos_scenario_json(const chaos_scenario_t *scenario,
                            const patient_conf_t *conf, apr_pool_t *pool)
{
    const chaos_param_t *param = scenario->params;
    json_t *params = json_array();

    (void)pool;
    json_array_append_new(params, json_pack(
        "{s:s, s:s, s:s, s:n, s:i, s:I}", "name", "duration_s",
        "help", "makes it an incident of so many seconds",
        "type", "integer", "default", "min", 1,
        "max", (json_int_t)conf->chaos_max_duration));
    for (; param != NULL && param->name != NULL; param++) {
        json_array_append_new(params, param_json(param, conf));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:o}",
                     "name", scenario->name, "title", scenario->title,
                     "summary", scenario->summary,
                     "signal", scenario->signal, "parameters", params);
}

/* ---- incidents ---- */

/* Times are told in whole milliseconds, and an end must not be told early. */
#define ROUND_UP 999

/* The moment of its end: that it came to, or that is set. */
static json_t *end_of(const incident_t *incident)
{
    return json_time(
        incident->ended
        ? incident_time(incident, incident->ended)
        : incident_time(incident, (apr_uint64_t)incident->until) + ROUND_UP);
}

json_t *chaos_incident_json(const incident_t *incident, apr_pool_t *pool)
{
    int live = incident_is_live(incident);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o}",
        "id", incident->id,
        "scenario", incident_scenario(incident)->name,
        "kind", incident->once ? "one-shot" : "incident",
        "state", incident_state_name(incident),
        "recovering", live && incident_is_over(incident),
        "endsAt", end_of(incident),
        "parameters", ledger_parameters(incident, pool),
        "evidence", ledger_evidence(incident));

    ledger_add_times(object, incident);
    return object;
}
