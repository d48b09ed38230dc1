/*
 * watch.c - in one child, whichever it is, somebody watches all incidents,
 * and the CPUs.
 */
#include "watch.h"

#include <apr_optional.h>
#include <mod_watchdog.h>

#include "board.h"
#include "conf.h"
#include "decoy.h"
#include "emf.h"
#include "grant.h"
#include "host.h"
#include "incident.h"
#include "ledger.h"
#include "log/errorlog.h"
#include "log/symptom.h"
#include "vitals.h"
#include "ward.h"

/* How often the rounds are made. */
#define ROUND apr_time_from_msec(100)

/* A one-shot that nobody has begun by then never will be. */
#define BEGIN_PATIENCE apr_time_from_sec(5)

/* How often sums are kept, and CPU time is looked at. */
#define REMEMBER_EVERY apr_time_from_sec(5)
#define CPU_EVERY apr_time_from_sec(2)

/* Percent of the CPUs granted, over two looks in a row, that are too many. */
#define CPU_HIGH 80.0
#define CPU_MARGIN 8.0
#define CPU_LOOKS 2

/* Nobody waits for so long where nobody answers: longer than any timeout of a
 * scenario. */
#define TIDY_EVERY apr_time_from_sec(60)

static server_rec *watched;

/* How far the figures of an incident are. */
enum { FIGURES_GO_ON, FIGURES_SETTLE, FIGURES_FINAL };

static void update(incident_t *incident, const board_sums_t *board)
{
    double cpu = incident->during.cpu_percent;
    int i;
    figures_sums_t now;

    figures_take(&now, board);
    for (i = 0; i < BOARD_BUCKETS; i++) {
        now.buckets[i] = apr_atomic_read64(&incident->buckets[i]);
    }
    now.longest = (apr_interval_time_t)apr_atomic_read64(&incident->longest);
    figures_compare(&incident->during, &incident->sums, &now);
    if (incident->measured == FIGURES_SETTLE) {
        incident->during.cpu_percent = cpu;     /* its work is over */
    }
    if (board->pool.waiting > incident->waiting_peak) {
        incident->waiting_peak = board->pool.waiting;
    }
    if (board->rss > incident->rss_peak) {
        incident->rss_peak = board->rss;
    }
    incident->during.waiting_peak = incident->waiting_peak;
    incident->during.rss = incident->rss_peak;
    incident->during.memory_budget = incident->memory_budget;
    incident->during.bitten = apr_atomic_read64(&incident->bitten);
    incident->during.felt = apr_atomic_read64(&incident->felt);
}

/* Whether a line of the log tells of it where it is not requests that meet it:
 * who wrote it has felt it. Of requests, each is known by itself. */
static int is_told(incident_t *incident)
{
    chaos_fault_e fault = incident_scenario(incident)->fault;

    return apr_atomic_read64(&incident->told) != 0
        && (fault == CHAOS_FAULT_NONE || fault == CHAOS_FAULT_POOL);
}

/* Whether it was felt so far. @param why set if not */
static int is_felt(incident_t *incident, const char **why, apr_pool_t *pool)
{
    if (is_told(incident)) {
        return 1;
    }
    if (incident->once) {
        *why = "the run did not make it happen";
        return apr_atomic_read32(&incident->result) == INCIDENT_HAPPENED
            || apr_atomic_read64(&incident->felt) > 0;
    }
    *why = "nothing of it has begun";
    return apr_atomic_read32(&incident->state) >= INCIDENT_INJECTED
        && incident_scenario(incident)->felt(
            &incident->before, &incident->during,
            incident_args(incident, pool), why, pool);
}

/* A one-shot whose child died before it began. */
static int is_abandoned(incident_t *incident)
{
    return incident->once && !apr_atomic_read32(&incident->started)
        && vitals_now() > incident->begun + BEGIN_PATIENCE;
}

/* Once more after the end: its last requests have been counted by then.
 * @return whether the figures are final */
static int close_figures(incident_t *incident, const board_sums_t *board)
{
    incident_finish(incident);
    if (incident->measured == FIGURES_FINAL) {
        return 1;
    }
    update(incident, board);
    if (incident_is_settled(incident)) {
        incident->measured++;
    }
    return incident->measured == FIGURES_FINAL;
}

static void judge(incident_t *incident, apr_pool_t *pool)
{
    const char *why = NULL;
    int felt;

    incident->during.felt = apr_atomic_read64(&incident->felt);
    felt = apr_atomic_read32(&incident->state) == INCIDENT_WITNESSED
        || is_felt(incident, &why, pool);
    if (felt) {
        incident_advance(incident, INCIDENT_WITNESSED);
    }
    incident_close(incident, felt ? INCIDENT_RECOVERED : INCIDENT_INVALID,
                   felt ? NULL : why);
    ledger_add(incident);
}

static void watch_incident(incident_t *incident, const board_sums_t *board,
                           apr_pool_t *pool)
{
    const char *why;

    if (!incident_is_finished(incident) && !is_abandoned(incident)) {
        update(incident, board);
        if (is_felt(incident, &why, pool)) {
            incident_advance(incident, INCIDENT_WITNESSED);
        }
        return;
    }
    incident_bend(incident, 0);
    if (close_figures(incident, board) && !incident_needs_recovery(incident)) {
        judge(incident, pool);
    }
}

/* Percent of the CPUs at which to worry: lower while somebody burns less on
 * purpose, or nobody would ever see that. */
static double cpu_limit(apr_pool_t *pool)
{
    double limit = CPU_HIGH;
    int i;

    for (i = 0; i < INCIDENT_SLOTS; i++) {
        incident_t *incident = &incident_slots()[i];
        double wanted;

        if (!incident_is_live(incident)) {
            continue;
        }
        wanted = (double)chaos_args_role(incident_args(incident, pool),
                                         CHAOS_ROLE_CPU_PERCENT, 100)
            - CPU_MARGIN;
        limit = wanted < limit ? wanted : limit;
    }
    return limit;
}

static void watch_cpu(const board_sums_t *board, apr_pool_t *pool)
{
    static vitals_cpu_t last;
    static int high;
    vitals_cpu_t now = {
        vitals_now(), (apr_interval_time_t)board->cpu_user,
        (apr_interval_time_t)board->cpu_system
    };
    double user, system;
    event_t event;

    if (last.at != 0) {
        vitals_share(&user, &system, &last, &now, grant_cpus());
        high = user + system >= cpu_limit(pool) ? high + 1 : 0;
        if (high >= CPU_LOOKS) {
            errorlog_open(&event, EVENT_ERROR, SYMPTOM_CPU);
            symptom_cpu(&event, user, system, grant_cpus());
            errorlog_write(&event);
        }
    }
    last = now;
}

/* Without an incident for so long, what their calls have left goes. */
static void tidy(int live, apr_pool_t *pool)
{
    static apr_time_t quiet_since;
    apr_time_t now = vitals_now();

    if (live || quiet_since == 0) {
        quiet_since = now;
    }
    else if (now >= quiet_since + TIDY_EVERY) {
        quiet_since = now;
        decoy_tidy(pool);
    }
}

apr_status_t watch_round(int state, void *data, apr_pool_t *pool)
{
    static apr_time_t remembered, looked;
    apr_time_t now = vitals_now();
    const board_sums_t *board;
    figures_sums_t sums;
    apr_pool_t *own;
    int i, live = 0;

    (void)data;
    if (state == AP_WATCHDOG_STATE_STOPPING) {
        board_watch_leave();
    }
    if (state != AP_WATCHDOG_STATE_RUNNING || !board_watch_take()) {
        return APR_SUCCESS;
    }
    for (i = 0; i < INCIDENT_SLOTS; i++) {
        live += incident_is_live(&incident_slots()[i]);
    }
    if (!live && now < looked + CPU_EVERY
        && !emf_is_due(patient_conf(watched)->metrics_interval)) {
        return APR_SUCCESS;
    }
    if (apr_pool_create(&own, pool) != APR_SUCCESS) {
        return APR_SUCCESS;
    }
    tidy(live, own);
    board = board_sum(own);
    emf_round(board, patient_conf(watched)->metrics_interval);
    if (now >= looked + CPU_EVERY) {
        watch_cpu(board, own);
        looked = now;
    }
    if (!live && now >= remembered + REMEMBER_EVERY) {
        figures_take(&sums, board);
        sums.longest = board_longest_take(BOARD_WINDOW_MEMORY);
        incident_remember(&sums);
        remembered = now;
    }
    for (i = 0; live && i < INCIDENT_SLOTS; i++) {
        if (incident_is_live(&incident_slots()[i])) {
            watch_incident(&incident_slots()[i], board, own);
        }
    }
    apr_pool_destroy(own);
    return APR_SUCCESS;
}

/* ---- the rounds ---- */

/* In each child. Who watches is settled on the board, and not by a singleton of
 * mod_watchdog, where a child that takes over begins ten seconds later. */
static apr_status_t go(const char *name, ap_watchdog_callback_fn_t *round,
                       apr_pool_t *pconf)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t rv;

    if (get == NULL || add == NULL) {
        return APR_ENOTIMPL;    /* mod_watchdog is not loaded */
    }
    rv = get(&watchdog, name, 0, 0, pconf);
    return rv == APR_SUCCESS ? add(watchdog, ROUND, NULL, round) : rv;
}

apr_status_t watch_open(server_rec *s, apr_pool_t *pconf)
{
    apr_status_t rv = go("_patient_ward_", ward_round, pconf);

    watched = s;
    return rv == APR_SUCCESS ? go("_patient_watch_", watch_round, pconf) : rv;
}
