/*
 * symptom.c - fills in the lines that failures are known by.
 *
 * The words and the names of the fields are those of the Node original, for
 * the readers who know that one; the figures are this process's own.
 */
#include "log/symptom.h"

#include <string.h>

#include <apr_strings.h>

#include "gate.h"
#include "grant.h"

/* Who deletes may have to look why nothing was; who lists has asked for two
 * rows one by one, at least. */
#define ONE_BY_ONE 3
#define SLOW apr_time_from_sec(1)
#define SLOW_ONE_BY_ONE apr_time_from_msec(100)

/* The years that expiredAt can be written in: 1970 to 9999. */
#define EXPIRED_MAX APR_INT64_C(253402300799)

static void add_span(event_t *event, const char *key,
                     apr_interval_time_t span)
{
    char text[32];

    apr_snprintf(text, sizeof(text), "%" APR_TIME_T_FMT "ms",
                 apr_time_as_msec(span));
    event_str(event, key, text);
}

/* ---- the pool ---- */

const char *symptom_pool_error(apr_status_t why)
{
    return why == APR_EBUSY
        ? "SequelizeConnectionAcquireTimeoutError: ResourceRequest refused, "
          "too many are waiting"
        : "SequelizeConnectionAcquireTimeoutError: ResourceRequest timed out";
}

static void add_pool(event_t *event, const struct gate_stats_t *stats,
                     apr_interval_time_t waited)
{
    event_int(event, "poolMax", stats->permits);
    event_int(event, "inUse", stats->in_use);
    event_int(event, "waiting", stats->waiting);
    event_int(event, "waitedMs", apr_time_as_msec(waited));
}

void symptom_pool(event_t *event, apr_status_t why,
                  const struct gate_stats_t *stats,
                  apr_interval_time_t waited)
{
    event_str(event, "error", symptom_pool_error(why));
    event_code(event, why == APR_EBUSY ? "POOL_FULL" : "POOL_TIMEOUT");
    add_pool(event, stats, waited);
}

void symptom_waiting(event_t *event, const struct gate_stats_t *stats,
                     apr_interval_time_t waited)
{
    event_str(event, "message", "waiting for a connection");
    add_pool(event, stats, waited);
}

/* ---- slow queries ---- */

int symptom_is_slow(int queries, apr_interval_time_t elapsed)
{
    return elapsed >= (queries >= ONE_BY_ONE ? SLOW_ONE_BY_ONE : SLOW);
}

void symptom_slow(event_t *event, int queries, apr_interval_time_t elapsed)
{
    char text[64];

    apr_snprintf(text, sizeof(text),
                 "Query execution time: %" APR_TIME_T_FMT "ms",
                 apr_time_as_msec(elapsed));
    event_str(event, "error", text);
    event_int(event, "totalQueries", queries);
    add_span(event, "totalTime", elapsed);
}

/* ---- other services ---- */

/* Without what may be a secret: the user's name and password, the query. */
static void add_url(event_t *event, const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    const char *end = host + strcspn(host, "?#");
    const char *user_end = memrchr(host, '@', strcspn(host, "/?#"));
    const char *rest = user_end ? user_end + 1 : host;
    char text[EVENT_VALUE_MAX];

    apr_snprintf(text, sizeof(text), "%.*s%.*s", (int)(host - url), url,
                 (int)(end - rest), rest);
    event_str(event, "url", text);
}

void symptom_upstream(event_t *event, const char *reason, const char *code,
                      const char *url, apr_interval_time_t timeout,
                      apr_interval_time_t elapsed)
{
    event_str(event, "error", reason);
    event_code(event, code);
    add_url(event, url);
    add_span(event, "timeout", timeout);
    add_span(event, "elapsed", elapsed);
}

/* ---- tokens ---- */

void symptom_expired(event_t *event, apr_int64_t exp)
{
    apr_time_exp_t t;
    char text[40];

    exp = exp < 0 ? 0 : exp > EXPIRED_MAX ? EXPIRED_MAX : exp;
    apr_time_exp_gmt(&t, apr_time_from_sec(exp));
    apr_snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.000Z",
                 t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                 t.tm_min, t.tm_sec);
    event_str(event, "error", SYMPTOM_EXPIRED_ERROR);
    event_code(event, SYMPTOM_EXPIRED_CODE);
    event_str(event, "expiredAt", text);
}

/* ---- memory ---- */

const char *symptom_memory_type(symptom_memory_e mark)
{
    switch (mark) {
    case SYMPTOM_MEMORY_FULL:
        return "MEMORY ERROR";
    case SYMPTOM_MEMORY_CRITICAL:
        return "MEMORY CRITICAL";
    default:
        return "MEMORY WARNING";
    }
}

event_level_e symptom_memory_level(symptom_memory_e mark)
{
    switch (mark) {
    case SYMPTOM_MEMORY_FULL:
        return EVENT_FATAL;
    case SYMPTOM_MEMORY_CRITICAL:
        return EVENT_ERROR;
    default:
        return EVENT_WARNING;
    }
}

/* In tenths, rounded down. */
static double megabytes(apr_uint64_t bytes)
{
    apr_uint64_t tenths = bytes / 1024 * 10 / 1024;

    return (double)tenths / 10;
}

void symptom_memory(event_t *event, symptom_memory_e mark, apr_uint64_t rss,
                    apr_uint64_t used, apr_uint64_t limit)
{
    int percent = limit > 0 ? (int)((double)used * 100 / (double)limit) : 100;

    if (mark == SYMPTOM_MEMORY_FULL) {
        event_str(event, "error",
                  "FATAL ERROR: Reached heap limit Allocation failed - "
                  "JavaScript heap out of memory");
        event_code(event, "ENOMEM");
    }
    else {
        char text[40];

        apr_snprintf(text, sizeof(text), "Memory usage: %d%%", percent);
        event_str(event, "error", text);
    }
    event_real(event, "rssMB", megabytes(rss));
    event_real(event, "usedMB", megabytes(used));
    event_real(event, "limitMB", megabytes(limit));
    event_int(event, "usagePercent", percent);
    event_real(event, "grantedMB", megabytes(grant_memory()));
}

/* ---- CPUs ---- */

void symptom_cpu(event_t *event, double user, double system, double cpus)
{
    char text[40];

    apr_snprintf(text, sizeof(text), "CPU usage: %.0f%%", user + system);
    event_str(event, "error", text);
    event_real(event, "userCPU", user);
    event_real(event, "systemCPU", system);
    event_real(event, "cpus", cpus);
}
