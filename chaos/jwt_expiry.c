/*
 * jwt_expiry.c - tokens are signed for a moment only, and are expired when
 * they are used.
 */
#include "chaos.h"

#include <apr_strings.h>

static apr_status_t expire(chaos_host_t *host, int lifetime,
                           chaos_failure_t *failure, apr_pool_t *pool)
{
    const char *token;
    apr_status_t rv = host->sign(host, lifetime, &token, pool);

    if (rv != APR_SUCCESS) {
        failure->error = "no token could be signed";
        return APR_EGENERAL;
    }
    /* A token counts whole seconds: one more, and it is surely over. */
    rv = host->pause(host, apr_time_from_sec(lifetime + 1));
    if (rv != APR_SUCCESS) {
        failure->error = rv == APR_EINTR ? "stopped" : "the time was over";
        return rv == APR_EINTR ? rv : APR_EGENERAL;
    }
    rv = host->verify(host, token, failure, pool);
    if (rv == APR_TIMEUP) {
        return APR_SUCCESS;
    }
    failure->error = rv == APR_SUCCESS ? "the token is still good"
                                       : "the token is no good at all";
    return APR_EGENERAL;
}

static apr_status_t run(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool)
{
    int lifetime = (int)chaos_args_int(args, "lifetime_s");
    chaos_failure_t failure = { NULL, NULL };
    apr_status_t rv = expire(host, lifetime, &failure, pool);

    chaos_report_word(report, "scenario", chaos_jwt_expiry.title);
    chaos_report_word(report, "error", failure.error);
    chaos_report_word(report, "expiresIn",
                      apr_psprintf(pool, "%ds", lifetime));
    return rv;
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
    *why = during->bitten == 0 ? "nobody logged in"
                               : "nobody used such a token after its time";
    return 0;
}

static const chaos_param_t params[] = {
    { .name = "lifetime_s", .kind = CHAOS_INT,
      .role = CHAOS_ROLE_LIFETIME_S,
      .fallback = 1, .min = 1, .cap = 60,
      .help = "how long a token is good for, in seconds" },
    { .name = NULL }
};

static const char *const symptoms[] = { "JWT ERROR", NULL };

const chaos_scenario_t chaos_jwt_expiry = {
    .name = "jwt-expiry",
    .title = "JWT Expiry",
    .summary = "Signs a token that is expired when it is used.",
    .signal = "log: JWT ERROR with TokenExpiredError",
    .symptoms = symptoms,
    .params = params,
    .label = "jwt-expiry",
    .severity = "medium",
    .diagnosis_en = "raise expiresIn to 24h",
    .diagnosis_ko = "expiresIn 24h로 증가",
    .run = run,
    .message = "A token that expires was signed; it is verified in a moment",
    .fault = CHAOS_FAULT_LIFETIME,
    .felt = felt
};
