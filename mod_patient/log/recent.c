/*
 * recent.c - the last lines of the log that a reader's filter lets through.
 *
 * A ring of places. A writer takes a number, and with it a place: it marks it
 * as its own, fills it, marks it as full. Writers meet in one place only if one
 * of them was overtaken by a whole round (its process may have been killed in
 * the middle), so a place has a checksum, too, and what is not whole is not
 * shown.
 */
#include "log/recent.h"

#include <string.h>

#include <apr_atomic.h>

#include "shared.h"
#include "vitals.h"

typedef struct place_t {
    apr_uint64_t state;         /* twice the number, plus 1: being written */
    apr_uint64_t checksum;
    apr_time_t noticed;         /* steady time */
    recent_line_t line;
} place_t;

typedef struct recent_t {
    apr_uint64_t last;          /* the number given last */
    place_t places[RECENT_MAX];
} recent_t;

static recent_t *recent;

apr_status_t recent_open(server_rec *s)
{
    void *memory;
    int is_new;
    apr_status_t rv = shared_open(&memory, &is_new, "mod_patient.recent",
                                  sizeof(recent_t), s);

    if (rv == APR_SUCCESS) {
        recent = memory;
    }
    return rv;
}

int recent_is_wanted(const char *line)
{
    static const char *const words[] = {
        "ERROR", "Error", "error", "CRITICAL", "FATAL", "WARNING", "Warning"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(line, words[i]) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* FNV-1a over all that a place says. */
static apr_uint64_t checksum_of(const place_t *place)
{
    const recent_line_t *line = &place->line;
    apr_uint64_t hash = APR_UINT64_C(14695981039346656037);
    apr_size_t i;

    hash ^= line->number ^ (apr_uint64_t)line->written << 20
        ^ (apr_uint64_t)place->noticed;
    for (i = 0; i < line->len && i < sizeof(line->text); i++) {
        hash = (hash ^ (unsigned char)line->text[i])
            * APR_UINT64_C(1099511628211);
    }
    return hash ^ line->len;
}

void recent_keep(const char *line)
{
    apr_uint64_t number, state;
    place_t *place;

    if (recent == NULL || !recent_is_wanted(line)) {
        return;
    }
    number = apr_atomic_inc64(&recent->last) + 1;
    place = &recent->places[number % RECENT_MAX];
    state = apr_atomic_read64(&place->state);
    if (state / 2 >= number
        || apr_atomic_cas64(&place->state, 2 * number + 1, state) != state) {
        return;                 /* overtaken by a whole round */
    }
    place->noticed = vitals_now();
    place->line.number = number;
    place->line.written = apr_time_now();
    place->line.len = strnlen(line, sizeof(place->line.text) - 1);
    memcpy(place->line.text, line, place->line.len);
    place->line.text[place->line.len] = '\0';
    place->checksum = checksum_of(place);
    apr_atomic_cas64(&place->state, 2 * number, 2 * number + 1);
}

/* Copies a line if it is there, whole, and not too old. */
static int take(recent_line_t *line, apr_uint64_t number)
{
    place_t *place = &recent->places[number % RECENT_MAX];
    place_t copy;

    if (apr_atomic_read64(&place->state) != 2 * number) {
        return 0;
    }
    memcpy(&copy, place, sizeof(copy));
    if (apr_atomic_read64(&place->state) != 2 * number
        || copy.line.number != number
        || copy.line.len >= sizeof(copy.line.text)
        || copy.checksum != checksum_of(&copy)
        || vitals_now() - copy.noticed > RECENT_SPAN) {
        return 0;
    }
    *line = copy.line;
    return 1;
}

int recent_next(recent_line_t *line, apr_uint64_t after)
{
    apr_uint64_t last, number;

    if (recent == NULL) {
        return 0;
    }
    last = apr_atomic_read64(&recent->last);
    number = after + 1;
    if (last >= RECENT_MAX && number <= last - RECENT_MAX) {
        number = last - RECENT_MAX + 1;
    }
    for (; number <= last; number++) {
        if (take(line, number)) {
            return 1;
        }
    }
    return 0;
}
