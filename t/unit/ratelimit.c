/*
 * ratelimit.c - the log has a pulse: steady enough for who counts lines, and
 * slow enough for who reads one page of them. Hours of it, on a clock that
 * runs fast.
 */
#include "ratelimit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* A reader's page, and an alarm's period and what it wants in it. */
#define PAGE 100
#define PAGE_SPAN apr_time_from_sec(30 * 60)
#define PERIOD apr_time_from_sec(5 * 60)
#define WANTED 10

#define START apr_time_from_sec(1000000)
#define HOURS(n) apr_time_from_sec((apr_time_t)(n) * 3600)
#define SEC(n) apr_time_from_sec((apr_time_t)(n))

static ratelimit_t limit;
static apr_uint64_t suppressed;

/* ---- what is told ---- */

#define TOLD_MAX 4096
static apr_time_t told[TOLD_MAX];
static atomic_int told_count;

static void begin(void)
{
    memset(&limit, 0, sizeof(limit));
    told_count = 0;
}

static int pass(const char *type, const char *code, apr_time_t now)
{
    apr_uint64_t held;
    int is_told = ratelimit_pass(&limit, type, code, now, RATELIMIT_PULSE,
                                 &held);
    int at;

    if (is_told && (at = atomic_fetch_add(&told_count, 1)) < TOLD_MAX) {
        told[at] = now;
    }
    return is_told;
}

static int by_time(const void *left, const void *right)
{
    const apr_time_t *a = left, *b = right;

    return *a < *b ? -1 : *a > *b;
}

/* The most lines that any half hour has. */
static int fullest_page(void)
{
    int from = 0, most = 0, i;

    qsort(told, (size_t)told_count, sizeof(told[0]), by_time);
    for (i = 0; i < told_count; i++) {
        while (told[i] - told[from] > PAGE_SPAN) {
            from++;
        }
        most = i - from + 1 > most ? i - from + 1 : most;
    }
    return most;
}

/* The fewest lines that any five minutes have, wherever they begin. */
static int emptiest_period(apr_time_t start, apr_time_t end)
{
    int fewest = told_count, after = 0, from = 0;
    apr_time_t at;

    for (at = start; at + PERIOD <= end; at += SEC(1)) {
        while (from < told_count && told[from] < at) {
            from++;
        }
        while (after < told_count && told[after] < at + PERIOD) {
            after++;
        }
        fewest = after - from < fewest ? after - from : fewest;
    }
    return fewest;
}

static int has_pulse(apr_time_t start, apr_time_t end, const char *name)
{
    int most = fullest_page();
    int fewest = emptiest_period(start, end);

    return tap_ok(told_count <= TOLD_MAX && most <= PAGE && fewest >= WANTED,
                  "%s: %d lines in five minutes at least, %d in half an hour "
                  "at most", name, fewest, most);
}

/* ---- what fails ---- */

typedef struct sort_t {
    const char *type, *codes[4];
    int often;                  /* of this many events one is of the sort */
} sort_t;

typedef struct illness_t {
    const char *name;
    sort_t sorts[4];
} illness_t;

/* The kinds of lines that each of them has, by how often they come. */
static const illness_t illnesses[] = {
    { "database", { { "DB CONNECTION ERROR", { "ETIMEDOUT", "ECONNREFUSED",
                                               "CR_SERVER_LOST" }, 1 } } },
    { "pool", { { "POOL ERROR", { "POOL_TIMEOUT", "POOL_FULL" }, 1 },
                { "POOL WARNING", { NULL }, 9 } } },
    { "memory", { { "MEMORY WARNING", { NULL }, 1 },
                  { "MEMORY CRITICAL", { NULL }, 2 },
                  { "MEMORY ERROR", { "ENOMEM" }, 4 },
                  { "HTTPD", { "AH00051" }, 40 } } },
    { "slow", { { "PERFORMANCE ERROR", { NULL }, 1 } } },
    { "upstream", { { "API TIMEOUT ERROR", { "ETIMEDOUT" }, 1 } } },
    { "token", { { "JWT ERROR", { "TOKEN_EXPIRED" }, 1 } } },
    { "cpu", { { "CPU ERROR", { NULL }, 1 } } }
};
#define ILLNESSES 7
#define SORTS 4
#define CODES 4

typedef struct world_t {
    unsigned int ill;           /* a bit for each illness */
    const char *name;
    apr_interval_time_t every;  /* between two events of each illness */
    int burst;                  /* as many at once, 1 ms apart */
    apr_interval_time_t span;
} world_t;

static unsigned int random_state;
static unsigned int roll(unsigned int sides)
{
    random_state = random_state * 1103515245u + 12345u;
    return (random_state >> 16) % sides;
}

typedef struct known_t {
    const char *type, *code;
    apr_time_t last;            /* told */
    apr_time_t silence;         /* the longest, between two events told */
    int events;
} known_t;

static known_t known[ILLNESSES * SORTS * CODES];
static int known_count, missed_first;

static void happen(const char *type, const char *code, apr_time_t now)
{
    int is_told = pass(type, code, now);
    known_t *kind = known;

    while (kind < known + known_count
           && (kind->type != type || kind->code != code)) {
        kind++;
    }
    if (kind == known + known_count) {
        known_count++;
        *kind = (known_t){ .type = type, .code = code, .last = now };
        missed_first += !is_told;
    }
    if (now - kind->last > kind->silence) {
        kind->silence = now - kind->last;
    }
    kind->events++;
    kind->last = is_told ? now : kind->last;
}

static void befall(const illness_t *illness, apr_time_t now)
{
    const sort_t *sort = illness->sorts;
    int codes = 0;

    for (; sort < illness->sorts + SORTS && sort->type; sort++) {
        if (roll((unsigned int)sort->often) != 0) {
            continue;
        }
        for (codes = 0; codes < CODES && sort->codes[codes]; codes++) {
        }
        happen(sort->type,
               codes ? sort->codes[roll((unsigned int)codes)] : NULL, now);
    }
}

static void live(const world_t *world)
{
    apr_time_t now;
    int i, n;

    begin();
    known_count = missed_first = 0;
    random_state = world->ill * 7u + (unsigned int)world->burst;
    for (now = START; now < START + world->span; now += world->every) {
        for (n = 0; n < world->burst; n++) {
            for (i = 0; i < ILLNESSES; i++) {
                if (world->ill & 1u << i) {
                    befall(&illnesses[i], now + n * APR_TIME_C(1000)
                           + i * APR_TIME_C(100));
                }
            }
        }
    }
}

static void test_world(world_t world)
{
    apr_time_t silence = 0, bound;
    char name[96];
    int i;

    live(&world);
    snprintf(name, sizeof(name), "%s, %d each %d ms", world.name,
             world.burst, (int)apr_time_as_msec(world.every));
    has_pulse(START, START + world.span, name);
    /* Those that come all the time, each in its turn. */
    bound = (2 * known_count + 4) * RATELIMIT_PULSE;
    for (i = 0; i < known_count; i++) {
        if ((apr_time_t)known[i].events * SEC(5) > world.span
            && known[i].silence > silence) {
            silence = known[i].silence;
        }
    }
    tap_ok(missed_first == 0 && silence <= bound,
           "%s: each of %d kinds at once, then in its turn (%d s)", name,
           known_count, (int)apr_time_sec(silence));
}

static void test_worlds(unsigned int ill, const char *name,
                        apr_interval_time_t often)
{
    static const world_t ways[] = {
        { .every = SEC(1), .burst = 1 },
        { .every = SEC(7), .burst = 1 },
        { .every = SEC(20), .burst = 1 },
        { .every = SEC(30), .burst = 20 },
        { .every = SEC(60), .burst = 50 }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        world_t world = ways[i];

        world.ill = ill;
        world.name = name;
        world.span = HOURS(2);
        test_world(world);
    }
    test_world((world_t){ .ill = ill, .name = name, .every = often,
                          .burst = 1, .span = HOURS(2) });
}

static void test_all_worlds(void)
{
    char name[64];
    int i, j;

    for (i = 0; i < ILLNESSES; i++) {
        test_worlds(1u << i, illnesses[i].name, apr_time_from_msec(20));
        for (j = i + 1; j < ILLNESSES; j++) {
            snprintf(name, sizeof(name), "%s and %s", illnesses[i].name,
                     illnesses[j].name);
            test_worlds(1u << i | 1u << j, name, apr_time_from_msec(200));
        }
    }
    test_worlds((1u << ILLNESSES) - 1, "all seven", apr_time_from_msec(7));
    test_world((world_t){ .ill = 1, .burst = 1, .every = 1000,
                          .span = HOURS(1), .name = "a flood" });
}

/* ---- one kind, looked at closely ---- */

static void test_one(void)
{
    begin();
    tap_ok(pass("A", NULL, START), "the first one is told at once");
    tap_ok(!pass("A", NULL, START + 1), "the next one is not");
    tap_ok(!pass("A", NULL, START + SEC(24)), "nor before the pulse");
    tap_ok(ratelimit_pass(&limit, "A", NULL, START + SEC(25),
                          RATELIMIT_PULSE, &suppressed), "the beat is told");
    tap_is((long long)suppressed, 2, "and says how many were not");
    tap_ok(!pass("A", NULL, START + SEC(49)), "silent until the next");
    tap_ok(pass("A", NULL, START + SEC(51)), "which is told when it happens");
    tap_ok(pass("A", NULL, START + SEC(75)),
           "and the one after it is not late for that");
    tap_ok(pass("B", NULL, START + SEC(76)), "another type is told at once");
    tap_ok(pass("A", "B", START + SEC(76)), "and another code");
    tap_ok(!pass("A", NULL, START + SEC(77)), "the first is still known");
}

static void test_sparse(void)
{
    apr_time_t now;
    int all = 1;

    begin();
    for (now = START; now < START + HOURS(1); now += SEC(60)) {
        all &= pass("A", NULL, now);
    }
    tap_ok(all, "what happens once a minute is told each time");
    begin();
    for (now = START; now < START + HOURS(2); now += SEC(28)) {
        pass("A", NULL, now);
    }
    has_pulse(START, START + HOURS(2), "one each 28 s");
}

/* Between the beats of one that happens all the time, another is not lost. */
static void test_between(void)
{
    apr_time_t now, last = START, silence = 0;

    begin();
    for (now = START; now < START + HOURS(2); now += apr_time_from_msec(10)) {
        pass("loud", NULL, now);
        if ((now - START) % SEC(25) == SEC(12)) {
            if (pass("quiet", NULL, now)) {
                silence = now - last > silence ? now - last : silence;
                last = now;
            }
        }
    }
    tap_ok(silence > 0 && silence <= SEC(100) && now - last <= SEC(100),
           "who never happens when a beat is due is told all the same "
           "(%d s)", (int)apr_time_sec(silence));
    has_pulse(START, START + HOURS(2), "a loud one and a quiet one");
}

static void test_gone(void)
{
    apr_time_t now;

    begin();
    for (now = START; now < START + SEC(60); now += SEC(1)) {
        pass("A", NULL, now);
        pass("B", NULL, now);
    }
    told_count = 0;
    for (; now < START + SEC(400); now += SEC(1)) {
        pass("A", NULL, now);
    }
    tap_ok(told_count >= 13, "who is gone holds up nobody (%d)", told_count);
    tap_ok(pass("B", NULL, START + SEC(400)),
           "and is told at once when it is back");
}

/* ---- first lines ---- */

static void test_forget(void)
{
    begin();
    pass("A", NULL, START);
    pass("A", NULL, START + 1);
    pass("B", "1", START + 1);
    pass("AB", NULL, START + 1);
    ratelimit_forget(&limit, "A");
    tap_ok(!pass("B", "1", START + 1) && !pass("AB", NULL, START + 1),
           "another type keeps its rhythm");
    tap_ok(ratelimit_pass(&limit, "A", NULL, START + 2, RATELIMIT_PULSE,
                          &suppressed), "forgotten, it is a first one");
    tap_is((long long)suppressed, 1, "that knows what was held back before");
    tap_ok(!pass("A", NULL, START + 3), "and only once");
}

static void forget_all(void)
{
    ratelimit_forget(&limit, "A");
    ratelimit_forget(&limit, "B");
}

/* Somebody who makes everything a first one again all the time. */
static void test_forget_loop(apr_interval_time_t every, const char *name)
{
    apr_time_t now;
    int at_once = 0;

    begin();
    for (now = START; now < START + HOURS(2); now += every) {
        forget_all();
        at_once += pass("A", NULL, now + 1) && now - START < 20 * every;
        pass("B", "1", now + 2);
        pass("B", "2", now + 3);
        pass("A", NULL, now + 4);
    }
    tap_ok(at_once >= 7, "%s: the first ones at once (%d)", name, at_once);
    has_pulse(START, START + HOURS(2), name);
}

/* One an operator's minute, for hours: each is told at once. */
static void test_apart(void)
{
    apr_time_t now;
    int all = 1;

    begin();
    for (now = START; now < START + HOURS(3); now += SEC(60)) {
        forget_all();
        all &= pass("A", NULL, now) && pass("B", "1", now + SEC(1));
        pass("A", NULL, now + SEC(2));
    }
    tap_ok(all, "two kinds, once a minute: each told at once, for hours");
    tap_ok(fullest_page() <= PAGE, "on one page (%d)", fullest_page());
}

/* Kinds that nobody could foresee. */
static void test_crowd(apr_interval_time_t every, const char *name)
{
    apr_time_t now, last = START, silence = 0;
    int i = 0, at_once = 0;
    char code[24];

    begin();
    for (now = START; now < START + HOURS(2); now += every) {
        snprintf(code, sizeof(code), "kind %d", i++);
        at_once += pass("HTTPD", code, now) && i <= 20;
        if (i % 3 == 0 && pass("DB CONNECTION ERROR", "A", now)) {
            silence = now - last > silence ? now - last : silence;
            last = now;
        }
    }
    tap_is(at_once, 20, "the first ones of a crowd are told at once");
    tap_ok(silence <= SEC(160) && now - last <= SEC(160),
           "%s: who comes back is not lost among those who do not (%d s)",
           name, (int)apr_time_sec(silence));
    has_pulse(START, START + HOURS(2), name);
}

static void test_later(void)
{
    apr_time_t now;
    char code[24];
    int i;

    begin();
    for (i = 0; i < 200; i++) {
        snprintf(code, sizeof(code), "kind %d", i);
        pass("HTTPD", code, START + i);
    }
    for (now = START; now < START + HOURS(2); now += SEC(1)) {
        pass("A", NULL, now);
    }
    tap_ok(pass("new", NULL, now),
           "an hour after a crowd, while something fails, what is new is told "
           "at once");
}

/* ---- many at once ---- */

#define WRITERS 8
#define RACE_EVERY 5000
static atomic_long ticks;

static void *race(void *unused)
{
    long tick;

    (void)unused;
    while ((tick = atomic_fetch_add(&ticks, 1)) * RACE_EVERY < HOURS(2)) {
        int which = (int)(tick % ILLNESSES);
        const sort_t *sort = &illnesses[which].sorts[tick / 7 % 2];

        if (sort->type != NULL) {
            pass(sort->type, sort->codes[0], START + tick * RACE_EVERY);
        }
    }
    return NULL;
}

static void test_race(void)
{
    pthread_t threads[WRITERS];
    int i;

    begin();
    ticks = 0;
    for (i = 0; i < WRITERS; i++) {
        pthread_create(&threads[i], NULL, race, NULL);
    }
    for (i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    has_pulse(START, START + HOURS(2), "eight writers");
}

static void *race_first(void *number)
{
    char code[24];
    int i;

    for (i = 0; i < 2000; i++) {
        snprintf(code, sizeof(code), "kind %d %d", *(int *)number, i);
        pass("HTTPD", code, START + apr_time_from_msec(i));
        ratelimit_forget(&limit, "A");
        pass("A", NULL, START + apr_time_from_msec(i));
    }
    return NULL;
}

static void test_race_first(void)
{
    pthread_t threads[WRITERS];
    int number[WRITERS], i;

    begin();
    for (i = 0; i < WRITERS; i++) {
        number[i] = i;
        pthread_create(&threads[i], NULL, race_first, &number[i]);
    }
    for (i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    tap_ok(told_count >= 20 && told_count <= PAGE - RATELIMIT_BEATS,
           "eight writers of ever new kinds leave room for the pulse (%d)",
           told_count);
}

int main(void)
{
    test_one();
    test_sparse();
    test_between();
    test_gone();
    test_forget();
    test_forget_loop(SEC(1), "an operator each second");
    test_forget_loop(SEC(10), "an operator each 10 s");
    test_forget_loop(SEC(25), "an operator each 25 s");
    test_apart();
    test_crowd(SEC(1), "a new kind each second");
    test_crowd(SEC(7), "a new kind each 7 s");
    test_crowd(apr_time_from_msec(100), "ten new kinds a second");
    test_later();
    test_all_worlds();
    test_race();
    test_race_first();
    return tap_done();
}
