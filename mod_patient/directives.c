/*
 * directives.c - what may stand in httpd.conf, and where it goes.
 */
#include "conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_network_io.h>
#include <apr_strings.h>

#include "patient.h"

/* A value written env:NAME is the environment's, byte for byte: httpd's own
 * ${NAME} would be parsed for quotes and backslashes. */
static const char *resolve(const char *value)
{
    if (strncmp(value, "env:", 4) == 0) {
        value = getenv(value + 4);
    }
    return value && *value ? value : NULL;
}

static const char *take_text(cmd_parms *cmd, void *place, const char *value)
{
    char *conf = ap_get_module_config(cmd->server->module_config,
                                      &patient_module);
    apr_size_t offset = (apr_size_t)cmd->info;

    (void)place;
    *(const char **)(conf + offset) = resolve(value);
    return NULL;
}

/* What a directive with a number takes, and where it goes. */
typedef struct number_t {
    apr_size_t offset;          /* of an apr_int64_t in patient_conf_t */
    apr_int64_t min, max;
    apr_int64_t scale;          /* stored is the value times this */
    const char *unit;
} number_t;

static const char *take_number(cmd_parms *cmd, void *place, const char *text)
{
    char *conf = ap_get_module_config(cmd->server->module_config,
                                      &patient_module);
    const number_t *number = cmd->info;
    const char *value = resolve(text);
    apr_int64_t n;
    char *end;

    (void)place;
    if (value == NULL) {
        return NULL;            /* env:NAME, and not set: the default */
    }
    errno = 0;
    n = apr_strtoi64(value, &end, 10);
    if (errno || *end || !apr_isdigit(*value)
        || n < number->min || n > number->max) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no whole number from %"
                            APR_INT64_T_FMT " to %" APR_INT64_T_FMT " (%s)",
                            cmd->cmd->name, value, number->min, number->max,
                            number->unit);
    }
    *(apr_int64_t *)(conf + number->offset) = n * number->scale;
    return NULL;
}

static const char *take_chaos_mode(cmd_parms *cmd, void *place,
                                   const char *text)
{
    patient_conf_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &patient_module);
    const char *value = resolve(text);

    (void)place;
    if (value == NULL || strcmp(value, "false") == 0) {
        conf->chaos_mode = 0;
    }
    else if (strcmp(value, "true") == 0) {
        conf->chaos_mode = 1;
    }
    else {
        return apr_psprintf(cmd->pool, "%s (CHAOS_MODE): '%s' is neither "
                            "true nor false", cmd->cmd->name, value);
    }
    return NULL;
}

static const char *take_chaos_upstream(cmd_parms *cmd, void *place,
                                       const char *text)
{
    const char *value = resolve(text);

    if (value != NULL && strncmp(value, "http://", 7) != 0
        && strncmp(value, "https://", 8) != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no http or https URL",
                            cmd->cmd->name, value);
    }
    return take_text(cmd, place, text);
}

static const char *take_file(cmd_parms *cmd, void *place, const char *text)
{
    const char *value = resolve(text);

    return take_text(cmd, place, value
                     ? ap_server_root_relative(cmd->pool, value) : "");
}

static const char *take_chaos_endpoint(cmd_parms *cmd, void *place,
                                       const char *text)
{
    patient_conf_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &patient_module);
    const char *value = resolve(text);
    char *host, *scope;
    apr_port_t port;

    (void)place;
    if (value == NULL) {
        return NULL;
    }
    if (apr_parse_addr_port(&host, &scope, &port, value, cmd->pool)
        != APR_SUCCESS || host == NULL || port == 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no host:port",
                            cmd->cmd->name, value);
    }
    conf->chaos_endpoint_host = host;
    conf->chaos_endpoint_port = port;
    return NULL;
}

static const char *take_engine(cmd_parms *cmd, void *place, int on)
{
    patient_conf_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &patient_module);

    (void)place;
    conf->engine = on;
    return NULL;
}

static const char *take_chaos(cmd_parms *cmd, void *place, int on)
{
    (void)cmd;
    ((patient_place_t *)place)->chaos = on;
    return NULL;
}

#define FIELD(name) APR_OFFSETOF(patient_conf_t, name)

static const number_t database_port =
    { FIELD(database_port), 1, 65535, 1, "a TCP port" };
static const number_t token_lifetime =
    { FIELD(token_lifetime), 1, 31536000, 1, "seconds" };
static const number_t max_body =
    { FIELD(max_body), 1024, 16777216, 1, "bytes" };
static const number_t pool_acquire =
    { FIELD(pool_acquire), 1, 600000, 1000, "milliseconds" };
static const number_t chaos_max_duration =
    { FIELD(chaos_max_duration), 1, 86400, 1, "seconds" };
static const number_t chaos_max_memory =
    { FIELD(chaos_max_memory), 1, 65536, 1, "MiB" };
static const number_t chaos_max_cpu =
    { FIELD(chaos_max_cpu), 1, 100, 1, "percent" };
static const number_t chaos_max_incidents =
    { FIELD(chaos_max_incidents), 1, 7, 1, "incidents" };
static const number_t metrics_interval =
    { FIELD(metrics_interval), 0, 3600, APR_USEC_PER_SEC, "seconds" };
static const number_t pool_waiters =
    { FIELD(pool_waiters), 0, 100000, 1, "requests" };

const command_rec patient_directives[] = {
    AP_INIT_FLAG("PatientEngine", take_engine, NULL, RSRC_CONF,
                 "On makes this server a patient: it serves the API and "
                 "nothing of the file system, its errors are JSON, and every "
                 "request is in the log"),
    AP_INIT_TAKE1("PatientEnvironment", take_text,
                  (void *)FIELD(environment), RSRC_CONF,
                  "what this server is for, as NODE_ENV says: production, "
                  "development, ..."),
    AP_INIT_TAKE1("PatientDatabaseHost", take_text,
                  (void *)FIELD(database_host), RSRC_CONF,
                  "the database's host, as shown in /health and in the log"),
    AP_INIT_TAKE1("PatientDatabasePort", take_number,
                  (void *)&database_port, RSRC_CONF,
                  "the database's port, as shown in the log"),
    AP_INIT_TAKE1("PatientJwtSecret", take_text,
                  (void *)FIELD(jwt_secret), RSRC_CONF,
                  "the key that signs tokens; better env:NAME than in here"),
    AP_INIT_TAKE1("PatientTokenLifetime", take_number,
                  (void *)&token_lifetime, RSRC_CONF,
                  "seconds until a token expires"),
    AP_INIT_TAKE1("PatientCorsOrigin", take_text,
                  (void *)FIELD(cors_origin), RSRC_CONF,
                  "origins that browsers may call from: *, or a list apart "
                  "by commas"),
    AP_INIT_TAKE1("PatientMaxBody", take_number, (void *)&max_body, RSRC_CONF,
                  "bytes that a request's body may have"),
    AP_INIT_TAKE1("PatientPoolAcquire", take_number, (void *)&pool_acquire,
                  RSRC_CONF,
                  "milliseconds that a request waits for a database "
                  "connection"),
    AP_INIT_TAKE1("PatientPoolWaiters", take_number, (void *)&pool_waiters,
                  RSRC_CONF,
                  "how many requests may wait for a connection at once, in "
                  "each child; keep it below ThreadsPerChild - DBDMax"),
    AP_INIT_TAKE1("PatientMetricsInterval", take_number,
                  (void *)&metrics_interval, RSRC_CONF,
                  "seconds between two lines of figures in the log "
                  "(CloudWatch Embedded Metric Format); 0 for none"),
    AP_INIT_TAKE1("PatientChaosMode", take_chaos_mode, NULL, RSRC_CONF,
                  "true opens the operator's routes whose place says "
                  "PatientChaos On"),
    AP_INIT_TAKE1("PatientChaosToken", take_text,
                  (void *)FIELD(chaos_token), RSRC_CONF,
                  "the bearer token that the operator's routes ask for"),
    AP_INIT_TAKE1("PatientChaosDbEndpoint", take_chaos_endpoint, NULL,
                  RSRC_CONF,
                  "host:port where db-fail looks for the database"),
    AP_INIT_TAKE1("PatientChaosUpstream", take_chaos_upstream,
                  (void *)FIELD(chaos_upstream), RSRC_CONF,
                  "URL of a slow service that api-timeout calls"),
    AP_INIT_TAKE1("PatientChaosMaxDuration", take_number,
                  (void *)&chaos_max_duration, RSRC_CONF,
                  "seconds that an incident may last"),
    AP_INIT_TAKE1("PatientChaosMaxMemory", take_number,
                  (void *)&chaos_max_memory, RSRC_CONF,
                  "MiB that memory-leak may fill"),
    AP_INIT_TAKE1("PatientChaosMaxCpu", take_number,
                  (void *)&chaos_max_cpu, RSRC_CONF,
                  "percent of the CPUs that high-cpu may burn"),
    AP_INIT_TAKE1("PatientChaosMaxIncidents", take_number,
                  (void *)&chaos_max_incidents, RSRC_CONF,
                  "incidents that may run at once"),
    AP_INIT_TAKE1("PatientLedger", take_file, (void *)FIELD(ledger),
                  RSRC_CONF,
                  "the file that keeps the truth about each incident, "
                  "relative to ServerRoot"),
    AP_INIT_FLAG("PatientChaos", take_chaos, NULL, ACCESS_CONF,
                 "On opens the operator's routes of this place"),
    { .name = NULL }
};
