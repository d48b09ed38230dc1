/*
 * db_fail.c - the database is looked for in the wrong place.
 *
 * A connection is really opened to an endpoint where no database answers,
 * with the client that the patient uses everywhere; what that client then
 * says is what the log and the report say.
 */
#include "chaos.h"

#include <string.h>

#include <apr_strings.h>

#include "silence.h"

/* No such name can exist (RFC 6761).  It goes into the log, so it must look
 * like a mistyped setting and not like something done on purpose.  The last
 * dot keeps the resolver from trying it below the machine's search domains,
 * where a wildcard could find a stranger's server, which would then be sent
 * the patient's credentials. */
#define NOWHERE "db.invalid."

static apr_status_t choose(silence_t *endpoint, const chaos_host_t *host,
                           apr_int64_t place, apr_pool_t *pool)
{
    memset(endpoint, 0, sizeof(*endpoint));
    if (place == CHAOS_PLACE_CLOSED) {
        return silence_take(endpoint, 0, pool);
    }
    if (place == CHAOS_PLACE_UNKNOWN) {
        endpoint->host = NOWHERE;
        endpoint->port = 3306;
        return APR_SUCCESS;
    }
    if (host->endpoint_host == NULL) {
        return silence_take(endpoint, 1, pool);
    }
    endpoint->host = host->endpoint_host;
    endpoint->port = host->endpoint_port;
    return APR_SUCCESS;
}

static apr_status_t run(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool)
{
    silence_t endpoint;
    chaos_failure_t failure = { NULL, NULL };
    apr_status_t rv;

    chaos_report_word(report, "scenario", chaos_db_fail.title);
    rv = choose(&endpoint, host,
                chaos_args_role(args, CHAOS_ROLE_PLACE, CHAOS_PLACE_SILENT),
                pool);
    if (rv != APR_SUCCESS) {
        chaos_report_word(report, "error", silence_error(rv, pool));
        return APR_EGENERAL;
    }
    rv = host->connect(host, endpoint.host, endpoint.port,
                       apr_time_from_msec(chaos_args_int(args, "timeout_ms")),
                       &failure, pool);
    silence_leave(&endpoint);
    if (rv == APR_SUCCESS) {
        chaos_report_word(report, "error",
                          apr_psprintf(pool, "the database at %s:%d answered",
                                       endpoint.host, endpoint.port));
        return APR_EGENERAL;
    }
    chaos_report_word(report, "error", failure.error);
    chaos_report_word(report, "code", failure.code);
    return APR_SUCCESS;
}

static int felt(const chaos_figures_t *before, const chaos_figures_t *during,
                const chaos_args_t *args, const char **why, apr_pool_t *pool)
{
    (void)before;
    (void)args;
    (void)pool;
    if (during->felt > 0) {
        return 1;
    }
    *why = during->bitten == 0
           ? "no request used the database"
           : "no request that used the database was answered with a failure";
    return 0;
}

/* In the order of chaos_place_e. */
static const char *const modes[] = { "timeout", "refused", "dns", NULL };

static const chaos_param_t params[] = {
    { .name = "mode", .kind = CHAOS_WORD,
      .role = CHAOS_ROLE_PLACE, .words = modes,
      .help = "how the connection fails: nobody speaks, nobody listens, or "
              "the name does not exist" },
    { .name = "timeout_ms", .kind = CHAOS_INT,
      .role = CHAOS_ROLE_TIMEOUT_MS,
      .fallback = 2000, .min = 100, .cap = 10000,
      .help = "how long to wait for the database, in milliseconds" },
    { .name = NULL }
};

static const char *const symptoms[] = { "DB CONNECTION ERROR", NULL };

const chaos_scenario_t chaos_db_fail = {
    .name = "db-fail",
    .title = "DB Connection Failure",
    .summary = "Connects to the database at an endpoint where none answers.",
    .signal = "log: DB CONNECTION ERROR with SequelizeConnectionError",
    .symptoms = symptoms,
    .params = params,
    .label = "db-failure",
    .severity = "critical",
    .diagnosis_en = "check the RDS endpoint",
    .diagnosis_ko = "RDS 엔드포인트 확인 필요",
    .run = run,
    .fault = CHAOS_FAULT_ENDPOINT,
    .felt = felt
};
