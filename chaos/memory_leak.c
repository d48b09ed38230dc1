/*
 * memory_leak.c - a cache that only ever grows, up to the memory that there
 * is for it.
 */
#include "chaos.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define MB ((apr_uint64_t)1024 * 1024)

/* One run goes on for so long if nobody says otherwise. */
#define ONCE_S 30
/* Of the time that there is, the part in which it fills up; the rest, it
 * stays full. */
#define FILL_PERCENT 80
/* Fine enough for every mark on the way to be passed one by one. */
#define STEPS 64
#define STEP_MAX (4 * MB)
/* How often it is looked at, and, once full, asked for more: who is ill for
 * long says so for as long. */
#define LOOK_EVERY apr_time_from_sec(5)
/* What fills up if nobody says how much, where there is that much. */
#define LIMIT (512 * MB)

typedef struct leak_t {
    chaos_host_t *host;
    apr_uint64_t limit, step, used;     /* bytes */
    apr_time_t begin, end;
} leak_t;

/* Whoever asked for more than there is was refused before it began. */
static apr_uint64_t limit_of(const chaos_args_t *args, apr_uint64_t budget)
{
    apr_uint64_t limit = (apr_uint64_t)chaos_args_int(args, "limit_mb") * MB;

    return limit > 0 ? limit : budget < LIMIT ? budget : LIMIT;
}

static void prepare_leak(leak_t *leak, chaos_host_t *host,
                         const chaos_args_t *args)
{
    leak->host = host;
    leak->limit = limit_of(args, host->memory_budget);
    leak->step = leak->limit / STEPS;
    if (leak->step > STEP_MAX) {
        leak->step = STEP_MAX;
    }
    if (leak->step == 0) {
        leak->step = 1;
    }
    leak->used = 0;
    leak->begin = host->now(host);
    leak->end = host->deadline != 0
                ? host->deadline : leak->begin + apr_time_from_sec(ONCE_S);
}

/* When the next step is due, so that the growth is steady. */
static apr_time_t next_due(const leak_t *leak)
{
    double share = (double)(leak->used + leak->step) / (double)leak->limit;

    return leak->begin
        + (apr_interval_time_t)((double)(leak->end - leak->begin)
                                * FILL_PERCENT / 100 * share);
}

/* Waits for a moment, or for as long as nobody need look. */
static apr_status_t wait_until(const leak_t *leak, apr_time_t when)
{
    chaos_host_t *host = leak->host;
    apr_interval_time_t wait = when - host->now(host);

    return host->pause(host, wait <= 0 ? 0
                             : wait < LOOK_EVERY ? wait : LOOK_EVERY);
}

/* @return APR_SUCCESS: full; APR_EINTR, APR_TIMEUP: as pause() said;
 *         APR_ENOMEM: the kernel had no more */
static apr_status_t fill(leak_t *leak)
{
    chaos_host_t *host = leak->host;
    apr_status_t rv;

    do {
        apr_time_t due = next_due(leak);
        apr_size_t bytes;

        rv = wait_until(leak, due);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        bytes = host->now(host) < due ? 0 : leak->step;
        rv = host->cache_grow(host, bytes, leak->limit);
        if (rv == APR_SUCCESS) {
            leak->used += bytes;
        }
    } while (rv == APR_SUCCESS);
    return leak->used + leak->step > leak->limit ? APR_SUCCESS : rv;
}

/* Whoever wants more memory gets none. */
static apr_status_t stay(leak_t *leak)
{
    chaos_host_t *host = leak->host;
    apr_status_t rv;

    while ((rv = wait_until(leak, leak->end)) == APR_SUCCESS
           && host->now(host) < leak->end) {
        host->cache_grow(host, leak->step, leak->limit);
    }
    return rv;
}

/* The process really ends, as one that got no memory does.  Its memory is of
 * no interest to anybody, and much. */
static void die(void)
{
    static const struct rlimit none = { 0, 0 };

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    abort();
}

static void describe(chaos_report_t *report, const leak_t *leak,
                     apr_status_t rv)
{
    chaos_report_word(report, "scenario", chaos_memory_leak.title);
    if (rv == APR_TIMEUP) {
        chaos_report_word(report, "error",
                          "the time was over before the memory was full");
    }
    else if (rv == APR_EINTR) {
        chaos_report_word(report, "error", "stopped");
    }
    else if (rv != APR_SUCCESS) {
        chaos_report_word(report, "error",
                          "the kernel had no more memory to give");
    }
    chaos_report_int(report, "limitMB", (apr_int64_t)(leak->limit / MB));
    chaos_report_int(report, "peakMB", (apr_int64_t)(leak->used / MB));
    chaos_report_ms(report, "elapsed",
                    leak->host->now(leak->host) - leak->begin);
}

static apr_status_t run(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool)
{
    leak_t leak;
    apr_status_t rv;

    (void)pool;
    prepare_leak(&leak, host, args);
    rv = fill(&leak);
    if (rv == APR_SUCCESS && chaos_args_bool(args, "crash")) {
        die();
    }
    if (rv == APR_SUCCESS && stay(&leak) == APR_EINTR) {
        rv = APR_EINTR;
    }
    host->cache_drop(host);
    describe(report, &leak, rv);
    return rv == APR_SUCCESS || rv == APR_EINTR ? rv : APR_EGENERAL;
}

static apr_status_t work(chaos_host_t *host, const chaos_args_t *args,
                         apr_pool_t *pool)
{
    leak_t leak;
    apr_status_t rv;

    (void)pool;
    prepare_leak(&leak, host, args);
    rv = fill(&leak);
    if (rv == APR_SUCCESS && chaos_args_bool(args, "crash")) {
        die();
    }
    if (rv == APR_SUCCESS) {
        stay(&leak);
    }
    host->cache_drop(host);
    return rv == APR_ENOMEM ? rv : APR_SUCCESS;
}

static int felt(const chaos_figures_t *before, const chaos_figures_t *during,
                const chaos_args_t *args, const char **why, apr_pool_t *pool)
{
    apr_uint64_t limit = limit_of(args, during->memory_budget);

    (void)pool;
    if (limit > 0 && during->rss >= before->rss + limit / 10 * 9) {
        return 1;
    }
    *why = "the memory of the process did not rise by what was to fill up";
    return 0;
}

static const chaos_param_t params[] = {
    { .name = "limit_mb", .kind = CHAOS_INT,
      .role = CHAOS_ROLE_MEMORY_MB,
      .fallback = 0, .min = 0, .cap = 65536,
      .help = "how much memory fills up, in MB, of what there is to spare; 0: "
              "512, or all that there is to spare if that is less" },
    { .name = "crash", .kind = CHAOS_BOOL,
      .role = CHAOS_ROLE_DEATH, .fallback = 0,
      .help = "whether the process then dies" },
    { .name = NULL }
};

static const char *const symptoms[] = {
    "MEMORY WARNING", "MEMORY CRITICAL", "MEMORY ERROR", NULL
};

const chaos_scenario_t chaos_memory_leak = {
    .name = "memory-leak",
    .title = "Memory Leak",
    .summary = "Fills the memory of the process, bit by bit.",
    .signal = "log: MEMORY WARNING, MEMORY CRITICAL, then MEMORY ERROR with "
              "JavaScript heap out of memory",
    .symptoms = symptoms,
    .params = params,
    .label = "memory-leak",
    .severity = "critical",
    .diagnosis_en = "raise the task memory from 512 MB to 1 GB",
    .diagnosis_ko = "Task 메모리 512MB → 1GB",
    .run = run,
    .message = "Memory leak started (30 seconds)",
    .once_s = ONCE_S,
    .where = CHAOS_ONE_CHILD,
    .work = work,
    .felt = felt
};
