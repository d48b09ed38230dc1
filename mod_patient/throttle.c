/*
 * throttle.c - how often a failure that goes on and on is told.
 */
#include "throttle.h"

#include <apr_atomic.h>

/* A failure that goes on is told after these spans, the last repeating. */
static const apr_interval_time_t spacing[] = {
    apr_time_from_sec(5), apr_time_from_sec(10), apr_time_from_sec(20),
    apr_time_from_sec(40), apr_time_from_sec(60), apr_time_from_sec(120)
};
#define SPACINGS (sizeof(spacing) / sizeof(spacing[0]))

/* One that was not seen for this long is told at once when it comes back. */
#define QUIET apr_time_from_sec(60)

/* FNV-1a, 64 bits; never 0, which marks a free place. */
static apr_uint64_t hash_kind(const char *type, const char *code)
{
    apr_uint64_t hash = APR_UINT64_C(14695981039346656037);

    for (; *type; type++) {
        hash = (hash ^ (unsigned char)*type) * APR_UINT64_C(1099511628211);
    }
    hash = (hash ^ '/') * APR_UINT64_C(1099511628211);
    for (; code && *code; code++) {
        hash = (hash ^ (unsigned char)*code) * APR_UINT64_C(1099511628211);
    }
    return hash ? hash : 1;
}

/* Gives the place of the kind that was seen longest ago to another. */
static throttle_kind_t *replace(throttle_t *throttle, apr_uint64_t key)
{
    throttle_kind_t *oldest = &throttle->kinds[0];
    apr_uint64_t there;
    int i;

    for (i = 1; i < THROTTLE_KINDS; i++) {
        if (apr_atomic_read64(&throttle->kinds[i].seen)
            < apr_atomic_read64(&oldest->seen)) {
            oldest = &throttle->kinds[i];
        }
    }
    there = apr_atomic_read64(&oldest->key);
    if (apr_atomic_cas64(&oldest->key, key, there) == there) {
        apr_atomic_set64(&oldest->seen, 0);
        apr_atomic_set64(&oldest->told, 0);
        apr_atomic_set64(&oldest->suppressed, 0);
    }
    return oldest;
}

static throttle_kind_t *find(throttle_t *throttle, apr_uint64_t key)
{
    int start = (int)(key % THROTTLE_KINDS);
    int i;

    for (i = 0; i < THROTTLE_KINDS; i++) {
        throttle_kind_t *kind =
            &throttle->kinds[(start + i) % THROTTLE_KINDS];
        apr_uint64_t there = apr_atomic_read64(&kind->key);

        if (there == 0) {
            there = apr_atomic_cas64(&kind->key, key, 0);
        }
        if (there == 0 || there == key) {
            return kind;
        }
    }
    return replace(throttle, key);
}

/* Takes one of the repeats that the window has room for. */
static int take_repeat(throttle_t *throttle, apr_uint64_t now)
{
    apr_uint32_t at = apr_atomic_read32(&throttle->oldest);
    apr_uint64_t *slot = &throttle->repeats[at];
    apr_uint64_t then = apr_atomic_read64(slot);

    if (then != 0 && now < then + (apr_uint64_t)THROTTLE_WINDOW) {
        return 0;
    }
    if (apr_atomic_cas32(&throttle->oldest, (at + 1) % THROTTLE_REPEATS, at)
        != at) {
        return 0;               /* another was faster: one line less */
    }
    apr_atomic_set64(slot, now);
    return 1;
}

int throttle_pass(throttle_t *throttle, const char *type, const char *code,
                  apr_time_t when, apr_uint64_t *suppressed)
{
    throttle_kind_t *kind = find(throttle, hash_kind(type, code));
    apr_uint64_t now = (apr_uint64_t)when;
    apr_uint64_t seen = apr_atomic_xchg64(&kind->seen, now);
    apr_uint64_t told = apr_atomic_read64(&kind->told);
    apr_uint32_t step = apr_atomic_read32(&kind->step);
    int is_new = seen == 0 || now > told + (apr_uint64_t)THROTTLE_WINDOW;
    int is_back = now > seen + (apr_uint64_t)QUIET;
    int may = is_new
        || ((is_back || now >= told + (apr_uint64_t)spacing[step])
            && take_repeat(throttle, now));

    *suppressed = 0;
    /* Of all who are here at this moment, one tells. */
    if (!may || apr_atomic_cas64(&kind->told, now, told) != told) {
        apr_atomic_inc64(&kind->suppressed);
        return 0;
    }
    step = is_new || is_back ? 0 : step + 1;
    apr_atomic_set32(&kind->step, step < SPACINGS ? step : SPACINGS - 1);
    *suppressed = apr_atomic_xchg64(&kind->suppressed, 0);
    return 1;
}

void throttle_forget(throttle_t *throttle)
{
    int i;

    for (i = 0; i < THROTTLE_KINDS; i++) {
        apr_atomic_set64(&throttle->kinds[i].seen, 0);
    }
}
