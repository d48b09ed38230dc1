/*
 * ledger.c - the truth about each incident, for who grades a diagnosis.
 */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "http/json.h"

static apr_file_t *file;

apr_status_t ledger_open(const char *path, apr_pool_t *pconf)
{
    file = NULL;
    if (path == NULL) {
        return APR_SUCCESS;
    }
    return apr_file_open(&file, path,
                         APR_FOPEN_WRITE | APR_FOPEN_CREATE
                         | APR_FOPEN_APPEND,
                         APR_FPROT_UREAD | APR_FPROT_UWRITE
                         | APR_FPROT_GREAD, pconf);
}

static json_t *figures_json(const chaos_figures_t *figures)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}",
        "requests", (json_int_t)figures->requests,
        "status4xx", (json_int_t)figures->status_4xx,
        "status5xx", (json_int_t)figures->status_5xx,
        "poolTimeouts", (json_int_t)figures->pool_timeouts,
        "waitingPeak", (json_int_t)figures->waiting_peak,
        "met", (json_int_t)figures->bitten,
        "felt", (json_int_t)figures->felt,
        "p95Ms", (double)figures->p95 / 1000,
        "rssMB", (double)figures->rss / (1024 * 1024),
        "cpuPercent", figures->cpu_percent);
}

json_t *ledger_evidence(const incident_t *incident)
{
    json_t *evidence = json_pack(
        "{s:o, s:o}",
        "before", figures_json(&incident->before),
        "during", figures_json(&incident->during));

    if (incident->why[0] != '\0') {
        json_object_set_new(evidence, "why", json_string(incident->why));
    }
    return evidence;
}

json_t *ledger_parameters(const incident_t *incident, apr_pool_t *pool)
{
    const chaos_param_t *param = incident_scenario(incident)->params;
    chaos_args_t *args = incident_args(incident, pool);
    json_t *object = json_object();

    for (; param != NULL && param->name != NULL; param++) {
        json_object_set_new(
            object, param->name,
            param->kind == CHAOS_WORD
            ? json_string(chaos_args_word(args, param->name))
            : param->kind == CHAOS_BOOL
            ? json_boolean(chaos_args_bool(args, param->name))
            : json_integer((json_int_t)chaos_args_int(args, param->name)));
    }
    return object;
}

static json_t *entry_json(const incident_t *incident, apr_pool_t *pool)
{
    const chaos_scenario_t *scenario = incident_scenario(incident);

    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:{s:s, s:s}}",
        "id", incident->id,
        "label", scenario->label,
        "kind", incident->once ? "one-shot" : "incident",
        "state", incident_state_name(incident),
        "start", json_time(incident->armed),
        "end", json_time(incident->ended),
        "parameters", ledger_parameters(incident, pool),
        "severity", scenario->severity,
        "evidence", ledger_evidence(incident),
        "diagnosis",
        "en", scenario->diagnosis_en,
        "ko", scenario->diagnosis_ko);
}

void ledger_add(const incident_t *incident)
{
    apr_pool_t *pool;
    json_t *entry;
    char *text;

    if (file == NULL || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return;
    }
    entry = entry_json(incident, pool);
    text = json_dumps(entry, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text != NULL) {
        const char *line = apr_pstrcat(pool, text, "\n", NULL);

        apr_file_write_full(file, line, strlen(line), NULL);
        free(text);
    }
    json_decref(entry);
    apr_pool_destroy(pool);
}
