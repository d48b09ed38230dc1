/*
 * ratelimit.c - the pulse of the log: how often a failure that goes on is
 * told.
 *
 * Beats are due on a grid, and not a pulse after the last line: a failure
 * that happens a little more rarely than once a pulse would otherwise lose a
 * beat each time.
 */
#include "ratelimit.h"

#include <apr_atomic.h>

/* Beats that nobody used are made up for, if something fails in bursts; after
 * so many without a failure, there was none. A kind that was not seen for that
 * long does not go on. */
#define DEBT 3

/* For this part of a pulse, a beat is kept for the kind that waits longest,
 * which may happen no more. Then it is anybody's who has waited for this part
 * of a round, in which each kind that waits has one beat. */
#define COURTESY 5
#define ROUND_PART 3

/* A beat may be taken before it is due, by one whose turn would otherwise
 * never come because it happens between the beats. */
#define EARLY 1

/* The kinds that wait to be told, for they happened again since they were, and
 * one of all kinds among these. */
typedef struct round_t {
    int waiting;
    int is_oldest;              /* none waits longer than this one */
} round_t;

/* FNV-1a, 64 bits. */
static apr_uint64_t hash_on(apr_uint64_t hash, const char *text)
{
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * APR_UINT64_C(1099511628211);
    }
    return hash;
}

static apr_uint64_t hash_type(const char *type)
{
    return hash_on(APR_UINT64_C(14695981039346656037), type);
}

/* Never 0, which marks a free place. */
static apr_uint64_t hash_kind(apr_uint64_t type, const char *code)
{
    apr_uint64_t hash = hash_on(hash_on(type, "/"), code ? code : "");

    return hash ? hash : 1;
}

/* ---- kinds ---- */

/* Gives the place of the kind that was seen longest ago to another. */
static ratelimit_kind_t *kind_replace(ratelimit_t *limit, apr_uint64_t key,
                                      apr_uint64_t now)
{
    ratelimit_kind_t *oldest = &limit->kinds[0];
    apr_uint64_t there;
    int i;

    for (i = 1; i < RATELIMIT_KINDS; i++) {
        if (apr_atomic_read64(&limit->kinds[i].seen)
            < apr_atomic_read64(&oldest->seen)) {
            oldest = &limit->kinds[i];
        }
    }
    there = apr_atomic_read64(&oldest->key);
    if (apr_atomic_cas64(&oldest->key, key, there) == there) {
        apr_atomic_set64(&oldest->seen, now);
        apr_atomic_set64(&oldest->turn, 0);
        apr_atomic_set32(&oldest->told, 0);
        apr_atomic_set64(&oldest->suppressed, 0);
    }
    return oldest;
}

static ratelimit_kind_t *kind_find(ratelimit_t *limit, apr_uint64_t key,
                                   apr_uint64_t now)
{
    int start = (int)(key % RATELIMIT_KINDS);
    int i;

    for (i = 0; i < RATELIMIT_KINDS; i++) {
        ratelimit_kind_t *kind =
            &limit->kinds[(start + i) % RATELIMIT_KINDS];
        apr_uint64_t there = apr_atomic_read64(&kind->key);

        if (there == 0) {
            there = apr_atomic_cas64(&kind->key, key, 0);
        }
        if (there == 0 || there == key) {
            return kind;
        }
    }
    return kind_replace(limit, key, now);
}

static round_t look_round(ratelimit_t *limit, apr_uint64_t turn,
                          apr_uint64_t now, apr_uint64_t pulse)
{
    round_t round = { .is_oldest = 1 };
    int i;

    for (i = 0; i < RATELIMIT_KINDS; i++) {
        ratelimit_kind_t *kind = &limit->kinds[i];
        apr_uint64_t seen = apr_atomic_read64(&kind->seen);
        apr_uint64_t its = apr_atomic_read64(&kind->turn);

        if (seen > its && seen + DEBT * pulse >= now) {
            round.waiting++;
            round.is_oldest &= its >= turn;
        }
    }
    return round;
}

/* ---- the account of all lines told ---- */

/* Whether one line more leaves room for all beats that may come: looked at
 * for the window that begins with each of the lines told so far. */
static int has_room(ratelimit_t *limit, apr_uint32_t next, apr_uint64_t now,
                    apr_uint64_t pulse)
{
    apr_uint64_t window = pulse * RATELIMIT_BEATS;
    apr_uint64_t lines = 1;
    apr_uint32_t i;

    for (i = 1; i <= RATELIMIT_LINES; i++) {
        apr_uint64_t then = apr_atomic_read64(
            &limit->lines[(next + RATELIMIT_LINES - i) % RATELIMIT_LINES]);
        apr_uint64_t beats;

        if (then == 0 || then + window <= now) {
            return 1;
        }
        lines++;
        beats = (then + window - now) / pulse + 1 + DEBT + EARLY;
        if (lines + beats > RATELIMIT_LINES) {
            return 0;
        }
    }
    return 0;
}

/* Writes a line into the account: always if it is a beat's. Times in the ring
 * grow strictly, so a place that is later than the one before it was taken by
 * another who has not yet gone on to the next. */
static int account(ratelimit_t *limit, int is_beat, apr_uint64_t now,
                   apr_uint64_t pulse)
{
    while (1) {
        apr_uint32_t next = apr_atomic_read32(&limit->next);
        apr_uint32_t after = (next + 1) % RATELIMIT_LINES;
        apr_uint64_t last = apr_atomic_read64(
            &limit->lines[(next + RATELIMIT_LINES - 1) % RATELIMIT_LINES]);
        apr_uint64_t there = apr_atomic_read64(&limit->lines[next]);

        if (there > last) {
            apr_atomic_cas32(&limit->next, after, next);
            continue;
        }
        if (!is_beat && !has_room(limit, next, now, pulse)) {
            return 0;
        }
        if (apr_atomic_cas64(&limit->lines[next],
                             now > last ? now : last + 1, there) == there) {
            apr_atomic_cas32(&limit->next, after, next);
            return 1;
        }
    }
}

/* ---- the pulse ---- */

/* Moves on to the beat after this one. @return 0: another was faster */
static int beat_take(ratelimit_t *limit, apr_uint64_t due, apr_uint64_t now,
                     apr_uint64_t pulse)
{
    int is_idle = due == 0 || now > due + DEBT * pulse;
    apr_uint64_t next = is_idle ? now + pulse : due + pulse;

    return apr_atomic_cas64(&limit->due, next, due) == due;
}

/* Whether the beat is this kind's, now. */
static int beat_is_for(ratelimit_t *limit, apr_uint64_t due,
                       apr_uint64_t turn, apr_uint64_t now,
                       apr_uint64_t pulse)
{
    round_t round;
    apr_uint64_t span;

    if (now < due && (now + EARLY * pulse < due || now <= turn + 2 * pulse)) {
        return 0;
    }
    round = look_round(limit, turn, now, pulse);
    span = (apr_uint64_t)round.waiting * pulse;
    if (now < due) {
        return round.is_oldest && now > turn + span + pulse;
    }
    return round.is_oldest || (now >= due + pulse / COURTESY
                               && now > turn + span / ROUND_PART);
}

/* A first line, if there is room for it. A beat that is due is had by it. */
static int pass_first(ratelimit_t *limit, ratelimit_kind_t *kind,
                      apr_uint64_t now, apr_uint64_t pulse)
{
    apr_uint64_t due;

    if (apr_atomic_read32(&kind->told)
        || apr_atomic_cas32(&kind->told, 1, 0) != 0) {
        return 0;
    }
    if (!account(limit, 0, now, pulse)) {
        apr_atomic_set32(&kind->told, 0);
        return 0;
    }
    due = apr_atomic_read64(&limit->due);
    if (now >= due) {
        beat_take(limit, due, now, pulse);
    }
    return 1;
}

static int pass_beat(ratelimit_t *limit, ratelimit_kind_t *kind,
                     apr_uint64_t now, apr_uint64_t pulse)
{
    apr_uint64_t due = apr_atomic_read64(&limit->due);

    if (!beat_is_for(limit, due, apr_atomic_read64(&kind->turn), now, pulse)
        || !beat_take(limit, due, now, pulse)) {
        return 0;
    }
    account(limit, 1, now, pulse);
    apr_atomic_set32(&kind->told, 1);
    return 1;
}

int ratelimit_pass(ratelimit_t *limit, const char *type, const char *code,
                   apr_time_t when, apr_interval_time_t span,
                   apr_uint64_t *suppressed)
{
    apr_uint64_t now = (apr_uint64_t)when, pulse = (apr_uint64_t)span;
    apr_uint64_t hash = hash_type(type);
    ratelimit_kind_t *kind = kind_find(limit, hash_kind(hash, code), now);
    apr_uint64_t seen = apr_atomic_xchg64(&kind->seen, now);

    *suppressed = 0;
    apr_atomic_set64(&kind->type, hash);
    if (seen + RATELIMIT_BEATS * pulse < now) {
        apr_atomic_set32(&kind->told, 0);
    }
    apr_atomic_cas64(&kind->turn, now, 0);
    if (!pass_first(limit, kind, now, pulse)
        && !pass_beat(limit, kind, now, pulse)) {
        apr_atomic_inc64(&kind->suppressed);
        return 0;
    }
    apr_atomic_set64(&kind->turn, now);
    *suppressed = apr_atomic_xchg64(&kind->suppressed, 0);
    return 1;
}

void ratelimit_forget(ratelimit_t *limit, const char *type)
{
    apr_uint64_t hash = hash_type(type);
    int i;

    for (i = 0; i < RATELIMIT_KINDS; i++) {
        if (apr_atomic_read64(&limit->kinds[i].type) == hash) {
            apr_atomic_set32(&limit->kinds[i].told, 0);
        }
    }
}
