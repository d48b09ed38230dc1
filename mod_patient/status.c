/*
 * status.c - the patient's part of mod_status's page.
 *
 * The same figures as /api/metrics has, for who looks at the whole of httpd.
 * What is wrong on purpose is no business of theirs, either.
 */
#include "status.h"

#include <string.h>

#include <apr_optional_hooks.h>
#include <http_protocol.h>
#include <mod_status.h>

#include "board.h"
#include "conf.h"
#include "vitals.h"

static const server_rec *shown;

/* A figure has a name for people, and one in "?auto". */
typedef struct figure_t {
    const char *label;
    const char *key;
    apr_uint64_t value;
} figure_t;

#define FIGURES 13

static void collect(figure_t *figures, const board_sums_t *sums)
{
    const figure_t all[FIGURES] = {
        { "Uptime (seconds)", "Uptime",
          (apr_uint64_t)apr_time_sec(vitals_now() - sums->started) },
        { "Child processes", "Children", (apr_uint64_t)sums->children },
        { "Requests being served", "InFlight", sums->inflight },
        { "Requests answered 2xx", "Requests2xx", board_count_class(sums, 0) },
        { "Requests answered 3xx", "Requests3xx", board_count_class(sums, 1) },
        { "Requests answered 4xx", "Requests4xx", board_count_class(sums, 2) },
        { "Requests answered 5xx", "Requests5xx", board_count_class(sums, 3) },
        { "Database connections, at most", "PoolMax", sums->pool.max },
        { "Database connections in use", "PoolInUse", sums->pool.in_use },
        { "Requests waiting for one", "PoolWaiting", sums->pool.waiting },
        { "Requests that waited in vain", "PoolTimeouts",
          sums->pool_timeouts },
        { "Requests refused, too many waiting", "PoolRefused",
          sums->pool_refused },
        { "Failures of the database", "DatabaseFailures",
          sums->db_failures },
    };

    memcpy(figures, all, sizeof(all));
}

static void print_auto(request_rec *r, const board_sums_t *sums)
{
    figure_t figures[FIGURES];
    int i;

    collect(figures, sums);
    for (i = 0; i < FIGURES; i++) {
        ap_rprintf(r, "Patient%s: %" APR_UINT64_T_FMT "\n", figures[i].key,
                   figures[i].value);
    }
}

static void print_page(request_rec *r, const board_sums_t *sums)
{
    const patient_conf_t *conf = patient_conf(shown);
    figure_t figures[FIGURES];
    int i;

    collect(figures, sums);
    ap_rprintf(r, "<hr />\n<h2>The patient</h2>\n"
               "<p>Environment %s, database at %s:%" APR_INT64_T_FMT
               ". Figures are those of all children.</p>\n"
               "<table border=\"0\">\n",
               ap_escape_html(r->pool, conf->environment),
               ap_escape_html(r->pool, conf->database_host),
               conf->database_port);
    for (i = 0; i < FIGURES; i++) {
        ap_rprintf(r, "<tr><td>%s</td><td align=\"right\">%" APR_UINT64_T_FMT
                   "</td></tr>\n", figures[i].label, figures[i].value);
    }
    ap_rputs("</table>\n", r);
}

static int show(request_rec *r, int flags)
{
    const board_sums_t *sums;

    if (shown == NULL) {
        return DECLINED;
    }
    sums = board_sum(r->pool);
    if (flags & AP_STATUS_SHORT) {
        print_auto(r, sums);
    }
    else {
        print_page(r, sums);
    }
    return OK;
}

void status_register(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, show, NULL, NULL, APR_HOOK_MIDDLE);
}

void status_open(const server_rec *s)
{
    shown = s;
}
