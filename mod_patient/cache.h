/*
 * cache.h - memory that is kept because it may be of use again.
 *
 * Every page of it is touched, so it is resident; it lies in mappings of its
 * own, so that dropping it gives it back to the kernel at once.  One a
 * process; any thread may call.  No httpd in here.
 */
#ifndef PATIENT_CACHE_H
#define PATIENT_CACHE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "log/symptom.h"

typedef struct cache_t cache_t;

/** How often a mark is told while the cache stays at it. */
#define CACHE_TELL_EVERY apr_time_from_sec(5)

apr_status_t cache_create(cache_t **cache, apr_pool_t *pool);

/**
 * Grows it, unless that would take it over budget.
 * @param mark set to the mark that it is at, if this step was the first to
 *        reach it since the cache was last empty, or if it was last told
 *        CACHE_TELL_EVERY ago; or SYMPTOM_MEMORY_NONE
 * @param bytes 0: only to learn the mark
 * @return APR_SUCCESS; APR_ENOMEM: it is full (mark is SYMPTOM_MEMORY_FULL,
 *         when that is to be told), or the kernel has no more
 */
apr_status_t cache_grow(cache_t *cache, symptom_memory_e *mark,
                        apr_size_t bytes, apr_uint64_t budget);

/** Bytes in it. */
apr_uint64_t cache_used(cache_t *cache);

/** Empties it. */
void cache_drop(cache_t *cache);

#endif
