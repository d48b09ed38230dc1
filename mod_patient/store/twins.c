/*
 * twins.c - posts that look the same: same user, same words, same second.
 */
#include "store/twins.h"

#include <apr_atomic.h>

#include "shared.h"
#include "vitals.h"

/* More than there are writes while one is in doubt. */
#define PLACES 8192

/* Whoever goes on for longer has died with its process. */
#define PATIENCE apr_time_from_sec(5)

#define STEP apr_time_from_msec(10)

enum { NOBODY, GOES_ON, IN_DOUBT, HAS_ROW };

typedef struct place_t {
    apr_uint32_t state;
    apr_uint32_t ticket;
    apr_uint64_t key;
    apr_uint64_t row;
} place_t;

static struct {
    apr_uint32_t tickets;
    place_t places[PLACES];
} *shared;

apr_status_t twins_open(server_rec *s)
{
    void *memory;
    int is_new;
    apr_status_t rv = shared_open(&memory, &is_new, "mod_patient.twins",
                                  sizeof(*shared), s);

    if (rv == APR_SUCCESS) {
        shared = memory;
    }
    return rv;
}

/* FNV-1a, the terminating NUL included. */
static apr_uint64_t add_text(apr_uint64_t key, const char *text)
{
    do {
        key = (key ^ (unsigned char)*text) * 0x100000001b3U;
    } while (*text++ != '\0');
    return key;
}

static apr_uint64_t add_number(apr_uint64_t key, apr_int64_t number)
{
    int i;

    for (i = 0; i < 64; i += 8) {
        key = (key ^ ((apr_uint64_t)number >> i & 0xff)) * 0x100000001b3U;
    }
    return key;
}

static place_t *place_of(const twin_t *twin)
{
    return &shared->places[twin->ticket % PLACES];
}

static void set_state(const twin_t *twin, apr_uint32_t state)
{
    if (apr_atomic_read32(&place_of(twin)->ticket) == twin->ticket) {
        apr_atomic_set32(&place_of(twin)->state, state);
    }
}

void twins_begin(twin_t *twin, apr_int64_t user, apr_int64_t second,
                 const char *title, const char *content)
{
    place_t *place;

    twin->key = add_number(add_number(0xcbf29ce484222325U, user), second);
    twin->key = add_text(add_text(twin->key, title), content);
    twin->ticket = apr_atomic_inc32(&shared->tickets);
    place = place_of(twin);
    apr_atomic_set32(&place->state, NOBODY);
    apr_atomic_set32(&place->ticket, twin->ticket);
    apr_atomic_set64(&place->key, twin->key);
    apr_atomic_set32(&place->state, GOES_ON);
}

void twins_end(const twin_t *twin, apr_int64_t row)
{
    apr_atomic_set64(&place_of(twin)->row, (apr_uint64_t)row);
    set_state(twin, row ? HAS_ROW : NOBODY);
}

void twins_doubt(const twin_t *twin)
{
    set_state(twin, IN_DOUBT);
}

/* Another write that looks the same and is in this state, at or after a place;
 * NULL: there is none. */
static place_t *find(const twin_t *twin, apr_uint32_t state, place_t *from)
{
    for (; from < shared->places + PLACES; from++) {
        if (apr_atomic_read32(&from->state) == state
            && apr_atomic_read64(&from->key) == twin->key
            && apr_atomic_read32(&from->ticket) != twin->ticket) {
            return from;
        }
    }
    return NULL;
}

int twins_await(const twin_t *twin)
{
    apr_time_t deadline = vitals_now() + PATIENCE;
    int has_waited = 0;

    while (find(twin, GOES_ON, shared->places) != NULL
           && vitals_now() < deadline) {
        has_waited = 1;
        apr_sleep(STEP);
    }
    return has_waited;
}

static int is_anothers(const twin_t *twin, apr_int64_t row)
{
    place_t *place = shared->places;

    while ((place = find(twin, HAS_ROW, place)) != NULL) {
        if (apr_atomic_read64(&place->row) == (apr_uint64_t)row) {
            return 1;
        }
        place++;
    }
    return 0;
}

/* How many others in doubt choose before this one. */
static int count_earlier(const twin_t *twin)
{
    place_t *place = shared->places;
    int count = 0;

    while ((place = find(twin, IN_DOUBT, place)) != NULL) {
        count += (apr_int32_t)(place->ticket - twin->ticket) < 0;
        place++;
    }
    return count;
}

apr_int64_t twins_choose(const twin_t *twin, const apr_array_header_t *rows)
{
    int earlier = count_earlier(twin);
    apr_int64_t chosen = 0;
    int i;

    for (i = 0; i < rows->nelts && chosen == 0; i++) {
        apr_int64_t row = APR_ARRAY_IDX(rows, i, apr_int64_t);

        if (!is_anothers(twin, row) && earlier-- == 0) {
            chosen = row;
        }
    }
    twins_end(twin, chosen);
    return chosen;
}
