/*
 * directives.c - what may stand in httpd.conf, and where it goes.
 */
#include "conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_network_io.h>
#include <apr_strings.h>

#include "datetime.h"
#include "grant.h"
#include "patient.h"

/* Longer than any value that makes sense. */
#define VALUE_MAX 8192

/* The whole of a file but a last newline: a secret's better place than a
 * configuration that mod_info shows. Read while httpd starts, so by root. */
static const char *read_value(const char **value, cmd_parms *cmd,
                              const char *name)
{
    const char *path = ap_server_root_relative(cmd->pool, name);
    char *text = apr_palloc(cmd->pool, VALUE_MAX + 1);
    apr_size_t len = 0;
    apr_file_t *file;
    apr_status_t rv = path ? apr_file_open(&file, path, APR_READ,
                                           APR_OS_DEFAULT, cmd->temp_pool)
                           : APR_EBADPATH;

    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, text, VALUE_MAX + 1, &len);
        apr_file_close(file);
    }
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        return apr_psprintf(cmd->pool, "%s: the file %s cannot be read: %pm",
                            cmd->cmd->name, name, &rv);
    }
    if (len > VALUE_MAX || memchr(text, '\0', len) != NULL) {
        return apr_psprintf(cmd->pool, "%s: the file %s has more than %d "
                            "bytes, or a NUL", cmd->cmd->name, name,
                            VALUE_MAX);
    }
    len -= len > 0 && text[len - 1] == '\n';
    if (len == 0) {             /* as if it were not set: a token, say */
        return apr_psprintf(cmd->pool, "%s: the file %s is empty",
                            cmd->cmd->name, name);
    }
    text[len] = '\0';
    *value = text;
    return NULL;
}

/* A value written env:NAME is the environment's, byte for byte: httpd's own
 * ${NAME} would be parsed for quotes and backslashes. Written file:PATH it is
 * what stands in that file.
 * @param value NULL: empty, or not set
 * @return what is wrong, or NULL */
static const char *resolve(const char **value, cmd_parms *cmd,
                           const char *text)
{
    const char *problem = NULL;

    *value = text;
    if (strncmp(text, "env:", 4) == 0) {
        *value = getenv(text + 4);
    }
    else if (strncmp(text, "file:", 5) == 0) {
        problem = read_value(value, cmd, text + 5);
    }
    if (*value != NULL && **value == '\0') {
        *value = NULL;
    }
    return problem;
}

/* How a value is called that is wrong: by the variable, too, which is all that
 * an operator may know of it. */
static const char *name_of(cmd_parms *cmd, const char *text)
{
    return strncmp(text, "env:", 4) == 0
        ? apr_psprintf(cmd->pool, "%s (%s)", text + 4, cmd->cmd->name)
        : cmd->cmd->name;
}

static void *conf_of(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &patient_module);
}

static void put_text(cmd_parms *cmd, const char *value)
{
    *(const char **)((char *)conf_of(cmd) + (apr_size_t)cmd->info) = value;
}

static const char *take_text(cmd_parms *cmd, void *place, const char *text)
{
    const char *value;
    const char *problem = resolve(&value, cmd, text);

    (void)place;
    if (problem == NULL) {
        put_text(cmd, value);
    }
    return problem;
}

/* Only production asks for a secret, so a word that is none of these must not
 * pass for anything else. */
static const char *take_environment(cmd_parms *cmd, void *place,
                                    const char *text)
{
    static const char *const names[] = { "development", "test",
                                         "production" };
    const char *value;
    const char *problem = resolve(&value, cmd, text);
    apr_size_t i;

    (void)place;
    if (problem != NULL || value == NULL) {
        return problem;
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            put_text(cmd, value);
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "%s (NODE_ENV): '%s' is none of "
                        "development, test, production", cmd->cmd->name,
                        ap_escape_logitem(cmd->pool, value));
}

/* A list of what a browser may send as Origin, or *: what no browser ever
 * sends is a mistake. */
static const char *take_origins(cmd_parms *cmd, void *place, const char *text)
{
    const char *value;
    const char *problem = resolve(&value, cmd, text);
    const char *item;
    char *rest, *list;

    (void)place;
    if (problem != NULL || value == NULL || strcmp(value, "*") == 0) {
        put_text(cmd, value);
        return problem;
    }
    list = apr_pstrdup(cmd->temp_pool, value);
    for (item = apr_strtok(list, ", \t", &rest); item != NULL;
         item = apr_strtok(NULL, ", \t", &rest)) {
        const char *host = strstr(item, "://");

        if (host == NULL || host == item || host[3] == '\0'
            || strcspn(host + 3, "/?#@*") != strlen(host + 3)) {
            return apr_psprintf(cmd->pool, "%s (CORS_ORIGIN): '%s' is no "
                                "origin like https://www.example.org, and "
                                "* stands alone", cmd->cmd->name,
                                ap_escape_logitem(cmd->pool, item));
        }
    }
    put_text(cmd, value);
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
    const number_t *number = cmd->info;
    const char *value;
    const char *problem = resolve(&value, cmd, text);
    apr_int64_t n;
    char *end;

    (void)place;
    if (problem != NULL || value == NULL) {
        return problem;         /* env:NAME, and not set: the default */
    }
    errno = 0;
    n = apr_strtoi64(value, &end, 10);
    if (errno || *end || !apr_isdigit(*value)
        || n < number->min || n > number->max) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no whole number from %"
                            APR_INT64_T_FMT " to %" APR_INT64_T_FMT " (%s)",
                            name_of(cmd, text), value, number->min,
                            number->max, number->unit);
    }
    *(apr_int64_t *)((char *)conf_of(cmd) + number->offset)
        = n * number->scale;
    return NULL;
}

static const char *take_cpus(cmd_parms *cmd, void *place, const char *text)
{
    patient_conf_t *conf = conf_of(cmd);
    const char *value;
    const char *problem = resolve(&value, cmd, text);

    (void)place;
    if (problem != NULL || value == NULL) {
        return problem;
    }
    return grant_parse_cpus(&conf->cpus, value) ? NULL
        : apr_psprintf(cmd->pool, "%s: '%s' is no number of CPUs from %.2f to "
                       "%d, such as 0.25", name_of(cmd, text), value,
                       GRANT_CPUS_MIN, GRANT_CPUS_MAX);
}

static const char *take_chaos_mode(cmd_parms *cmd, void *place,
                                   const char *text)
{
    patient_conf_t *conf = conf_of(cmd);
    const char *value;
    const char *problem = resolve(&value, cmd, text);

    (void)place;
    if (problem != NULL) {
        return problem;
    }
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
    const char *value;
    const char *problem = resolve(&value, cmd, text);

    (void)place;
    if (problem != NULL) {
        return problem;
    }
    if (value != NULL && strncmp(value, "http://", 7) != 0
        && strncmp(value, "https://", 8) != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no http or https URL",
                            cmd->cmd->name, value);
    }
    put_text(cmd, value);
    return NULL;
}

static const char *take_zone(cmd_parms *cmd, void *place, const char *text)
{
    const char *value;
    const char *problem = resolve(&value, cmd, text);
    int seconds;

    (void)place;
    if (problem == NULL && value != NULL && !datetime_zone(&seconds, value)) {
        problem = apr_psprintf(
            cmd->pool, "%s (DB_TIMEZONE): '%s' is no offset from UTC from "
            "-13:59 to +14:00, such as +09:00", cmd->cmd->name, value);
    }
    if (problem == NULL) {
        put_text(cmd, value);
    }
    return problem;
}

static const char *take_health_status(cmd_parms *cmd, void *place,
                                      const char *text)
{
    patient_conf_t *conf = conf_of(cmd);

    (void)place;
    if (strcmp(text, "200") != 0 && strcmp(text, "503") != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is neither 200 nor 503",
                            cmd->cmd->name, text);
    }
    conf->health_status = atoi(text);
    return NULL;
}

static const char *take_path(cmd_parms *cmd, void *place, const char *text)
{
    const char *value;
    const char *problem = resolve(&value, cmd, text);

    (void)place;
    if (problem == NULL && value != NULL) {
        value = ap_server_root_relative(cmd->pool, value);
        problem = value ? NULL
                        : apr_psprintf(cmd->pool, "%s: '%s' is no path",
                                       cmd->cmd->name, text);
    }
    if (problem == NULL) {
        put_text(cmd, value);
    }
    return problem;
}

static const char *take_chaos_endpoint(cmd_parms *cmd, void *place,
                                       const char *text)
{
    patient_conf_t *conf = conf_of(cmd);
    const char *value;
    const char *problem = resolve(&value, cmd, text);
    char *host, *scope;
    apr_port_t port;

    (void)place;
    if (problem != NULL || value == NULL) {
        return problem;
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
    (void)place;
    ((patient_conf_t *)conf_of(cmd))->engine = on;
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
static const number_t health_status =
    { FIELD(health_status), 200, 503, 1, "an HTTP status" };
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
static const number_t log_pulse =
    { FIELD(log_pulse), 0, 300, APR_USEC_PER_SEC, "seconds" };
static const number_t memory =
    { FIELD(memory), GRANT_MEMORY_MB_MIN, GRANT_MEMORY_MB_MAX, 1, "MiB" };
static const number_t pool_waiters =
    { FIELD(pool_waiters), 0, 100000, 1, "requests" };

const command_rec patient_directives[] = {
    AP_INIT_FLAG("PatientEngine", take_engine, NULL, RSRC_CONF,
                 "On makes this server a patient: it serves the API and "
                 "nothing of the file system, its errors are JSON, and every "
                 "request is in the log"),
    AP_INIT_TAKE1("PatientEnvironment", take_environment,
                  (void *)FIELD(environment), RSRC_CONF,
                  "what this server is for, as NODE_ENV says: development, "
                  "test or production"),
    AP_INIT_TAKE1("PatientDatabaseHost", take_text,
                  (void *)FIELD(database_host), RSRC_CONF,
                  "the database's host, as shown in /health and in the log"),
    AP_INIT_TAKE1("PatientDatabasePort", take_number,
                  (void *)&database_port, RSRC_CONF,
                  "the database's port, as shown in the log"),
    AP_INIT_TAKE1("PatientDatabaseTimezone", take_zone,
                  (void *)FIELD(database_zone), RSRC_CONF,
                  "the zone that DATETIME columns are written in, as "
                  "DB_TIMEZONE says: +09:00, +00:00, ..."),
    AP_INIT_TAKE1("PatientDatabaseHome", take_path,
                  (void *)FIELD(database_home), RSRC_CONF,
                  "the directory whose my.cnf libmariadb reads, relative to "
                  "ServerRoot: MARIADB_HOME for httpd's children"),
    AP_INIT_TAKE1("PatientJwtSecret", take_text,
                  (void *)FIELD(jwt_secret), RSRC_CONF,
                  "the key that signs tokens; better env:NAME or file:PATH "
                  "than in here"),
    AP_INIT_TAKE1("PatientTokenLifetime", take_number,
                  (void *)&token_lifetime, RSRC_CONF,
                  "seconds until a token expires"),
    AP_INIT_TAKE1("PatientCorsOrigin", take_origins,
                  (void *)FIELD(cors_origin), RSRC_CONF,
                  "origins that browsers may call from: *, or a list apart "
                  "by commas"),
    AP_INIT_TAKE1("PatientHealthStatus", take_health_status,
                  (void *)&health_status, RSRC_CONF,
                  "503 or 200: what /health answers while the database is "
                  "away"),
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
    AP_INIT_TAKE1("PatientLogPulse", take_number, (void *)&log_pulse,
                  RSRC_CONF,
                  "seconds between two lines in the log about failures that "
                  "go on; 0 for a line each time"),
    AP_INIT_TAKE1("PatientMemory", take_number, (void *)&memory, RSRC_CONF,
                  "MiB that the patient may use, where no control group "
                  "says less"),
    AP_INIT_TAKE1("PatientCpus", take_cpus, NULL, RSRC_CONF,
                  "CPUs that the patient may use, such as 0.25, where no "
                  "control group says less"),
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
    AP_INIT_TAKE1("PatientLedger", take_path, (void *)FIELD(ledger),
                  RSRC_CONF,
                  "the file that keeps the truth about each incident, "
                  "relative to ServerRoot"),
    AP_INIT_FLAG("PatientChaos", take_chaos, NULL, ACCESS_CONF,
                 "On opens the operator's routes of this place"),
    { .name = NULL }
};

/* ---- what holds ---- */

static const char *print_text(const command_rec *directive,
                              const patient_conf_t *conf)
{
    const char *text = *(const char *const *)(
        (const char *)conf + (apr_size_t)directive->cmd_data);

    if (text == NULL) {
        return "(none)";
    }
    return directive->cmd_data == (void *)FIELD(jwt_secret)
        || directive->cmd_data == (void *)FIELD(chaos_token)
        ? "(set)" : text;
}

static const char *print_number(const command_rec *directive,
                                const patient_conf_t *conf, apr_pool_t *pool)
{
    const number_t *number = directive->cmd_data;
    apr_int64_t n = *(const apr_int64_t *)(
        (const char *)conf + number->offset);

    return n == 0 && number->min > 0 ? "(none)"
        : apr_psprintf(pool, "%" APR_INT64_T_FMT, n / number->scale);
}

static const char *print_cpus(const patient_conf_t *conf, apr_pool_t *pool)
{
    char text[32];

    /* APR's own %g has no 0 before the point. */
    snprintf(text, sizeof(text), "%g", conf->cpus);
    return conf->cpus > 0 ? apr_pstrdup(pool, text) : "(none)";
}

static const char *print_value(const command_rec *directive,
                               const patient_conf_t *conf, apr_pool_t *pool)
{
    if (directive->AP_TAKE1 == take_number
        || directive->AP_TAKE1 == take_health_status) {
        return print_number(directive, conf, pool);
    }
    if (directive->AP_TAKE1 == take_cpus) {
        return print_cpus(conf, pool);
    }
    if (directive->AP_TAKE1 == take_chaos_mode) {
        return conf->chaos_mode ? "true" : "false";
    }
    if (directive->AP_TAKE1 == take_chaos_endpoint) {
        return conf->chaos_endpoint_host
            ? apr_psprintf(pool, "%s:%d", conf->chaos_endpoint_host,
                           conf->chaos_endpoint_port)
            : "(none)";
    }
    return directive->args_how == FLAG ? conf->engine == 1 ? "On" : "Off"
                                       : print_text(directive, conf);
}

void patient_conf_print(apr_file_t *out, const server_rec *s,
                        apr_pool_t *pool)
{
    const command_rec *directive;

    for (directive = patient_directives; directive->name; directive++) {
        if (directive->req_override == RSRC_CONF) {
            apr_file_printf(out, "  %s %s\n", directive->name,
                            print_value(directive, patient_conf(s), pool));
        }
    }
}
