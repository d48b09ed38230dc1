/*
 * high_cpu.c - loops that compute and lead to nothing keep the CPUs busy, to
 * the share that is wanted of what the kernel grants.
 */
#include "chaos.h"

#include <math.h>

#include <apr_strings.h>

/* One run goes on for so long if nobody says otherwise. */
#define ONCE_S 30
/* A thread computes for a part of each slice and sleeps for the rest. */
#define SLICE apr_time_from_msec(50)
/* What was missed, or was too much, is made up for unless it is longer ago
 * than this. */
#define MEMORY apr_time_from_sec(1)
#define MEASURE_EVERY apr_time_from_sec(2)
/* What all threads of a run share; none of them writes. */
typedef struct load_t {
    chaos_host_t *host;
    int percent;
    int threads;
    apr_time_t end;
} load_t;

/* Real arithmetic, for a fraction of a millisecond: short beside a slice,
 * long beside what it costs to ask for the time. */
static void compute(volatile double *sum)
{
    double value = *sum;
    int i;

    for (i = 1; i < 40000; i++) {
        value += sqrt((double)i) / (value + 1.0);
    }
    *sum = value;
}

/* CPU time that the whole process should have used after so long. */
static double wanted(const load_t *load, apr_interval_time_t span)
{
    return (double)span * load->host->cpus * load->percent / 100;
}

/*
 * Computes until the process has used what it should have by the end of the
 * slice, or until that end has come.  All threads look at the same account,
 * that of the process, so other work in it counts too, and what one thread
 * could not do another does.
 */
static void burn_slice(const load_t *load, double account,
                       apr_interval_time_t used, apr_time_t slice_end)
{
    chaos_host_t *host = load->host;
    volatile double sum = 1.0;

    while ((double)(host->cpu_used(host) - used) < account
           && host->now(host) < slice_end) {
        compute(&sum);
    }
}

static void burn(const load_t *load)
{
    chaos_host_t *host = load->host;
    apr_time_t begin = host->now(host);
    apr_interval_time_t used = host->cpu_used(host);
    double most = wanted(load, MEMORY);
    double account = 0;         /* what is to be used still */
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && begin < load->end) {
        apr_time_t slice_end = begin + SLICE;
        apr_interval_time_t left, used_now;
        apr_time_t now;

        account += wanted(load, SLICE);
        burn_slice(load, account, used, slice_end);
        now = host->now(host);
        left = slice_end - now;
        rv = host->pause(host, left > 0 ? left : 0);
        now = host->now(host);
        used_now = host->cpu_used(host);
        /* A slice that became longer than it should have been adds more. */
        account += wanted(load, now - slice_end)
                   - (double)(used_now - used);
        account = fmax(-most, fmin(most, account));
        used = used_now;
        begin = now;
    }
}

/* Says every now and then what the kernel has counted. */
static void measure(const load_t *load)
{
    chaos_host_t *host = load->host;
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS) {
        apr_time_t begin = host->now(host);
        apr_interval_time_t used = host->cpu_used(host);
        apr_interval_time_t span = load->end - begin;

        if (span <= 0) {
            return;
        }
        rv = host->pause(host, span < MEASURE_EVERY ? span : MEASURE_EVERY);
        span = host->now(host) - begin;
        if (span >= MEASURE_EVERY / 2) {
            used = host->cpu_used(host) - used;
            host->cpu_measured(host, 100.0 * (double)used
                               / ((double)span * host->cpus), load->percent);
        }
    }
}

static void part(void *baton, int index, apr_pool_t *pool)
{
    const load_t *load = baton;

    (void)pool;
    if (index < load->threads) {
        burn(load);
    }
    else {
        measure(load);
    }
}

/* @param share what it came to, in percent */
static apr_status_t press(chaos_host_t *host, const chaos_args_t *args,
                          double *share, apr_pool_t *pool)
{
    apr_time_t begin = host->now(host);
    apr_interval_time_t used = host->cpu_used(host);
    apr_interval_time_t span;
    load_t load = {
        .host = host,
        .percent = (int)chaos_args_int(args, "percent"),
        .threads = (int)ceil(host->cpus),
        .end = host->deadline != 0 ? host->deadline
                                   : begin + apr_time_from_sec(ONCE_S)
    };
    /* Of low priority, because who can end it comes first. */
    apr_status_t rv = chaos_spawn_low(load.threads + 1, part, &load, pool);

    span = host->now(host) - begin;
    used = host->cpu_used(host) - used;
    *share = span > 0 ? 100.0 * (double)used / ((double)span * host->cpus)
                      : 0;
    return rv;
}

static apr_status_t run(chaos_host_t *host, const chaos_args_t *args,
                        chaos_report_t *report, apr_pool_t *pool)
{
    apr_time_t begin = host->now(host);
    double share;
    apr_status_t rv = press(host, args, &share, pool);

    chaos_report_word(report, "scenario", chaos_high_cpu.title);
    chaos_report_word(report, "cpuUsage",
                      apr_psprintf(pool, "%.0f%%", share));
    chaos_report_ms(report, "elapsed", host->now(host) - begin);
    if (rv != APR_SUCCESS) {
        chaos_report_word(report, "error", "too few threads");
        return APR_EGENERAL;
    }
    if (host->pause(host, 0) == APR_EINTR) {
        chaos_report_word(report, "error", "stopped");
        return APR_EINTR;
    }
    if (share < (double)chaos_args_int(args, "percent") - 5) {
        chaos_report_word(report, "error", "the kernel gave less CPU time");
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

static apr_status_t work(chaos_host_t *host, const chaos_args_t *args,
                         apr_pool_t *pool)
{
    double share;

    return press(host, args, &share, pool);
}

static int felt(const chaos_figures_t *before, const chaos_figures_t *during,
                const chaos_args_t *args, const char **why, apr_pool_t *pool)
{
    int percent = (int)chaos_args_int(args, "percent");

    (void)before;
    if (during->cpu_percent >= percent - 5) {
        return 1;
    }
    *why = apr_psprintf(pool, "the CPUs were busy to %.0f %%, not to %d %%",
                        during->cpu_percent, percent);
    return 0;
}

static const chaos_param_t params[] = {
    { .name = "percent", .kind = CHAOS_INT,
      .role = CHAOS_ROLE_CPU_PERCENT,
      .fallback = 98, .min = 10, .cap = 100,
      .help = "how much of the CPU time that the process is granted it "
              "uses, in percent" },
    { .name = NULL }
};

static const char *const symptoms[] = { "CPU ERROR", NULL };

const chaos_scenario_t chaos_high_cpu = {
    .name = "high-cpu",
    .title = "High CPU",
    .summary = "Keeps the CPUs busy with loops that lead to nothing.",
    .signal = "log: CPU ERROR with CPU usage: NN%",
    .symptoms = symptoms,
    .params = params,
    .label = "high-cpu",
    .severity = "high",
    .diagnosis_en = "optimise the code",
    .diagnosis_ko = "코드 최적화 필요",
    .run = run,
    .message = "High CPU usage started (30 seconds)",
    .once_s = ONCE_S,
    .where = CHAOS_ONE_CHILD,
    .work = work,
    .felt = felt
};
