/*
 * api_timeout.c - a service that the patient calls accepts the call and does
 * not answer.
 */
#include "chaos.h"

#include <apr_strings.h>

#include "silence.h"

static apr_status_t run(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool)
{
    apr_interval_time_t timeout =
        apr_time_from_msec(chaos_args_int(args, "timeout_ms"));
    apr_interval_time_t elapsed = 0;
    chaos_failure_t failure = { NULL, NULL };
    const char *url = host->upstream_url;
    silence_t silence = { NULL, 0, NULL };
    apr_status_t rv;

    chaos_report_word(report, "scenario", chaos_api_timeout.title);
    if (url == NULL) {
        rv = silence_take(&silence, 1, pool);
        if (rv != APR_SUCCESS) {
            chaos_report_word(report, "error", silence_error(rv, pool));
            return APR_EGENERAL;
        }
        url = apr_psprintf(pool, "http://%s:%d/", silence.host,
                           silence.port);
    }
    rv = host->call(host, url, timeout, &elapsed, &failure, pool);
    silence_leave(&silence);
    chaos_report_ms(report, "timeout", timeout);
    chaos_report_ms(report, "elapsed", elapsed);
    if (rv == APR_TIMEUP || rv == APR_EINTR) {
        return rv == APR_TIMEUP ? APR_SUCCESS : rv;
    }
    chaos_report_word(report, "error", failure.error != NULL
                      ? failure.error : "the service answered in time");
    return APR_EGENERAL;
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
    *why = during->bitten == 0 ? "nobody created a post"
                               : "no new post was answered with a failure";
    return 0;
}

static const chaos_param_t params[] = {
    { .name = "timeout_ms", .kind = CHAOS_INT,
      .role = CHAOS_ROLE_TIMEOUT_MS,
      .fallback = 3000, .min = 100, .cap = 30000,
      .help = "how long the patient waits for the service, in "
              "milliseconds" },
    { .name = NULL }
};

static const char *const symptoms[] = { "API TIMEOUT ERROR", NULL };

const chaos_scenario_t chaos_api_timeout = {
    .name = "api-timeout",
    .title = "API Timeout",
    .summary = "Calls a service that does not answer.",
    .signal = "log: API TIMEOUT ERROR with ETIMEDOUT",
    .symptoms = symptoms,
    .params = params,
    .label = "api-timeout",
    .severity = "high",
    .diagnosis_en = "raise the timeout",
    .diagnosis_ko = "타임아웃 설정 증가",
    .run = run,
    .fault = CHAOS_FAULT_CREATE,
    .felt = felt
};
