/*
 * incident.c - what is wrong with the patient on purpose, at this moment.
 */
#include "incident.h"

#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <unixd.h>

#include "incident_book.h"
#include "shared.h"
#include "vitals.h"

/* How long requests that met an incident are waited for at its end: all of
 * them, or the first, without which nothing is known of it yet. */
#define ALL_PATIENCE apr_time_from_sec(1)
#define FIRST_PATIENCE apr_time_from_sec(35)

static incident_book_t *book;

incident_book_t *incident_book;
apr_uint32_t *incident_faults;

apr_status_t incident_open(server_rec *s)
{
    void *memory;
    int is_new;
    apr_status_t rv = shared_open(&memory, &is_new, "mod_patient.incidents",
                                  sizeof(incident_book_t), s);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    book = memory;
    incident_book = book;
    incident_faults = book->faults;
    /* A restart that is not graceful has ended all children, and a patient
     * that starts is healthy. */
    if (!ap_unixd_mpm_get_retained_data()->was_graceful) {
        memset(book, 0, sizeof(*book));
    }
    return APR_SUCCESS;
}

/* ---- looking ---- */

incident_t *incident_slots(void)
{
    return book->slots;
}

static apr_uint32_t state_of(const incident_t *incident)
{
    return apr_atomic_read32((volatile apr_uint32_t *)&incident->state);
}

int incident_is_live(const incident_t *incident)
{
    apr_uint32_t state = state_of(incident);

    return state >= INCIDENT_ARMED && state <= INCIDENT_WITNESSED;
}

int incident_is_over(const incident_t *incident)
{
    return apr_atomic_read32((volatile apr_uint32_t *)&incident->stop)
        || vitals_now() >= incident->until;
}

incident_t *incident_by_id(const char *id)
{
    int i;

    for (i = 0; i < INCIDENT_SLOTS; i++) {
        if (state_of(&book->slots[i]) >= INCIDENT_ARMED
            && strcmp(book->slots[i].id, id) == 0) {
            return &book->slots[i];
        }
    }
    return NULL;
}

static int index_of(const chaos_scenario_t *scenario)
{
    const chaos_scenario_t *const *all = chaos_all();
    int i;

    for (i = 0; all[i] != scenario; i++) {
    }
    return i;
}

incident_t *incident_of(const chaos_scenario_t *scenario)
{
    apr_uint32_t live = apr_atomic_read32(&book->live[index_of(scenario)]);

    return live ? &book->slots[live - 1] : NULL;
}

incident_t *incident_about(chaos_fault_e fault)
{
    const chaos_scenario_t *const *all = chaos_all();
    int i;

    for (i = 0; all[i] != NULL; i++) {
        incident_t *incident = all[i]->fault == fault ? incident_of(all[i])
                                                      : NULL;

        if (incident != NULL && incident_is_live(incident)) {
            return incident;
        }
    }
    return NULL;
}

incident_t *incident_last(const chaos_scenario_t *scenario)
{
    incident_t *last = NULL;
    int i;

    for (i = 0; i < INCIDENT_SLOTS; i++) {
        incident_t *slot = &book->slots[i];

        if (state_of(slot) >= INCIDENT_RECOVERED
            && incident_scenario(slot) == scenario
            && (last == NULL || slot->ended > last->ended)) {
            last = slot;
        }
    }
    return last;
}

apr_time_t incident_time(const incident_t *incident, apr_uint64_t moment)
{
    if (moment == 0) {
        return 0;
    }
    /* Who wrote a line may note so while another ends the incident. */
    if (incident->ended != 0 && moment > incident->ended) {
        moment = incident->ended;
    }
    return incident->armed + (apr_time_t)moment - incident->begun;
}

const chaos_scenario_t *incident_scenario(const incident_t *incident)
{
    return chaos_all()[incident->scenario];
}

chaos_args_t *incident_args(const incident_t *incident, apr_pool_t *pool)
{
    return chaos_args_unpack(incident_scenario(incident), incident->args,
                             pool);
}

const char *incident_state_name(const incident_t *incident)
{
    static const char *const names[] = {
        "free", "armed", "armed", "injected", "witnessed", "recovered",
        "invalid"
    };

    return names[state_of(incident)];
}

/* ---- begin ---- */

/* An empty slot, or the one whose incident ended longest ago. */
static incident_t *take_slot(void)
{
    while (1) {
        incident_t *best = NULL;
        apr_uint32_t state = 0;
        int i;

        for (i = 0; i < INCIDENT_SLOTS; i++) {
            incident_t *slot = &book->slots[i];
            apr_uint32_t its = state_of(slot);

            if (its == INCIDENT_FREE
                || (its >= INCIDENT_RECOVERED
                    && (best == NULL || slot->ended < best->ended))) {
                best = slot;
                state = its;
            }
            if (its == INCIDENT_FREE) {
                break;
            }
        }
        if (best == NULL
            || apr_atomic_cas32(&best->state, INCIDENT_TAKEN, state)
               == state) {
            return best;
        }
    }
}

static int count_live(void)
{
    int i, count = 0;

    for (i = 0; i < SCENARIOS_MAX; i++) {
        count += apr_atomic_read32(&book->live[i]) != 0;
    }
    return count;
}

static apr_status_t make_id(char *id)
{
    unsigned char random[(INCIDENT_ID_BYTES - 1) / 2];
    apr_status_t rv = apr_generate_random_bytes(random, sizeof(random));

    if (rv == APR_SUCCESS) {
        ap_bin2hex(random, sizeof(random), id);
    }
    return rv;
}

/* What the minute before was like. */
static void look_back(incident_t *incident, apr_pool_t *pool)
{
    const board_sums_t *board = board_sum(pool);

    figures_take(&incident->sums, board);
    incident->sums.longest = figures_longest(&book->memory);
    figures_compare(&incident->before,
                    figures_oldest(&book->memory, &incident->sums),
                    &incident->sums);
    /* What follows has a histogram of its own. */
    memset(incident->sums.buckets, 0, sizeof(incident->sums.buckets));
    incident->before.rss = board->rss;
    incident->before.waiting_peak = board->pool.waiting;
    incident->rss_peak = board->rss;
}

static apr_status_t fill(incident_t *slot, const incident_order_t *order,
                         apr_pool_t *pool)
{
    apr_uint32_t serial = slot->serial + 1;
    apr_status_t rv;

    memset((char *)slot + sizeof(slot->state), 0,
           sizeof(*slot) - sizeof(slot->state));
    slot->serial = serial;
    rv = make_id(slot->id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    slot->scenario = index_of(order->scenario);
    slot->once = order->once;
    slot->memory_budget = order->memory_budget;
    chaos_args_pack(order->args, slot->args);
    slot->begun = vitals_now();
    slot->until = slot->begun + order->span;
    slot->armed = apr_time_now();
    slot->prepared = order->scenario->prepare == NULL;
    look_back(slot, pool);
    return APR_SUCCESS;
}

/* Lines of other failures keep their rhythm: it must not tell the moment. */
static void forget_symptoms(const chaos_scenario_t *scenario)
{
    const char *const *symptom = scenario->symptoms;

    for (; symptom != NULL && *symptom != NULL; symptom++) {
        board_forget_failures(*symptom);
    }
    if (scenario->fault == CHAOS_FAULT_POOL) {
        board_waiting_forget();
    }
}

apr_status_t incident_arm(incident_t **incident,
                          const incident_order_t *order, apr_pool_t *pool)
{
    apr_uint32_t *live = &book->live[index_of(order->scenario)];
    incident_t *slot;
    apr_uint32_t number, there;
    apr_status_t rv;

    if (apr_atomic_read32(live) == 0 && count_live() >= order->live_max) {
        return APR_EBUSY;
    }
    slot = take_slot();
    if (slot == NULL) {
        return APR_ENOSPC;
    }
    rv = fill(slot, order, pool);
    if (rv != APR_SUCCESS) {
        apr_atomic_set32(&slot->state, INCIDENT_FREE);
        return rv;
    }
    number = (apr_uint32_t)(slot - book->slots) + 1;
    there = apr_atomic_cas32(live, number, 0);
    if (there != 0) {
        apr_atomic_set32(&slot->state, INCIDENT_FREE);
        *incident = &book->slots[there - 1];
        return APR_EEXIST;
    }
    forget_symptoms(order->scenario);   /* the first line is told at once */
    apr_atomic_set32(&slot->state, INCIDENT_ARMED);
    if (!order->once && slot->prepared) {
        incident_bend(slot, 1);
    }
    *incident = slot;
    return APR_SUCCESS;
}

/* ---- end ---- */

static void ask_end(incident_t *incident)
{
    apr_atomic_set32(&incident->stop, 1);
    incident_bend(incident, 0);
}

incident_t *incident_stop(const chaos_scenario_t *scenario)
{
    incident_t *incident = incident_of(scenario);

    if (incident != NULL) {
        ask_end(incident);
    }
    return incident;
}

int incident_halt(void)
{
    int i, count = 0;

    for (i = 0; i < INCIDENT_SLOTS; i++) {
        if (incident_is_live(&book->slots[i])) {
            ask_end(&book->slots[i]);
            count++;
        }
    }
    return count;
}

void incident_stamp(apr_uint64_t *moment)
{
    apr_atomic_cas64(moment, (apr_uint64_t)vitals_now(), 0);
}

void incident_advance(incident_t *incident, incident_state_e state)
{
    apr_uint32_t now;

    while ((now = state_of(incident)) >= INCIDENT_ARMED && now < state) {
        /* First the moment, for those who see the state. */
        incident_stamp(&incident->injected);
        if (state == INCIDENT_WITNESSED) {
            incident_stamp(&incident->witnessed);
        }
        if (apr_atomic_cas32(&incident->state, state, now) == now) {
            if (now < INCIDENT_INJECTED) {
                /* What came before was not its. */
                forget_symptoms(incident_scenario(incident));
            }
            return;
        }
    }
}

void incident_finish(incident_t *incident)
{
    incident_stamp(&incident->finished);
}

void incident_close(incident_t *incident, incident_state_e state,
                    const char *why)
{
    apr_uint32_t number = (apr_uint32_t)(incident - book->slots) + 1;

    incident_bend(incident, 0);
    apr_cpystrn(incident->why, why ? why : "", sizeof(incident->why));
    incident_stamp(&incident->ended);
    apr_atomic_set32(&incident->state, state);
    apr_atomic_cas32(&book->live[incident->scenario], 0, number);
}

/* ---- who works ---- */

int incident_take_place(apr_uint32_t *places, int step)
{
    apr_uint32_t pid = (apr_uint32_t)getpid();
    int i;

    for (i = 0; i < INCIDENT_WORKERS; i++) {
        if (step > 0 ? apr_atomic_cas32(&places[i], pid, 0) == 0
                     : apr_atomic_cas32(&places[i], 0, pid) == pid) {
            return 1;
        }
    }
    return 0;
}

static int is_empty(apr_uint32_t *places)
{
    int i;

    for (i = 0; i < INCIDENT_WORKERS; i++) {
        if (apr_atomic_read32(&places[i]) != 0) {
            return 0;
        }
    }
    return 1;
}

int incident_work(incident_t *incident, int step)
{
    int has_place = incident_take_place(incident->workers, step);

    if (has_place && step > 0) {
        apr_atomic_set32(&incident->started, 1);
    }
    return has_place;
}

int incident_works_here(incident_t *incident)
{
    apr_uint32_t pid = (apr_uint32_t)getpid();
    int i;

    for (i = 0; i < INCIDENT_WORKERS; i++) {
        if (apr_atomic_read32(&incident->workers[i]) == pid) {
            return 1;
        }
    }
    return 0;
}

int incident_has_workers(incident_t *incident)
{
    return !is_empty(incident->workers);
}

/* What it left to users, and what none of them is known to have felt. */
static int is_lingering(incident_t *incident, apr_time_t now)
{
    return (apr_uint64_t)now < apr_atomic_read64(&incident->lingering)
        && (apr_atomic_read64(&incident->felt) == 0
            || apr_atomic_read64(&incident->told) == 0);
}

int incident_is_settled(incident_t *incident)
{
    apr_time_t finished = (apr_time_t)apr_atomic_read64(&incident->finished);
    apr_time_t now = vitals_now();
    int is_known = (state_of(incident) == INCIDENT_WITNESSED
                    && apr_atomic_read64(&incident->told) != 0)
        || apr_atomic_read32(&incident->result) != INCIDENT_UNKNOWN;

    return finished != 0 && is_empty(incident->workers)
        && !is_lingering(incident, now)
        && (is_empty(incident->guests)
            || now >= finished + (is_known ? ALL_PATIENCE : FIRST_PATIENCE));
}

int incident_needs_recovery(incident_t *incident)
{
    return incident_scenario(incident)->recover != NULL
        && !apr_atomic_read32(&incident->recovered);
}

int incident_is_finished(incident_t *incident)
{
    return incident_is_over(incident)
        || (incident->once && apr_atomic_read32(&incident->started)
            && !incident_has_workers(incident));
}

/* A death that the incident itself has brought about ends it: nobody else
 * takes its work over. */
static void note_death(incident_t *incident, apr_pool_t *pool)
{
    if (chaos_args_role(incident_args(incident, pool), CHAOS_ROLE_DEATH, 0)) {
        apr_atomic_set32(&incident->result, INCIDENT_HAPPENED);
        ask_end(incident);
    }
}

void incident_child_leave(pid_t pid, int died)
{
    apr_uint32_t gone = (apr_uint32_t)pid;
    apr_pool_t *pool;
    int i, j;

    if (book == NULL || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return;
    }
    for (i = 0; i < INCIDENT_SLOTS; i++) {
        incident_t *incident = &book->slots[i];

        for (j = 0; j < INCIDENT_WORKERS; j++) {
            apr_atomic_cas32(&incident->workers[j], 0, gone);
            apr_atomic_cas32(&incident->guests[j], 0, gone);
        }
        apr_atomic_cas32(&incident->preparing, 0, gone);
        apr_atomic_cas32(&incident->recovering, 0, gone);
        if (apr_atomic_cas32(&incident->owner, 0, gone) == gone
            && died && incident_is_live(incident)) {
            note_death(incident, pool);
        }
    }
    apr_pool_destroy(pool);
}

/* ---- fault points ---- */

incident_t *incident_find_fault(chaos_fault_e fault)
{
    apr_uint32_t number = apr_atomic_read32(&book->faults[fault]);
    incident_t *incident = number ? &book->slots[number - 1] : NULL;

    return incident && !incident_is_over(incident) ? incident : NULL;
}

void incident_bend(incident_t *incident, int bend)
{
    chaos_fault_e fault = incident_scenario(incident)->fault;
    apr_uint32_t number = (apr_uint32_t)(incident - book->slots) + 1;

    if (fault == CHAOS_FAULT_NONE) {
        return;
    }
    if (bend) {
        apr_atomic_set32(&book->faults[fault], number);
    }
    else {
        apr_atomic_cas32(&book->faults[fault], 0, number);
    }
    apr_atomic_set32(&incident->bending, (apr_uint32_t)bend);
}

void incident_remember(const figures_sums_t *sums)
{
    figures_remember(&book->memory, sums);
}
