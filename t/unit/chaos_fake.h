/*
 * chaos_fake.h - a host whose clock only moves when somebody pauses.
 *
 * For scenarios that run in one thread; header only, like tap.h.
 */
#ifndef T_UNIT_CHAOS_FAKE_H
#define T_UNIT_CHAOS_FAKE_H

#include "chaos/chaos.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "tap.h"

#define FAKE_BEGIN apr_time_from_sec(1000)
#define FAKE_NEVER APR_INT64_MAX

static struct {
    apr_time_t clock;
    apr_time_t stop_at;         /* when the run is to stop */
    int pauses;
} fake;

__attribute__((unused))
static apr_time_t fake_now(chaos_host_t *host)
{
    (void)host;
    return fake.clock;
}

/* As the real ones: the nearest of what ends it counts. */
__attribute__((unused))
static apr_status_t fake_pause(chaos_host_t *host, apr_interval_time_t span)
{
    apr_time_t end = fake.clock + span;

    fake.pauses++;
    if (end >= fake.stop_at && (host->deadline == 0
                                || fake.stop_at <= host->deadline)) {
        fake.clock = fake.clock > fake.stop_at ? fake.clock : fake.stop_at;
        return APR_EINTR;
    }
    if (host->deadline != 0 && end >= host->deadline) {
        fake.clock = fake.clock > host->deadline ? fake.clock
                                                 : host->deadline;
        return APR_TIMEUP;
    }
    fake.clock = end;
    return APR_SUCCESS;
}

/** A new day: the clock stands at FAKE_BEGIN, nobody wants a stop. */
__attribute__((unused))
static void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.clock = FAKE_BEGIN;
    fake.stop_at = FAKE_NEVER;
}

/** The defaults, but for one argument (NULL: none). */
__attribute__((unused))
static chaos_args_t *fake_args(const chaos_scenario_t *scenario,
                               const char *name, const char *value,
                               apr_pool_t *pool)
{
    chaos_args_t *args = chaos_args_create(scenario, pool);
    const char *why = NULL;

    if (name != NULL
        && chaos_args_parse(args, name, value, &why) != APR_SUCCESS) {
        tap_ok(0, "%s=%s: %s", name, value, why);
    }
    return args;
}

/** "scenario=..., totalQueries=101" */
__attribute__((unused))
static const char *fake_shown(const chaos_report_t *report, apr_pool_t *pool)
{
    const char *text = "";
    int i;

    for (i = 0; i < report->values->nelts; i++) {
        const chaos_value_t *value =
            &APR_ARRAY_IDX(report->values, i, chaos_value_t);
        const char *shown = value->kind == CHAOS_WORD ? value->word
            : apr_psprintf(pool, "%" APR_INT64_T_FMT, value->number);

        text = apr_pstrcat(pool, text, i == 0 ? "" : ", ", value->name, "=",
                           shown, NULL);
    }
    return text;
}

/** What felt() says of these figures: NULL if it was felt, else why not. */
__attribute__((unused))
static const char *fake_unfelt(const chaos_scenario_t *scenario,
                               const chaos_figures_t *before,
                               const chaos_figures_t *during,
                               const chaos_args_t *args, apr_pool_t *pool)
{
    const char *why = NULL;

    if (scenario->felt(before, during, args, &why, pool)) {
        return NULL;
    }
    return why != NULL && why[0] != '\0' ? why : "(no reason given)";
}

#endif
