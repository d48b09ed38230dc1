/*
 * metrics.c - the board's figures, as JSON and for Prometheus.
 */
#include "api/api.h"

#include <string.h>
#include <sys/utsname.h>

#include <apr_strings.h>

#include "board.h"
#include "figures.h"
#include "http/json.h"
#include "http/reply.h"
#include "patient.h"
#include "vitals.h"

static const char *const class_names[BOARD_CLASSES] = {
    "2xx", "3xx", "4xx", "5xx"
};

static double seconds(apr_interval_time_t span)
{
    return (double)span / APR_USEC_PER_SEC;
}

static apr_uint64_t count_all(const board_histogram_t *histogram)
{
    apr_uint64_t count = 0;
    int i;

    for (i = 0; i < BOARD_BUCKETS; i++) {
        count += histogram->buckets[i];
    }
    return count;
}

/* ---- JSON ---- */

static json_t *quantile_json(const figures_sums_t *all, double share)
{
    return json_real((double)figures_quantile(all->buckets, all->longest,
                                               share) / 1000);
}

static json_t *requests_json(const board_sums_t *sums)
{
    json_t *requests = json_object();
    apr_uint64_t total = 0;
    figures_sums_t all;
    int class;

    for (class = 0; class < BOARD_CLASSES; class++) {
        apr_uint64_t count = board_count_class(sums, class);

        total += count;
        json_object_set_new(requests, class_names[class],
                            json_integer((json_int_t)count));
    }
    json_object_set_new(requests, "total", json_integer((json_int_t)total));
    json_object_set_new(requests, "inFlight",
                        json_integer((json_int_t)sums->inflight));
    figures_take(&all, sums);
    json_object_set_new(requests, "p50Ms", quantile_json(&all, 0.5));
    json_object_set_new(requests, "p99Ms", quantile_json(&all, 0.99));
    return requests;
}

static json_t *pool_json(const board_sums_t *sums)
{
    return json_pack("{s:i, s:i, s:i, s:I, s:I}",
                     "max", (int)sums->pool.max,
                     "inUse", (int)sums->pool.in_use,
                     "waiting", (int)sums->pool.waiting,
                     "timeouts", (json_int_t)sums->pool_timeouts,
                     "refused", (json_int_t)sums->pool_refused);
}

static json_t *memory_json(const board_sums_t *sums)
{
    return json_pack("{s:I, s:I, s:I, s:I}",
                     "rss", (json_int_t)sums->rss,
                     "heapTotal", (json_int_t)sums->data,
                     "heapUsed", (json_int_t)sums->anonymous,
                     "external", (json_int_t)(sums->rss - sums->anonymous));
}

/* GET /api/metrics */
static int show_metrics(call_t *call)
{
    board_sums_t *sums = board_sum(call->pool);
    struct utsname machine;

    uname(&machine);
    return reply_json(call, HTTP_OK, json_pack(
        "{s:o, s:f, s:o, s:{s:I, s:I}, s:{s:s, s:s, s:o}, s:o, s:o, s:i, "
        "s:{s:I}}",
        "timestamp", json_time(apr_time_now()),
        "uptime", seconds(vitals_now() - sums->started),
        "memory", memory_json(sums),
        "cpu",
        "user", (json_int_t)sums->cpu_user,
        "system", (json_int_t)sums->cpu_system,
        "env",
        "serverVersion", ap_get_server_description(),
        "platform", "linux",
        "nodeEnv", json_text(call->conf->environment, call->pool),
        "requests", requests_json(sums),
        "pool", pool_json(sums),
        "children", sums->children,
        "database",
        "failures", (json_int_t)sums->db_failures));
}

/* ---- Prometheus ---- */

typedef struct page_t {
    apr_bucket_brigade *text;
    const board_sums_t *sums;
} page_t;

/* A span in seconds, exact, and as short as can be: "0.5", "30". A scraper
 * that compares labels as text knows no other way to write it. */
static const char *decimal(apr_interval_time_t span, apr_pool_t *pool)
{
    char *text = apr_psprintf(
        pool, "%s%" APR_INT64_T_FMT ".%06" APR_INT64_T_FMT,
        span < 0 ? "-" : "",
        (apr_int64_t)apr_time_sec(span < 0 ? -span : span),
        (apr_int64_t)apr_time_usec(span < 0 ? -span : span));
    apr_size_t len = strlen(text);

    while (text[len - 1] == '0') {
        len--;
    }
    text[text[len - 1] == '.' ? len - 1 : len] = '\0';
    return text;
}

/* One figure with its help; in the units of its name. */
static void print_figure(page_t *page, const char *name, const char *type,
                         const char *help, const char *value)
{
    apr_brigade_printf(page->text, NULL, NULL,
                       "# HELP %s %s\n# TYPE %s %s\n%s %s\n",
                       name, help, name, type, name, value);
}

static void print_count(page_t *page, const char *name, const char *type,
                        const char *help, apr_uint64_t value)
{
    print_figure(page, name, type, help,
                 apr_psprintf(page->text->p, "%" APR_UINT64_T_FMT, value));
}

static void print_span(page_t *page, const char *name, const char *type,
                       const char *help, apr_interval_time_t value)
{
    print_figure(page, name, type, help, decimal(value, page->text->p));
}

static void print_histogram(page_t *page, int index, int class)
{
    const board_histogram_t *histogram = &page->sums->requests[index][class];
    const route_t *route = route_at(api_tables, index);
    const char *labels = apr_psprintf(
        page->text->p, "method=\"%s\",route=\"%s\",status=\"%s\"",
        route ? route_method(route) : "other",
        route ? route->pattern : "other", class_names[class]);
    apr_uint64_t count = 0;
    int i;

    for (i = 0; i < BOARD_BUCKETS - 1; i++) {
        count += histogram->buckets[i];
        apr_brigade_printf(
            page->text, NULL, NULL,
            "patient_http_request_duration_seconds_bucket{%s,le=\"%s\"} %"
            APR_UINT64_T_FMT "\n", labels,
            decimal(board_bounds[i], page->text->p), count);
    }
    count += histogram->buckets[i];
    apr_brigade_printf(
        page->text, NULL, NULL,
        "patient_http_request_duration_seconds_bucket{%s,le=\"+Inf\"} %"
        APR_UINT64_T_FMT "\n"
        "patient_http_request_duration_seconds_sum{%s} %s\n"
        "patient_http_request_duration_seconds_count{%s} %"
        APR_UINT64_T_FMT "\n",
        labels, count, labels,
        decimal((apr_interval_time_t)histogram->sum, page->text->p), labels,
        count);
}

static void print_requests(page_t *page)
{
    int route, class;

    apr_brigade_puts(page->text, NULL, NULL,
        "# HELP patient_http_request_duration_seconds "
        "Duration of requests.\n"
        "# TYPE patient_http_request_duration_seconds histogram\n");
    for (route = 0; route < BOARD_ROUTES_MAX; route++) {
        for (class = 0; class < BOARD_CLASSES; class++) {
            if (count_all(&page->sums->requests[route][class]) > 0) {
                print_histogram(page, route, class);
            }
        }
    }
}

static void print_figures(page_t *page)
{
    const board_sums_t *sums = page->sums;

    print_span(page, "patient_uptime_seconds", "gauge",
               "Time since the server started.",
               vitals_now() - sums->started);
    print_count(page, "patient_children", "gauge",
                "Child processes.", (apr_uint64_t)sums->children);
    print_count(page, "patient_http_requests_in_flight", "gauge",
                "Requests being served.", sums->inflight);
    print_count(page, "patient_memory_resident_bytes", "gauge",
                "Resident memory of all processes.", sums->rss);
    print_span(page, "patient_cpu_user_seconds_total", "counter",
               "CPU time in user mode.",
               (apr_interval_time_t)sums->cpu_user);
    print_span(page, "patient_cpu_system_seconds_total", "counter",
               "CPU time in the kernel.",
               (apr_interval_time_t)sums->cpu_system);
    print_count(page, "patient_pool_connections_max", "gauge",
                "Database connections allowed.", sums->pool.max);
    print_count(page, "patient_pool_connections_in_use", "gauge",
                "Database connections in use.", sums->pool.in_use);
    print_count(page, "patient_pool_waiting", "gauge",
                "Requests that wait for a connection.", sums->pool.waiting);
    print_count(page, "patient_pool_timeouts_total", "counter",
                "Requests that waited for a connection in vain.",
                sums->pool_timeouts);
    print_count(page, "patient_pool_refused_total", "counter",
                "Requests refused because too many waited.",
                sums->pool_refused);
    print_count(page, "patient_database_failures_total", "counter",
                "Failures of the database or of the way to it.",
                sums->db_failures);
}

/* GET /metrics */
static int show_prometheus(call_t *call)
{
    page_t page = {
        apr_brigade_create(call->pool, call->r->connection->bucket_alloc),
        board_sum(call->pool)
    };
    apr_size_t len;
    char *text;

    print_figures(&page);
    print_requests(&page);
    apr_brigade_pflatten(page.text, &text, &len, call->pool);
    apr_brigade_destroy(page.text);
    return reply_text(call, "text/plain; version=0.0.4; charset=utf-8", text,
                      len);
}

const route_t metrics_routes[] = {
    { M_GET, "/api/metrics", ROUTE_ANYONE, show_metrics, ROUTE_VITAL },
    { M_GET, "/metrics", ROUTE_ANYONE, show_prometheus,
      ROUTE_QUIET | ROUTE_VITAL },
    ROUTE_END
};
