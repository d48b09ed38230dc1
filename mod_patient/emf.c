/*
 * emf.c - the figures of the last minute, as a line that CloudWatch reads as
 * metrics (Embedded Metric Format).
 */
#include "emf.h"

#include <apr_strings.h>

#include "figures.h"
#include "log/errorlog.h"
#include "shared.h"
#include "vitals.h"

#define NAMESPACE "Patient"
#define SERVICE "patient-backend"

/* No name holds a word that the log's readers take for a failure. */
#define COUNTS \
    "{\"Name\":\"Requests\",\"Unit\":\"Count\"}," \
    "{\"Name\":\"Faults4xx\",\"Unit\":\"Count\"}," \
    "{\"Name\":\"Faults5xx\",\"Unit\":\"Count\"}," \
    "{\"Name\":\"PoolInUse\",\"Unit\":\"Count\"}," \
    "{\"Name\":\"PoolWaiting\",\"Unit\":\"Count\"}," \
    "{\"Name\":\"PoolTimeouts\",\"Unit\":\"Count\"}," \
    "{\"Name\":\"MemoryRSS\",\"Unit\":\"Bytes\"}," \
    "{\"Name\":\"CPUUtilization\",\"Unit\":\"Percent\"}"
/* Without a request there is no latency: 0 would be a lie. */
#define LATENCIES \
    ",{\"Name\":\"LatencyP50\",\"Unit\":\"Milliseconds\"}," \
    "{\"Name\":\"LatencyP99\",\"Unit\":\"Milliseconds\"}"

#define DIRECTIVE \
    "{\"Timestamp\":%" APR_TIME_T_FMT ",\"CloudWatchMetrics\":[{" \
    "\"Namespace\":\"" NAMESPACE "\",\"Dimensions\":[[\"Service\"]]," \
    "\"Metrics\":[" COUNTS "%s]}]}"

/* Sums at the last line; in shared memory. */
static figures_sums_t *last;

apr_status_t emf_open(server_rec *s)
{
    void *memory;
    int is_new;
    apr_status_t rv = shared_open(&memory, &is_new, "mod_patient.emf",
                                  sizeof(*last), s);

    last = memory;
    return rv;
}

static void add_latencies(event_t *event, const chaos_figures_t *figures)
{
    if (figures->requests > 0) {
        event_real(event, "LatencyP50", (double)figures->p50 / 1000);
        event_real(event, "LatencyP99", (double)figures->p99 / 1000);
    }
}

static void write_line(const chaos_figures_t *figures,
                       const board_sums_t *board)
{
    char directive[1024];
    event_t event;

    apr_snprintf(directive, sizeof(directive), DIRECTIVE,
                 apr_time_as_msec(apr_time_now()),
                 figures->requests > 0 ? LATENCIES : "");
    errorlog_open(&event, EVENT_INFO, "METRICS");
    event_json(&event, "_aws", directive);
    event_str(&event, "Service", SERVICE);
    event_int(&event, "Requests", (apr_int64_t)figures->requests);
    event_int(&event, "Faults4xx", (apr_int64_t)figures->status_4xx);
    event_int(&event, "Faults5xx", (apr_int64_t)figures->status_5xx);
    event_int(&event, "PoolInUse", board->pool.in_use);
    event_int(&event, "PoolWaiting", board->pool.waiting);
    event_int(&event, "PoolTimeouts", (apr_int64_t)figures->pool_timeouts);
    event_int(&event, "MemoryRSS", (apr_int64_t)board->rss);
    event_real(&event, "CPUUtilization", figures->cpu_percent);
    add_latencies(&event, figures);
    errorlog_write_always(&event);
}

int emf_is_due(apr_interval_time_t every)
{
    return every != 0
        && (last->at == 0 || vitals_now() >= last->at + every);
}

void emf_round(const board_sums_t *board, apr_interval_time_t every)
{
    chaos_figures_t figures;
    apr_interval_time_t longest;
    figures_sums_t sums;

    if (!emf_is_due(every)) {
        return;
    }
    figures_take(&sums, board);
    longest = board_longest_take(BOARD_WINDOW_METRICS);
    if (longest > 0) {
        sums.longest = longest;
    }
    if (last->at == 0) {
        *last = sums;           /* a task tells at once that it reports */
    }
    figures_compare(&figures, last, &sums);
    write_line(&figures, board);
    *last = sums;
}
