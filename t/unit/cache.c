/*
 * cache.c - what is in the cache is really in memory, and what was in it is
 * really gone.
 */
#include "cache.h"

#include <pthread.h>
#include <sys/resource.h>

#include <apr_general.h>

#include "tap.h"
#include "vitals.h"

#define MB ((apr_uint64_t)1 << 20)
#define STEP (4 * MB)

static apr_pool_t *pool;

/* Whether the process has so much more than before, give or take what the
 * allocator and a sanitizer do meanwhile. */
static int has_grown(apr_uint64_t before, apr_uint64_t by)
{
    apr_uint64_t now = vitals_rss();

    if (now + 4 * MB >= before + by && now <= before + by + 4 * MB) {
        return 1;
    }
    printf("# from %llu to %llu\n", (unsigned long long)before,
           (unsigned long long)now);
    return 0;
}

static cache_t *make_cache(apr_pool_t *from)
{
    cache_t *cache = NULL;

    if (cache_create(&cache, from) != APR_SUCCESS) {
        tap_ok(0, "a cache can be made");
    }
    return cache;
}

static void really(void)
{
    cache_t *cache = make_cache(pool);
    apr_uint64_t before = vitals_rss();
    symptom_memory_e mark;
    int wrong = 0;
    int i;

    for (i = 0; i < 16; i++) {
        wrong += cache_grow(cache, &mark, STEP, 1000 * MB) != APR_SUCCESS;
        wrong += mark != SYMPTOM_MEMORY_NONE;
    }
    tap_is(wrong, 0, "it grows step by step");
    tap_is((long long)cache_used(cache), 64 * MB, "it knows how large it is");
    tap_ok(has_grown(before, 64 * MB), "the kernel says the same");
    cache_drop(cache);
    tap_is((long long)cache_used(cache), 0, "dropped, it is empty");
    tap_ok(has_grown(before, 0), "and the kernel has all of it back");
    cache_drop(cache);
    tap_is((long long)cache_used(cache), 0, "an empty one can be dropped");
    tap_is(cache_grow(cache, &mark, STEP, STEP), APR_SUCCESS,
           "and it can grow again");
    cache_drop(cache);
}

/* The mark of each of thirty steps to a budget of twenty. */
static void marks(void)
{
    cache_t *cache = make_cache(pool);
    symptom_memory_e mark;
    int seen[4] = { 0, 0, 0, 0 };
    int at[4] = { 0, 0, 0, 0 };
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 1; i <= 30; i++) {
        rv = cache_grow(cache, &mark, MB, 20 * MB);
        seen[mark]++;
        at[mark] = mark == SYMPTOM_MEMORY_NONE ? 0 : i;
    }
    tap_ok(seen[1] == 1 && seen[2] == 1 && seen[3] == 1,
           "each mark is told once, in a short time");
    tap_is(at[SYMPTOM_MEMORY_WARNING], 16, "the warning at 80 %");
    tap_is(at[SYMPTOM_MEMORY_CRITICAL], 18, "critical at 90 %");
    tap_is(at[SYMPTOM_MEMORY_FULL], 21, "full when it would go beyond");
    tap_ok(rv == APR_ENOMEM && cache_used(cache) == 20 * MB,
           "and beyond it does not go");
    cache_drop(cache);
    cache_grow(cache, &mark, 17 * MB, 20 * MB);
    tap_is(mark, SYMPTOM_MEMORY_WARNING, "once empty, it tells them anew");
    cache_drop(cache);
    cache_grow(cache, &mark, 19 * MB, 20 * MB);
    tap_is(mark, SYMPTOM_MEMORY_CRITICAL, "a large step tells the highest");
    cache_drop(cache);
}

/* What goes on is told on; what was passed is not. */
static void tell_again(void)
{
    cache_t *cache = make_cache(pool);
    symptom_memory_e mark, look, late, low, full, again;

    cache_grow(cache, &mark, 17 * MB, 20 * MB);
    cache_grow(cache, &look, 0, 20 * MB);
    apr_sleep(CACHE_TELL_EVERY + apr_time_from_msec(10));
    cache_grow(cache, &late, 0, 20 * MB);
    cache_grow(cache, &full, 4 * MB, 20 * MB);
    apr_sleep(CACHE_TELL_EVERY + apr_time_from_msec(10));
    cache_grow(cache, &low, 0, 20 * MB);
    cache_grow(cache, &again, 4 * MB, 20 * MB);
    tap_ok(mark == SYMPTOM_MEMORY_WARNING && look == SYMPTOM_MEMORY_NONE,
           "looking tells nothing that was just told");
    tap_ok(late == SYMPTOM_MEMORY_WARNING, "after a while it does");
    tap_ok(full == SYMPTOM_MEMORY_FULL && low == SYMPTOM_MEMORY_NONE
           && again == SYMPTOM_MEMORY_FULL,
           "full is told again to who wants more");
    cache_drop(cache);
}

static void edges(void)
{
    cache_t *cache = make_cache(pool);
    symptom_memory_e mark;

    tap_ok(cache_grow(cache, &mark, 0, 0) == APR_SUCCESS
           && mark == SYMPTOM_MEMORY_NONE, "nothing always fits");
    tap_ok(cache_grow(cache, &mark, 1, 0) == APR_ENOMEM
           && mark == SYMPTOM_MEMORY_FULL, "no budget, no byte");
    tap_ok(cache_grow(cache, &mark, 1, MB) == APR_SUCCESS
           && cache_used(cache) >= 4096, "a byte takes a page");
    tap_is(cache_grow(cache, &mark, ~(apr_size_t)0, ~(apr_uint64_t)0),
           APR_ENOMEM, "more than there can be is refused");
    cache_drop(cache);
}

/* The kernel itself may say no, long before the budget. */
static void kernel_says_no(void)
{
    cache_t *cache = make_cache(pool);
    const struct rlimit none = { 0, RLIM_INFINITY };
    struct rlimit before;
    symptom_memory_e mark, again;
    apr_status_t rv;

    getrlimit(RLIMIT_AS, &before);
    if (before.rlim_max != RLIM_INFINITY || setrlimit(RLIMIT_AS, &none) != 0) {
        tap_skip("the kernel has no more", "the limit cannot be set here");
        return;
    }
    rv = cache_grow(cache, &mark, 64 * MB, 1000 * MB);
    cache_grow(cache, &again, 64 * MB, 1000 * MB);
    setrlimit(RLIMIT_AS, &before);
    tap_ok(rv == APR_ENOMEM && mark == SYMPTOM_MEMORY_FULL
           && again == SYMPTOM_MEMORY_NONE && cache_used(cache) == 0,
           "when the kernel has no more, it is full, and that is told once");
    tap_is(cache_grow(cache, &mark, STEP, 1000 * MB), APR_SUCCESS,
           "and goes on when there is some");
    cache_drop(cache);
}

#define THREADS 8
#define TURNS 200

static void *grow_and_drop(void *data)
{
    symptom_memory_e mark;
    int i;

    for (i = 0; i < TURNS; i++) {
        cache_grow(data, &mark, MB / 16, 8 * MB);
        if (cache_used(data) > 8 * MB) {
            return data;
        }
        if (i % 50 == 49) {
            cache_drop(data);
        }
    }
    return NULL;
}

/* @return how many threads saw it over its budget */
static int crowd(cache_t *cache)
{
    pthread_t threads[THREADS];
    int wrong = 0;
    int i;

    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, grow_and_drop, cache);
    }
    for (i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        wrong += result != NULL;
    }
    cache_drop(cache);
    return wrong;
}

static void together(void)
{
    cache_t *cache = make_cache(pool);
    apr_uint64_t before;
    int wrong = crowd(cache);   /* and the threads' own memory is there now */

    before = vitals_rss();
    wrong += crowd(cache);
    tap_is(wrong, 0, "many threads together never take it over the budget");
    tap_ok(has_grown(before, 0), "and leave nothing behind");
}

static void with_its_pool(void)
{
    apr_uint64_t before;
    apr_pool_t *own;
    symptom_memory_e mark;

    apr_pool_create(&own, pool);
    before = vitals_rss();
    cache_grow(make_cache(own), &mark, 32 * MB, 1000 * MB);
    tap_ok(has_grown(before, 32 * MB), "one that is never dropped");
    apr_pool_destroy(own);
    tap_ok(has_grown(before, 0), "... ends with its pool");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    really();
    marks();
    tell_again();
    edges();
    kernel_says_no();
    together();
    with_its_pool();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
