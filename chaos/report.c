/*
 * report.c - what a run found, value after value.
 */
#include "chaos.h"

#include <string.h>

#include <apr_strings.h>

chaos_report_t *chaos_report_create(apr_pool_t *pool)
{
    chaos_report_t *report = apr_palloc(pool, sizeof(*report));

    report->values = apr_array_make(pool, 4, sizeof(chaos_value_t));
    return report;
}

static chaos_value_t *add(chaos_report_t *report, const char *name,
                          chaos_kind_e kind)
{
    chaos_value_t *value = apr_array_push(report->values);

    memset(value, 0, sizeof(*value));
    value->name = name;
    value->kind = kind;
    return value;
}

void chaos_report_int(chaos_report_t *report, const char *name,
                      apr_int64_t value)
{
    add(report, name, CHAOS_INT)->number = value;
}

void chaos_report_word(chaos_report_t *report, const char *name,
                       const char *value)
{
    /* Copied: a scenario may well have put it together in a pool or a buffer
     * that ends before the report does. */
    add(report, name, CHAOS_WORD)->word =
        apr_pstrdup(report->values->pool, value);
}

void chaos_report_ms(chaos_report_t *report, const char *name,
                     apr_interval_time_t value)
{
    add(report, name, CHAOS_WORD)->word =
        apr_psprintf(report->values->pool, "%" APR_INT64_T_FMT "ms",
                     (apr_int64_t)apr_time_as_msec(value));
}

const chaos_value_t *chaos_report_get(const chaos_report_t *report,
                                      const char *name)
{
    int i;

    for (i = 0; i < report->values->nelts; i++) {
        const chaos_value_t *value =
            &APR_ARRAY_IDX(report->values, i, chaos_value_t);

        if (strcmp(value->name, name) == 0) {
            return value;
        }
    }
    return NULL;
}
