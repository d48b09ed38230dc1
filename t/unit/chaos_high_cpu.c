/*
 * chaos_high_cpu.c - high-cpu, really: short runs, held against what the
 * kernel has counted.
 */
#include "chaos_fake.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_thread_proc.h>

static apr_pool_t *pool;
static const chaos_scenario_t *scenario;

static struct {
    apr_time_t stop_at;
    int told, wanted;
    double lowest, highest;     /* share that was told */
    int nice_threads;           /* at most */
    apr_uint64_t waited;        /* time that threads wanted a CPU and got none,
                                 * as far as others than they had it; ns */
} seen;

/* Adds what this thread has waited for a CPU since it was last asked. */
static void count_waited(void)
{
    static __thread unsigned long long before;
    unsigned long long waited = before;
    FILE *file = fopen("/proc/thread-self/schedstat", "re");

    if (file != NULL) {
        if (fscanf(file, "%*u %llu", &waited) != 1) {
            waited = before;
        }
        fclose(file);
    }
    __atomic_fetch_add(&seen.waited, waited - before, __ATOMIC_RELAXED);
    before = waited;
}

static apr_time_t now(chaos_host_t *host)
{
    struct timespec time;

    (void)host;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return apr_time_from_sec(time.tv_sec) + time.tv_nsec / 1000;
}

static apr_status_t look(chaos_host_t *host)
{
    if (now(host) >= seen.stop_at) {
        return APR_EINTR;
    }
    return host->deadline != 0 && now(host) >= host->deadline ? APR_TIMEUP
                                                              : APR_SUCCESS;
}

static apr_status_t pause_for(chaos_host_t *host, apr_interval_time_t span)
{
    apr_time_t end = now(host) + span;
    apr_interval_time_t left;
    apr_status_t rv;

    while ((rv = look(host)) == APR_SUCCESS && (left = end - now(host)) > 0) {
        apr_sleep(left < apr_time_from_msec(100) ? left
                                                 : apr_time_from_msec(100));
    }
    count_waited();
    return rv;
}

static apr_interval_time_t cpu_used(chaos_host_t *host)
{
    struct timespec time;

    (void)host;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return apr_time_from_sec(time.tv_sec) + time.tv_nsec / 1000;
}

/* How many threads there are that step back for others. */
static void count_nice(void)
{
    DIR *threads = opendir("/proc/self/task");
    const struct dirent *each;
    int n = 0;

    if (threads == NULL) {
        return;
    }
    /* cppcheck-suppress readdirCalled; one thread reads this directory */
    while ((each = readdir(threads)) != NULL) {
        id_t thread = (id_t)strtol(each->d_name, NULL, 10);

        n += thread != 0 && getpriority(PRIO_PROCESS, thread) == 5;
    }
    closedir(threads);
    seen.nice_threads = n > seen.nice_threads ? n : seen.nice_threads;
}

static void cpu_measured(chaos_host_t *host, double percent, int wanted)
{
    (void)host;
    if (seen.told == 0 || percent < seen.lowest) {
        seen.lowest = percent;
    }
    if (percent > seen.highest) {
        seen.highest = percent;
    }
    seen.told++;
    seen.wanted = wanted;
    count_nice();
}

static chaos_host_t host = {
    .now = now, .pause = pause_for, .cpu_used = cpu_used,
    .cpu_measured = cpu_measured
};

/* What the kernel says, in microseconds. */
static double kernel_says(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
        + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

typedef struct result_t {
    double share;               /* percent of host.cpus */
    double waited;              /* what it waited for: percent, too */
    double elapsed;             /* seconds */
    apr_status_t status;
    chaos_report_t *report;
} result_t;

static result_t run(double cpus, const char *percent, int msec)
{
    chaos_args_t *args = fake_args(scenario, "percent", percent, pool);
    double used = kernel_says();
    apr_time_t begin = now(&host);
    result_t result = { .report = chaos_report_create(pool) };

    count_waited();
    memset(&seen, 0, sizeof(seen));
    seen.stop_at = FAKE_NEVER;
    host.cpus = cpus;
    host.deadline = begin + apr_time_from_msec(msec);
    result.status = scenario->run(&host, args, result.report, pool);
    result.elapsed = (double)(now(&host) - begin) / 1e6;
    used = kernel_says() - used;
    count_waited();
    result.share = 100 * used / (result.elapsed * 1e6 * cpus);
    result.waited = 100 * (double)seen.waited / (result.elapsed * 1e9 * cpus);
    return result;
}

/* A machine that is busy with other things may not have it to give: then it is
 * what was asked for, and not got. */
static int is_met(const result_t *result, int percent)
{
    return result->share <= percent + 3
        && result->share + result->waited >= percent - 3;
}

static void meets(double cpus, int percent)
{
    result_t result = run(cpus, apr_psprintf(pool, "%d", percent), 3000);
    double late = result.waited / 100 * result.elapsed * cpus;

    tap_ok(result.elapsed >= 2.95 && result.elapsed < 3.3 + late,
           "%d %% of %.2f CPUs: it ends in time: %.2f s", percent, cpus,
           result.elapsed);
    tap_ok(is_met(&result, percent),
           "... it is %.1f %% by the kernel's count, and waits for %.1f %%",
           result.share, result.waited);
    tap_ok(result.status == APR_SUCCESS || result.share < percent - 4,
           "... with success, unless the kernel gave less");
    /* All of the waiting may have been in a part of the time. */
    tap_ok(seen.told >= 1 && seen.wanted == percent
           && seen.lowest + 3 * result.waited >= percent - 6
           && seen.highest <= percent + 6,
           "... what was told is close: %.1f to %.1f %%", seen.lowest,
           seen.highest);
    tap_is(seen.nice_threads, (int)ceil(cpus) + 1,
           "... with a thread for each CPU and one that measures, which step "
           "back for others");
}

/* Other work of the process, half a CPU. */
static int others_stop;

static void *other_work(void *data)
{
    while (!__atomic_load_n(&others_stop, __ATOMIC_RELAXED)) {
        apr_time_t begin = now(data);

        while (now(data) - begin < apr_time_from_msec(10)) {
            continue;
        }
        apr_sleep(apr_time_from_msec(10));
    }
    return NULL;
}

static void shared(void)
{
    pthread_t other;
    result_t result;

    __atomic_store_n(&others_stop, 0, __ATOMIC_RELAXED);
    pthread_create(&other, NULL, other_work, &host);
    result = run(1, "80", 3000);
    __atomic_store_n(&others_stop, 1, __ATOMIC_RELAXED);
    pthread_join(other, NULL);
    tap_ok(is_met(&result, 80),
           "what other threads of the process use counts: 80 %% are %.1f %%, "
           "with %.1f %% waited for", result.share, result.waited);
}

static void stops(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);
    chaos_report_t *report = chaos_report_create(pool);
    apr_time_t begin = now(&host), took;

    count_waited();
    memset(&seen, 0, sizeof(seen));
    seen.stop_at = begin + apr_time_from_msec(300);
    host.cpus = 1;
    host.deadline = begin + apr_time_from_sec(60);
    tap_is(scenario->run(&host, args, report, pool), APR_EINTR,
           "a run can be stopped");
    took = now(&host) - begin;
    count_waited();
    tap_ok(took < apr_time_from_msec(700) + (apr_time_t)seen.waited / 1000,
           "at once: %d ms", (int)(took / 1000));
    tap_is(scenario->work(&host, args, pool), APR_SUCCESS,
           "an incident that is stopped has worked");
    tap_ok(strstr(fake_shown(report, pool), "scenario=High CPU, cpuUsage=")
           != NULL, "the report says how much it was: %s",
           fake_shown(report, pool));
}

static void scarce(void)
{
    result_t result = run(40, "50", 300);

    tap_ok(result.status == APR_EGENERAL
           && chaos_report_get(result.report, "error") != NULL,
           "CPUs that are not there can't be used, and the report says so");
}

static void felt(void)
{
    chaos_args_t *args = fake_args(scenario, NULL, NULL, pool);
    chaos_figures_t before = { .cpu_percent = 2 };
    chaos_figures_t during = { .cpu_percent = 93.5 };

    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool), NULL,
               "93.5 % for 98 % is felt");
    during.cpu_percent = 92.4;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool),
               "the CPUs were busy to 92 %, not to 98 %", "less is not");
    during.cpu_percent = 130;
    tap_is_str(fake_unfelt(scenario, &before, &during, args, pool), NULL,
               "more is");
}

int main(int argc, const char *const *argv)
{
    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    scenario = chaos_find("high-cpu");
    if (!tap_ok(scenario != NULL, "high-cpu is a scenario")) {
        return tap_done();
    }
    meets(0.25, 98);
    meets(1, 50);
    meets(sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1, 98);
    shared();
    stops();
    scarce();
    felt();
    return tap_done();
}
