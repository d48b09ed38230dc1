/*
 * figures.h - what happened between two moments.
 */
#ifndef PATIENT_FIGURES_H
#define PATIENT_FIGURES_H

#include "board.h"
#include "chaos/chaos.h"

/** A moment's sums, for the difference to another moment's. */
typedef struct figures_sums_t {
    apr_time_t at;              /* steady; 0: none taken */
    apr_uint64_t requests, status_4xx, status_5xx, pool_timeouts;
    apr_uint64_t buckets[BOARD_BUCKETS];
    apr_interval_time_t longest;    /* duration in the time that ends here,
                                     * whichever that is; else ever */
    apr_interval_time_t cpu;
} figures_sums_t;

/** Sums of the last minute, one for each five seconds. */
#define FIGURES_MEMORIES 12

typedef struct figures_memory_t {
    apr_uint32_t next;          /* to be overwritten */
    figures_sums_t sums[FIGURES_MEMORIES];
} figures_memory_t;

/** Takes sums of now. */
void figures_take(figures_sums_t *sums, const board_sums_t *board);

/** What happened between two moments: to->longest is of that time. */
void figures_compare(chaos_figures_t *figures, const figures_sums_t *from,
                     const figures_sums_t *to);

/** The duration below which a share (0.95) of all stayed, by the buckets,
 * evenly spread within each; 0 for none at all; never above the longest.
 * @param buckets BOARD_BUCKETS of them
 * @param longest of those counted in them */
apr_interval_time_t figures_quantile(const apr_uint64_t *buckets,
                                     apr_interval_time_t longest,
                                     double share);

/** Keeps sums; the oldest are forgotten. */
void figures_remember(figures_memory_t *memory, const figures_sums_t *sums);

/** The longest duration since the oldest sums that are kept. */
apr_interval_time_t figures_longest(const figures_memory_t *memory);

/** The oldest sums that are kept; now, if there are none. */
const figures_sums_t *figures_oldest(const figures_memory_t *memory,
                                     const figures_sums_t *now);

#endif
