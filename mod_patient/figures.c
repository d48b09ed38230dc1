/*
 * figures.c - what happened between two moments.
 */
#include "figures.h"

#include <string.h>

#include "grant.h"
#include "vitals.h"

void figures_take(figures_sums_t *sums, const board_sums_t *board)
{
    int route, class, i;

    memset(sums, 0, sizeof(*sums));
    sums->at = vitals_now();
    sums->longest = board->longest;
    sums->pool_timeouts = board->pool_timeouts + board->pool_refused;
    sums->cpu = (apr_interval_time_t)(board->cpu_user + board->cpu_system);
    for (route = 0; route < BOARD_ROUTES_MAX; route++) {
        for (class = 0; class < BOARD_CLASSES; class++) {
            const board_histogram_t *from = &board->requests[route][class];
            apr_uint64_t count = 0;

            for (i = 0; i < BOARD_BUCKETS; i++) {
                sums->buckets[i] += from->buckets[i];
                count += from->buckets[i];
            }
            sums->requests += count;
            sums->status_4xx += class == 2 ? count : 0;
            sums->status_5xx += class == 3 ? count : 0;
        }
    }
}

/* Where a bucket ends, and the last one, at what was really seen. */
static apr_interval_time_t end_of(int bucket, apr_interval_time_t longest)
{
    return bucket < BOARD_BUCKETS - 1 && board_bounds[bucket] < longest
        ? board_bounds[bucket] : longest;
}

apr_interval_time_t figures_quantile(const apr_uint64_t *buckets,
                                     apr_interval_time_t longest,
                                     double share)
{
    double total = 0, count = 0;
    apr_interval_time_t low = 0;
    int i;

    for (i = 0; i < BOARD_BUCKETS; i++) {
        total += (double)buckets[i];
    }
    for (i = 0; i < BOARD_BUCKETS && low < longest; i++) {
        double here = (double)buckets[i];

        if (here > 0 && count + here >= share * total) {
            return low + (apr_interval_time_t)(
                (double)(end_of(i, longest) - low)
                * (share * total - count) / here);
        }
        count += here;
        low = end_of(i, longest);
    }
    return total > 0 ? longest : 0;
}

static void subtract(apr_uint64_t *buckets, const figures_sums_t *from,
                     const figures_sums_t *to)
{
    int i;

    for (i = 0; i < BOARD_BUCKETS; i++) {
        buckets[i] = to->buckets[i] - from->buckets[i];
    }
}

void figures_compare(chaos_figures_t *figures, const figures_sums_t *from,
                      const figures_sums_t *to)
{
    apr_uint64_t buckets[BOARD_BUCKETS];
    apr_interval_time_t span = to->at - from->at;

    subtract(buckets, from, to);
    figures->requests = to->requests - from->requests;
    figures->status_4xx = to->status_4xx - from->status_4xx;
    figures->status_5xx = to->status_5xx - from->status_5xx;
    figures->pool_timeouts = to->pool_timeouts - from->pool_timeouts;
    figures->p50 = figures_quantile(buckets, to->longest, 0.5);
    figures->p95 = figures_quantile(buckets, to->longest, 0.95);
    figures->p99 = figures_quantile(buckets, to->longest, 0.99);
    figures->cpu_percent = span > 0
        ? 100 * (double)(to->cpu - from->cpu) / ((double)span * grant_cpus())
        : 0;
}

apr_interval_time_t figures_longest(const figures_memory_t *memory)
{
    apr_interval_time_t longest = board_longest(BOARD_WINDOW_MEMORY);
    int i;

    for (i = 0; i < FIGURES_MEMORIES; i++) {
        if (memory->sums[i].longest > longest) {
            longest = memory->sums[i].longest;
        }
    }
    return longest;
}

const figures_sums_t *figures_oldest(const figures_memory_t *memory,
                                     const figures_sums_t *now)
{
    const figures_sums_t *oldest = now;
    int i;

    for (i = 0; i < FIGURES_MEMORIES; i++) {
        if (memory->sums[i].at != 0 && memory->sums[i].at < oldest->at) {
            oldest = &memory->sums[i];
        }
    }
    return oldest;
}

void figures_remember(figures_memory_t *memory, const figures_sums_t *sums)
{
    memory->sums[memory->next] = *sums;
    memory->next = (memory->next + 1) % FIGURES_MEMORIES;
}
