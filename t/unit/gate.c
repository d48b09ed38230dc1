/*
 * gate.c - permits are handed out in order, in time, and none gets lost.
 */
#include "gate.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <apr_general.h>

#include "tap.h"

#define LONG_ENOUGH apr_time_from_sec(60)

static apr_pool_t *pool;

typedef struct guest_t {
    pthread_t thread;
    gate_t *gate;
    apr_interval_time_t patience;
    gate_line_e line;
    apr_status_t rv;
    int turn;                   /* which of all it was to get in */
} guest_t;

static atomic_int turns;

static gate_t *make_gate(int permits, int waiters_max)
{
    gate_t *gate = NULL;

    if (gate_create(&gate, permits, waiters_max, pool) != APR_SUCCESS) {
        tap_ok(0, "a gate can be made");
    }
    return gate;
}

static gate_stats_t stats_of(gate_t *gate)
{
    gate_stats_t stats;

    gate_stats(gate, &stats);
    return stats;
}

/* Until so many wait; a test that would never see it must not hang. */
static int wait_until_waiting(gate_t *gate, int count)
{
    const struct timespec pause = { 0, 1000000 };
    int tries;

    for (tries = 0; tries < 30000; tries++) {
        if (stats_of(gate).waiting == count) {
            return 1;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

/* Comes in and leaves at once, so that the next in line gets in. */
static void *visit(void *data)
{
    guest_t *guest = data;

    guest->rv = gate_enter(guest->gate, guest->patience, guest->line);
    if (guest->rv == APR_SUCCESS) {
        guest->turn = atomic_fetch_add(&turns, 1);
        gate_leave(guest->gate);
    }
    return NULL;
}

static void send_guest(guest_t *guest, gate_t *gate, gate_line_e line,
                       apr_interval_time_t patience)
{
    guest->gate = gate;
    guest->line = line;
    guest->patience = patience;
    guest->turn = -1;
    pthread_create(&guest->thread, NULL, visit, guest);
}

static void test_free_gate(void)
{
    gate_t *gate = make_gate(2, 4);
    gate_stats_t stats;

    tap_is(gate_enter(gate, 0, GATE_BOUNDED), APR_SUCCESS,
           "a free permit needs no patience");
    tap_is(gate_enter(gate, 0, GATE_BOUNDED), APR_SUCCESS,
           "there are as many as were asked for");
    tap_is(gate_enter(gate, 0, GATE_BOUNDED), APR_TIMEUP,
           "without patience, a taken gate says so at once");
    stats = stats_of(gate);
    tap_ok(stats.permits == 2 && stats.in_use == 2 && stats.waiting == 0
           && stats.timeouts == 1 && stats.refused == 0,
           "the figures tell all of that");
    gate_leave(gate);
    gate_leave(gate);
    tap_is(stats_of(gate).in_use, 0, "what was given back is free");
}

static void test_deadline(void)
{
    gate_t *gate = make_gate(1, 4);
    struct timespec from, to;
    double waited;

    gate_enter(gate, 0, GATE_BOUNDED);
    clock_gettime(CLOCK_MONOTONIC, &from);
    tap_is(gate_enter(gate, apr_time_from_msec(150), GATE_BOUNDED),
           APR_TIMEUP, "a wait ends with the patience");
    clock_gettime(CLOCK_MONOTONIC, &to);
    waited = (double)(to.tv_sec - from.tv_sec)
             + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    tap_ok(waited >= 0.149 && waited < 30, "not before, and not for ever");
    tap_ok(stats_of(gate).waiting == 0 && stats_of(gate).timeouts == 1,
           "who went away waits no more");
    gate_leave(gate);
    tap_is(gate_enter(gate, 0, GATE_BOUNDED), APR_SUCCESS,
           "and takes no permit along");
    gate_leave(gate);
}

static void test_order(void)
{
    enum { GUESTS = 12 };
    gate_t *gate = make_gate(1, GUESTS);
    guest_t guests[GUESTS];
    int wrong = 0;
    int i;

    atomic_store(&turns, 0);
    gate_enter(gate, 0, GATE_BOUNDED);
    for (i = 0; i < GUESTS; i++) {
        send_guest(&guests[i], gate, GATE_BOUNDED, LONG_ENOUGH);
        wrong += !wait_until_waiting(gate, i + 1);
    }
    gate_leave(gate);
    for (i = 0; i < GUESTS; i++) {
        pthread_join(guests[i].thread, NULL);
        wrong += guests[i].rv != APR_SUCCESS || guests[i].turn != i;
    }
    tap_is(wrong, 0, "who came first gets in first");
    tap_is(stats_of(gate).in_use, 0, "nobody is left inside");
}

static void test_hand_over(void)
{
    gate_t *gate = make_gate(1, 4);
    guest_t guest;
    int wrong = 0;
    int run;

    for (run = 0; run < 200; run++) {
        gate_enter(gate, LONG_ENOUGH, GATE_BOUNDED);
        send_guest(&guest, gate, GATE_BOUNDED, LONG_ENOUGH);
        wrong += !wait_until_waiting(gate, 1);
        gate_leave(gate);
        /* The guest either has the permit or has been and gone: it cannot
         * be overtaken by who comes only now. */
        wrong += gate_enter(gate, LONG_ENOUGH, GATE_BOUNDED) != APR_SUCCESS;
        wrong += guest.turn < 0;
        gate_leave(gate);
        pthread_join(guest.thread, NULL);
    }
    tap_is(wrong, 0, "a newcomer never overtakes who waits");
}

static void test_refusal(void)
{
    gate_t *gate = make_gate(1, 2);
    guest_t guests[4];
    int i;

    gate_enter(gate, 0, GATE_BOUNDED);
    send_guest(&guests[0], gate, GATE_EXEMPT, LONG_ENOUGH);
    wait_until_waiting(gate, 1);
    send_guest(&guests[1], gate, GATE_BOUNDED, LONG_ENOUGH);
    send_guest(&guests[2], gate, GATE_BOUNDED, LONG_ENOUGH);
    tap_ok(wait_until_waiting(gate, 3),
           "an exempt one does not count in the bound");
    tap_is(gate_enter(gate, LONG_ENOUGH, GATE_BOUNDED), APR_EBUSY,
           "a line that is full takes no one more");
    tap_is(stats_of(gate).refused, 1, "and that is counted");
    send_guest(&guests[3], gate, GATE_EXEMPT, LONG_ENOUGH);
    tap_ok(wait_until_waiting(gate, 4), "but an exempt one it takes");
    gate_leave(gate);
    for (i = 0; i < 4; i++) {
        pthread_join(guests[i].thread, NULL);
    }
    tap_ok(stats_of(gate).in_use == 0 && stats_of(gate).timeouts == 0
           && guests[3].rv == APR_SUCCESS, "all of the line get in");
    tap_is(gate_enter(gate, 0, GATE_BOUNDED), APR_SUCCESS,
           "and the line is open again");
    gate_leave(gate);
}

#define QUEUE 6

/* Six come; those at the head, in the middle and at the end are hasty.
 * @return 1 if all six stood in line at the same time */
static int line_up(gate_t *gate, guest_t *guests, apr_interval_time_t haste)
{
    int i;

    atomic_store(&turns, 0);
    gate_enter(gate, 0, GATE_BOUNDED);
    for (i = 0; i < QUEUE; i++) {
        int hasty = i == 0 || i == 3 || i == 5;

        send_guest(&guests[i], gate, GATE_BOUNDED,
                   hasty ? haste : LONG_ENOUGH);
        while (stats_of(gate).waiting + (int)stats_of(gate).timeouts <= i) {
            sched_yield();
        }
    }
    return stats_of(gate).timeouts == 0;
}

static void let_in(gate_t *gate, guest_t *guests)
{
    int i;

    gate_leave(gate);
    for (i = 0; i < QUEUE; i++) {
        pthread_join(guests[i].thread, NULL);
    }
}

static void test_leaving_the_line(void)
{
    apr_interval_time_t haste = apr_time_from_msec(200);
    guest_t guests[QUEUE];
    gate_t *gate = make_gate(1, QUEUE);

    /* On a machine so busy that the first has given up before the last has
     * come, they need more time. */
    while (!line_up(gate, guests, haste) && haste < LONG_ENOUGH) {
        let_in(gate, guests);
        gate = make_gate(1, QUEUE);
        haste *= 4;
    }
    tap_ok(wait_until_waiting(gate, 3), "three of six give up");
    let_in(gate, guests);
    tap_ok(guests[1].turn == 0 && guests[2].turn == 1 && guests[4].turn == 2,
           "the others keep their order");
    tap_ok(guests[0].rv == APR_TIMEUP && guests[3].rv == APR_TIMEUP
           && guests[5].rv == APR_TIMEUP, "and who gave up knows it");
}

#define CROWD 64
#define VISITS 400

typedef struct crowd_t {
    gate_t *gate;
    int permits;
    atomic_int inside;
    atomic_int overfull;
    atomic_long entered;
    atomic_long timeouts;
    atomic_long refused;
} crowd_t;

/* Patience of the order of the stay: many a wait ends at the very moment in
 * which the permit comes. */
static void *mill_about(void *data)
{
    crowd_t *crowd = data;
    unsigned int state = (unsigned int)(apr_uintptr_t)&state | 1;
    int i;

    for (i = 0; i < VISITS; i++) {
        const struct timespec stay = { 0, (long)(state >> 8) % 50000 };
        apr_status_t rv;

        state = state * 1103515245 + 12345;
        rv = gate_enter(crowd->gate, (state >> 8) % 2000,
                        i % 16 == 0 ? GATE_EXEMPT : GATE_BOUNDED);
        if (rv == APR_SUCCESS) {
            if (atomic_fetch_add(&crowd->inside, 1) >= crowd->permits) {
                atomic_fetch_add(&crowd->overfull, 1);
            }
            atomic_fetch_add(&crowd->entered, 1);
            nanosleep(&stay, NULL);
            atomic_fetch_sub(&crowd->inside, 1);
            gate_leave(crowd->gate);
        }
        else {
            atomic_fetch_add(rv == APR_TIMEUP ? &crowd->timeouts
                                              : &crowd->refused, 1);
        }
    }
    return NULL;
}

static void test_crowd(int permits)
{
    crowd_t crowd = { .gate = make_gate(permits, 48), .permits = permits };
    pthread_t threads[CROWD];
    gate_stats_t stats;
    int i;

    for (i = 0; i < CROWD; i++) {
        pthread_create(&threads[i], NULL, mill_about, &crowd);
    }
    for (i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    stats = stats_of(crowd.gate);
    printf("# %d permits: %ld entered, %ld timed out, %ld refused\n", permits,
           crowd.entered, crowd.timeouts, crowd.refused);
    tap_is(crowd.overfull, 0, "never more inside than there are permits");
    tap_ok(stats.in_use == 0 && stats.waiting == 0,
           "no permit is lost in a crowd");
    tap_ok(crowd.entered > 0 && crowd.timeouts > 0
           && crowd.entered + crowd.timeouts + crowd.refused
              == (long)CROWD * VISITS
           && stats.timeouts == (apr_uint64_t)crowd.timeouts
           && stats.refused == (apr_uint64_t)crowd.refused,
           "every visit is accounted for");
}

static int keep_on(void *baton)
{
    return atomic_load((atomic_int *)baton);
}

static void *wait_while(void *data)
{
    guest_t *guest = data;
    gate_entry_t entry = {
        .patience = LONG_ENOUGH, .line = GATE_EXEMPT, .keep = keep_on,
        .baton = &turns
    };

    guest->rv = gate_enter_while(guest->gate, &entry);
    return NULL;
}

/* One who changes his mind leaves the line, and takes no permit with him. */
static void test_change_of_mind(void)
{
    gate_t *gate = make_gate(1, 4);
    guest_t guest = { .gate = gate };

    atomic_store(&turns, 1);
    gate_enter(gate, 0, GATE_BOUNDED);
    pthread_create(&guest.thread, NULL, wait_while, &guest);
    tap_ok(wait_until_waiting(gate, 1), "a waiter who is asked waits on");
    atomic_store(&turns, 0);
    pthread_join(guest.thread, NULL);
    tap_is(guest.rv, APR_EINTR, "until it says that it won't");
    tap_is(stats_of(gate).waiting, 0, "then it is out of the line");
    tap_is((long long)stats_of(gate).timeouts, 0, "which is no timeout");
    gate_leave(gate);
    tap_is(gate_enter(gate, 0, GATE_BOUNDED), APR_SUCCESS,
           "and the permit goes to the next one");
}

/* One who says that it waits, and how long it wants to wait until the next
 * time; the second time it says no more. */
typedef struct herald_t {
    guest_t guest;
    atomic_int said;
    apr_interval_time_t waited[2];
} herald_t;

static apr_interval_time_t say(void *baton, apr_interval_time_t waited)
{
    herald_t *herald = baton;
    int said = atomic_load(&herald->said);

    /* It must not hold the gate: this would never return. */
    stats_of(herald->guest.gate);
    if (said < 2) {
        herald->waited[said] = waited;
    }
    atomic_store(&herald->said, said + 1);
    return said == 0 ? apr_time_from_msec(120) : 0;
}

static void *wait_aloud(void *data)
{
    herald_t *herald = data;
    gate_entry_t entry = {
        .patience = herald->guest.patience, .line = GATE_BOUNDED,
        .notice = say, .notice_after = apr_time_from_msec(50),
        .notice_baton = herald
    };

    herald->guest.rv = gate_enter_while(herald->guest.gate, &entry);
    if (herald->guest.rv == APR_SUCCESS) {
        herald->guest.turn = atomic_fetch_add(&turns, 1);
        gate_leave(herald->guest.gate);
    }
    return NULL;
}

static void send_herald(herald_t *herald, gate_t *gate,
                        apr_interval_time_t patience)
{
    herald->guest.gate = gate;
    herald->guest.patience = patience;
    pthread_create(&herald->guest.thread, NULL, wait_aloud, herald);
}

static int wait_until_said(herald_t *herald, int times)
{
    const struct timespec pause = { 0, 1000000 };
    int tries;

    for (tries = 0; tries < 30000; tries++) {
        if (atomic_load(&herald->said) >= times) {
            return 1;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

static void test_notice(void)
{
    gate_t *gate = make_gate(1, 4);
    herald_t herald = { .said = 0 }, hasty = { .said = 0 };
    guest_t later;

    atomic_store(&turns, 0);
    gate_enter(gate, 0, GATE_BOUNDED);
    send_herald(&herald, gate, LONG_ENOUGH);
    tap_ok(wait_until_waiting(gate, 1), "one waits");
    send_guest(&later, gate, GATE_BOUNDED, LONG_ENOUGH);
    tap_ok(wait_until_said(&herald, 2), "it says so, and says so again");
    tap_ok(herald.waited[0] >= apr_time_from_msec(50)
           && herald.waited[1] >= apr_time_from_msec(120),
           "when it has waited for as long as was wanted");
    wait_until_waiting(gate, 2);
    gate_leave(gate);
    pthread_join(herald.guest.thread, NULL);
    pthread_join(later.thread, NULL);
    tap_ok(herald.guest.rv == APR_SUCCESS && herald.guest.turn == 0,
           "and keeps its place in line");
    tap_is(atomic_load(&herald.said), 2, "who wants to say no more is let");

    gate_enter(gate, 0, GATE_BOUNDED);
    send_herald(&hasty, gate, apr_time_from_msec(20));
    pthread_join(hasty.guest.thread, NULL);
    tap_ok(hasty.guest.rv == APR_TIMEUP && atomic_load(&hasty.said) == 0,
           "whose patience is shorter than that says nothing");
    gate_leave(gate);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_free_gate();
    test_deadline();
    test_order();
    test_hand_over();
    test_refusal();
    test_leaving_the_line();
    test_change_of_mind();
    test_notice();
    test_crowd(1);
    test_crowd(4);
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
