/*
 * chaos_memory_leak.c - memory-leak before a cache that looks at the clock
 * each time it is to grow.
 */
#include "chaos_fake.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>

#define MB ((apr_uint64_t)1024 * 1024)

static apr_pool_t *pool;
static const chaos_scenario_t *scenario;

static struct {
    apr_uint64_t used, peak, budget, kernel_has;
    apr_size_t largest;         /* step */
    apr_interval_time_t jump;   /* the longest between two of them */
    apr_time_t last, at_half, at_80, at_90, full;
    apr_time_t looked;          /* when it last could say how full it is */
    apr_interval_time_t silence;    /* the longest without, from 80 % on */
    int refusals, drops;
} cache;

static void look(void)
{
    if (cache.at_80 != 0 && fake.clock - cache.looked > cache.silence) {
        cache.silence = fake.clock - cache.looked;
    }
    cache.looked = fake.clock;
}

static apr_status_t grow(chaos_host_t *host, apr_size_t bytes,
                         apr_uint64_t budget)
{
    (void)host;
    cache.budget = budget;
    look();
    if (bytes == 0) {
        return APR_SUCCESS;
    }
    if (cache.used + bytes > budget || cache.used + bytes > cache.kernel_has) {
        cache.refusals++;
        cache.full = cache.full ? cache.full : fake.clock;
        return APR_ENOMEM;
    }
    cache.used += bytes;
    cache.peak = cache.used > cache.peak ? cache.used : cache.peak;
    cache.largest = bytes > cache.largest ? bytes : cache.largest;
    if (cache.last != 0 && fake.clock - cache.last > cache.jump) {
        cache.jump = fake.clock - cache.last;
    }
    cache.last = fake.clock;
    if (cache.at_half == 0 && cache.used * 2 >= budget) {
        cache.at_half = fake.clock;
    }
    if (cache.at_80 == 0 && cache.used * 10 >= budget * 8) {
        cache.at_80 = fake.clock;
    }
    if (cache.at_90 == 0 && cache.used * 10 >= budget * 9) {
        cache.at_90 = fake.clock;
    }
    return APR_SUCCESS;
}

static void drop(chaos_host_t *host)
{
    (void)host;
    look();
    cache.drops++;
    cache.used = 0;
}

static chaos_host_t host = {
    .now = fake_now, .pause = fake_pause, .cache_grow = grow,
    .cache_drop = drop
};

static void reset(void)
{
    fake_reset();
    memset(&cache, 0, sizeof(cache));
    cache.kernel_has = APR_UINT64_MAX;
    host.deadline = FAKE_BEGIN + apr_time_from_sec(30);
    host.memory_budget = 512 * MB;
}

static double after(apr_time_t when)
{
    return (double)(when - FAKE_BEGIN) / APR_USEC_PER_SEC;
}

static void once(void)
{
    chaos_report_t *report = chaos_report_create(pool);

    reset();
    tap_is(scenario->run(&host, fake_args(scenario, NULL, NULL, pool), report,
                         pool), APR_SUCCESS, "it happens");
    tap_is(cache.budget, 512 * MB,
           "the default is 512 MB, where there are as many");
    tap_ok(cache.peak > 508 * MB && cache.refusals == 2,
           "it fills up, and wants more every 5 s");
    tap_ok(after(cache.full) > 23 && after(cache.full) < 25,
           "after 80 %% of the time: %.1f s", after(cache.full));
    tap_ok(after(cache.at_half) > 11 && after(cache.at_half) < 13
           && after(cache.at_80) > 18 && after(cache.at_80) < 20.5
           && after(cache.at_90) > 20.5 && after(cache.at_90) < 22.5,
           "steadily: half at %.1f s, 80 %% at %.1f s, 90 %% at %.1f s",
           after(cache.at_half), after(cache.at_80), after(cache.at_90));
    tap_ok(cache.largest >= MB && cache.largest <= 4 * MB,
           "in steps of a few megabytes: %d KB",
           (int)(cache.largest / 1024));
    tap_ok(cache.jump < apr_time_from_sec(1), "several a second");
    tap_ok(after(fake.clock) >= 29.9 && after(fake.clock) <= 30.1,
           "it stays full until the end: %.1f s", after(fake.clock));
    tap_ok(cache.drops == 1 && cache.used == 0, "then all is given back");
    tap_is_str(fake_shown(report, pool),
               "scenario=Memory Leak, limitMB=512, peakMB=512, "
               "elapsed=30000ms", "the report says how far it came");
}

static void limits(void)
{
    static const struct { const char *limit; int budget, expected; } rows[] = {
        { "128", 512, 128 }, { "600", 3000, 600 }, { "4096", 8192, 4096 },
        { "1", 512, 1 }, { "0", 3000, 512 }, { "0", 361, 361 }
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        chaos_report_t *report = chaos_report_create(pool);

        reset();
        host.memory_budget = rows[i].budget * MB;
        tap_ok(scenario->run(&host, fake_args(scenario, "limit_mb",
                                              rows[i].limit, pool),
                             report, pool) == APR_SUCCESS
               && cache.budget == rows[i].expected * MB
               && cache.peak >= cache.budget / 100 * 95
               && cache.peak <= cache.budget && cache.used == 0
               && after(cache.full) > 23 && after(cache.full) < 25,
               "limit_mb %s of %d is %d", rows[i].limit, rows[i].budget,
               rows[i].expected);
        tap_ok(cache.at_80 < cache.at_90 && cache.at_90 < cache.full,
               "... and every mark is passed by itself");
    }
}

static void spans(void)
{
    chaos_report_t *report = chaos_report_create(pool);

    reset();
    host.deadline = 0;
    scenario->run(&host, fake_args(scenario, NULL, NULL, pool), report, pool);
    tap_ok(after(fake.clock) >= 29.9 && after(fake.clock) <= 30.1
           && cache.refusals == 2,
           "without a deadline it lasts for 30 s");
    reset();
    host.deadline = FAKE_BEGIN + apr_time_from_sec(3);
    tap_is(scenario->work(&host, fake_args(scenario, NULL, NULL, pool), pool),
           APR_SUCCESS, "an incident of 3 s works");
    tap_ok(after(cache.full) > 2.2 && after(cache.full) < 2.6
           && after(fake.clock) <= 3.1 && cache.used == 0,
           "and fills up within it: at %.1f s", after(cache.full));
}

/* However long it takes and stays, it is told for as long. */
static void goes_on(void)
{
    static const char *const limits[] = { "1", "100", "512" };
    static const int hours[] = { 1, 24 };
    size_t i, j;

    for (i = 0; i < 3; i++) {
        for (j = 0; j < 2; j++) {
            reset();
            host.deadline = FAKE_BEGIN
                + apr_time_from_sec((apr_time_t)hours[j] * 3600);
            scenario->work(&host, fake_args(scenario, "limit_mb", limits[i],
                                            pool), pool);
            tap_ok(cache.at_80 != 0 && cache.full != 0
                   && fake.clock >= host.deadline
                   && cache.silence <= apr_time_from_sec(5),
                   "%s MB in %d h: once at 80 %%, it is looked at every 5 s "
                   "(%.1f s)", limits[i], hours[j],
                   (double)cache.silence / APR_USEC_PER_SEC);
        }
    }
}

static void stops(void)
{
    static const int seconds[] = { 0, 5, 29 };
    size_t i;

    for (i = 0; i < 3; i++) {
        chaos_report_t *report = chaos_report_create(pool);

        reset();
        fake.stop_at = FAKE_BEGIN + apr_time_from_sec(seconds[i]);
        tap_ok(scenario->run(&host, fake_args(scenario, NULL, NULL, pool),
                             report, pool) == APR_EINTR
               && fake.clock == fake.stop_at && cache.drops == 1
               && cache.used == 0,
               "a run stopped after %d s gives all back at once",
               seconds[i]);
        reset();
        fake.stop_at = FAKE_BEGIN + apr_time_from_sec(seconds[i]);
        tap_ok(scenario->work(&host, fake_args(scenario, NULL, NULL, pool),
                              pool) == APR_SUCCESS
               && fake.clock == fake.stop_at && cache.drops == 1
               && cache.used == 0, "an incident likewise");
    }
}

static void poor_kernel(void)
{
    chaos_report_t *report = chaos_report_create(pool);

    reset();
    cache.kernel_has = 100 * MB;
    tap_is(scenario->run(&host, fake_args(scenario, NULL, NULL, pool), report,
                         pool), APR_EGENERAL,
           "a kernel that has no more is another matter");
    tap_ok(chaos_report_get(report, "error") != NULL && cache.used == 0
           && cache.drops == 1, "which is said, and nothing is kept");
    reset();
    cache.kernel_has = 100 * MB;
    tap_ok(scenario->work(&host, fake_args(scenario, NULL, NULL, pool), pool)
           != APR_SUCCESS && cache.used == 0, "an incident likewise");
}

/* @return how a child process that does it ends; its core would be as large
 * as its limit allows */
static int end_of(int by_work)
{
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        chaos_args_t *args = fake_args(scenario, "crash", "true", pool);

        reset();
        if (by_work) {
            scenario->work(&host, args, pool);
        }
        else {
            scenario->run(&host, args, chaos_report_create(pool), pool);
        }
        _exit(7);
    }
    waitpid(child, &status, 0);
    return status;
}

static void crash(void)
{
    int status = end_of(1);

    tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
           "with crash, the process of an incident really dies");
    tap_ok(!WCOREDUMP(status), "and leaves no core");
    status = end_of(0);
    tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
           "and that of a single run");
}

static void felt(void)
{
    chaos_args_t *own = fake_args(scenario, "limit_mb", "100", pool);
    chaos_args_t *all = fake_args(scenario, NULL, NULL, pool);
    chaos_figures_t before = { .rss = 40 * MB };
    chaos_figures_t during = { .rss = 131 * MB, .memory_budget = 512 * MB };

    tap_is_str(fake_unfelt(scenario, &before, &during, own, pool), NULL,
               "91 of 100 MB are felt");
    during.rss = 129 * MB;
    tap_ok(fake_unfelt(scenario, &before, &during, own, pool) != NULL,
           "89 of 100 MB are not: %s",
           fake_unfelt(scenario, &before, &during, own, pool));
    during.memory_budget = 400 * MB;
    during.rss = (40 + 361) * MB;
    tap_is_str(fake_unfelt(scenario, &before, &during, all, pool), NULL,
               "without a limit, 90 % of what there is counts");
    during.memory_budget = 4096 * MB;
    during.rss = (40 + 462) * MB;
    tap_is_str(fake_unfelt(scenario, &before, &during, all, pool), NULL,
               "but no more than 512 MB");
    during.rss = (40 + 400) * MB;
    tap_ok(fake_unfelt(scenario, &before, &during, all, pool) != NULL,
           "and less does not");
    during.rss = 39 * MB;
    tap_ok(fake_unfelt(scenario, &before, &during, own, pool) != NULL,
           "nor does a process that shrank");
}

int main(int argc, const char *const *argv)
{
    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    scenario = chaos_find("memory-leak");
    if (!tap_ok(scenario != NULL, "memory-leak is a scenario")) {
        return tap_done();
    }
    once();
    limits();
    spans();
    goes_on();
    stops();
    poor_kernel();
    crash();
    felt();
    return tap_done();
}
