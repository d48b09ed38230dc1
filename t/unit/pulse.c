/*
 * pulse.c - the log of a patient that is ill for hours, on a clock that runs
 * fast: the lines that the module writes, as often as it writes them.
 *
 *     pulse LEAD SPAN TAIL EVERY NAME...
 *
 * prints it: well for LEAD seconds, with each NAME wrong once in EVERY
 * milliseconds for SPAN seconds, and well for TAIL seconds. Without arguments
 * it looks at such a log itself.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "gate.h"
#include "log/event.h"
#include "log/symptom.h"
#include "ratelimit.h"
#include "store/dberror.h"
#include "tap.h"

/* 2026-01-01T00:00:00Z, a whole hour. */
#define EPOCH (APR_TIME_C(1767225600) * APR_USEC_PER_SEC)

#define FIGURES_EVERY apr_time_from_sec(60)
#define CPU_EVERY apr_time_from_sec(2)
#define VISIT_EVERY apr_time_from_sec(10)

static apr_pool_t *pool;
static ratelimit_t limit;
static FILE *out;
static int lines, longest;

static void write_line(event_t *event, apr_time_t now)
{
    apr_uint64_t suppressed = 0;
    int len;

    if (event->level >= EVENT_WARNING
        && !ratelimit_pass(&limit, event->type, event->code, now,
                           RATELIMIT_PULSE, &suppressed)) {
        return;
    }
    if (suppressed) {
        event_int(event, "suppressed", (apr_int64_t)suppressed);
    }
    len = (int)strlen(event_close(event));
    longest = len > longest ? len : longest;
    lines += event->level >= EVENT_WARNING;
    if (out != NULL) {
        fprintf(out, "%s\n", event->line);
    }
}

/* ---- what fails; number counts the events of it ---- */

static void db_event(event_t *event, long number, apr_time_t now)
{
    static const char *const native[] = {
        "Lost connection to server at 'handshake: reading initial "
        "communication packet', system error: 110",
        "Can't connect to server on 'db.example.org' (115)"
    };
    dberror_t error;
    int refused = number % 50 == 49;

    dberror_set(&error, refused ? 2002 : 2013, "HY000", native[refused],
                "db.example.org", 3306, pool);
    event_open(event, EVENT_ERROR, dberror_type(&error), now);
    dberror_describe(&error, event);
    apr_pool_clear(pool);
}

static void pool_event(event_t *event, long number, apr_time_t now)
{
    gate_stats_t stats = { .permits = 10, .in_use = 10, .waiting = 40 };

    if (number % 5 == 1) {
        event_open(event, EVENT_WARNING, "POOL WARNING", now);
        event_str(event, "message", "waiting for a connection");
        event_int(event, "poolMax", stats.permits);
        return;
    }
    if (number % 20 == 19) {
        event_open(event, EVENT_WARNING, "LOAD WARNING", now);
        event_str(event, "message", "all workers but the reserve are busy");
        return;
    }
    event_open(event, EVENT_ERROR, SYMPTOM_POOL, now);
    symptom_pool(event, APR_TIMEUP, &stats, apr_time_from_sec(30));
}

static void memory_event(event_t *event, long number, apr_time_t now)
{
    symptom_memory_e mark = (symptom_memory_e)(number % 3
                                               + SYMPTOM_MEMORY_WARNING);

    event_open(event, symptom_memory_level(mark), symptom_memory_type(mark),
               now);
    symptom_memory(event, mark, 400000000, 380000000, 420000000);
}

static void process_event(event_t *event, long number, apr_time_t now)
{
    (void)number;
    event_open(event, EVENT_ERROR, "PROCESS ERROR", now);
    event_str(event, "error", "a server process died; another takes over");
}

static void slow_event(event_t *event, long number, apr_time_t now)
{
    (void)number;
    event_open(event, EVENT_ERROR, SYMPTOM_SLOW, now);
    symptom_slow(event, 101, apr_time_from_sec(2));
}

static void upstream_event(event_t *event, long number, apr_time_t now)
{
    (void)number;
    event_open(event, EVENT_ERROR, SYMPTOM_UPSTREAM, now);
    symptom_upstream(event, "Error: connect ETIMEDOUT", "ETIMEDOUT",
                     "http://upstream.example.org/", apr_time_from_sec(3),
                     apr_time_from_sec(3));
}

static void token_event(event_t *event, long number, apr_time_t now)
{
    (void)number;
    event_open(event, EVENT_ERROR, SYMPTOM_EXPIRED, now);
    symptom_expired(event, apr_time_sec(now) - 1);
}

static void cpu_event(event_t *event, long number, apr_time_t now)
{
    (void)number;
    event_open(event, EVENT_ERROR, SYMPTOM_CPU, now);
    symptom_cpu(event, 96, 2, 2);
}

static const struct {
    const char *name;
    void (*make)(event_t *event, long number, apr_time_t now);
    apr_interval_time_t every;  /* 0: as users meet it */
} failures[] = {
    { "db-failure", db_event, 0 },
    { "pool-exhaustion", pool_event, 0 },
    { "memory-leak", memory_event, 0 },
    { "slow-query", slow_event, 0 },
    { "api-timeout", upstream_event, 0 },
    { "jwt-expiry", token_event, 0 },
    { "high-cpu", cpu_event, CPU_EVERY },
    { "process", process_event, 0 }
};
#define FAILURES ((int)(sizeof(failures) / sizeof(failures[0])))
#define ILLNESSES 7

/* ---- a patient's life ---- */

typedef struct life_t {
    apr_time_t begin, end;      /* of the illness */
    apr_time_t over;
    apr_interval_time_t every;
    unsigned int ill;           /* a bit for each failure */
} life_t;

static void be_well(event_t *event, apr_time_t now)
{
    if ((now - EPOCH) % FIGURES_EVERY == apr_time_from_sec(2)) {
        event_open(event, EVENT_INFO, "METRICS", now);
        event_json(event, "_aws", "{\"CloudWatchMetrics\":[{\"Namespace\":"
                   "\"Patient\",\"Dimensions\":[[\"Service\"]],\"Metrics\":["
                   "{\"Name\":\"Requests\",\"Unit\":\"Count\"}]}]}");
        event_str(event, "Service", "patient-backend");
        event_int(event, "Requests", 6);
        write_line(event, now);
    }
    if ((now - EPOCH) % VISIT_EVERY == 0) {
        event_open(event, EVENT_INFO, "REQUEST", now);
        event_str(event, "path", "/an error");
        write_line(event, now);
    }
}

static void live(const life_t *life)
{
    static const apr_interval_time_t step = 100000;
    long count[FAILURES] = { 0 };
    apr_time_t next[FAILURES];
    event_t event;
    apr_time_t now;
    int i;

    memset(&limit, 0, sizeof(limit));
    lines = longest = 0;
    for (i = 0; i < FAILURES; i++) {
        next[i] = life->begin + i * APR_TIME_C(7000);
    }
    for (now = EPOCH; now < life->over; now += step) {
        be_well(&event, now);
        for (i = 0; i < FAILURES; i++) {
            while (life->ill & 1u << i && next[i] < now + step
                   && next[i] < life->end) {
                failures[i].make(&event, count[i]++, next[i]);
                write_line(&event, next[i]);
                next[i] += failures[i].every ? failures[i].every
                                             : life->every;
            }
        }
    }
}

static unsigned int failure_bit(const char *name)
{
    int i;

    for (i = 0; i < FAILURES; i++) {
        if (strcmp(failures[i].name, name) == 0) {
            return 1u << i;
        }
    }
    fprintf(stderr, "pulse: there is no %s\n", name);
    exit(2);
}

static void test_lives(void)
{
    life_t life = {
        .begin = EPOCH, .end = EPOCH + apr_time_from_sec(1800),
        .over = EPOCH + apr_time_from_sec(1800)
    };
    static const int every[] = { 100, 1000, 20000 };
    unsigned int i, way;

    for (i = 0; i <= ILLNESSES; i++) {
        life.ill = i < ILLNESSES ? 1u << i : (1u << ILLNESSES) - 1;
        for (way = 0; way < 3; way++) {
            life.every = apr_time_from_msec(every[way]);
            live(&life);
            tap_ok(lines >= 60 && lines <= 100 && longest < EVENT_LINE_MAX,
                   "%s, each %d ms: half an hour is %d lines",
                   i < ILLNESSES ? failures[i].name : "all", every[way],
                   lines);
        }
    }
}

int main(int argc, char **argv)
{
    life_t life = { .ill = 0 };
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (argc < 5) {
        test_lives();
        return tap_done();
    }
    out = stdout;
    life.begin = EPOCH + apr_time_from_sec(apr_atoi64(argv[1]));
    life.end = life.begin + apr_time_from_sec(apr_atoi64(argv[2]));
    life.over = life.end + apr_time_from_sec(apr_atoi64(argv[3]));
    life.every = apr_time_from_msec(apr_atoi64(argv[4]));
    for (i = 5; i < argc; i++) {
        life.ill |= failure_bit(argv[i]);
    }
    live(&life);
    return 0;
}
