/*
 * page.c - selects what one page of CloudWatch's FilterLogEvents holds.
 *
 * Where the window ends is known only when all lines were seen, so all that
 * may still be in it is kept; what has fallen out is thrown away now and then.
 */
#include "page.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "moment.h"

#define ROOM_MIN 256

static apr_status_t release(void *data)
{
    page_t *page = data;

    while (page->count > 0) {
        free(page->events[--page->count]);
    }
    free(page->events);
    page->events = NULL;
    return APR_SUCCESS;
}

page_t *page_create(const page_query_t *query, apr_pool_t *pool)
{
    page_t *page = apr_pcalloc(pool, sizeof(*page));

    page->query = *query;
    page->newest = MOMENT_NONE;
    page->watermark = ROOM_MIN;
    apr_pool_cleanup_register(pool, page, release, apr_pool_cleanup_null);
    return page;
}

static apr_time_t end_of(const page_t *page)
{
    return page->query.until != MOMENT_NONE ? page->query.until
                                            : page->newest;
}

static int is_wanted(const page_t *page, const char *text, apr_size_t len)
{
    const char *const *word;

    for (word = page->query.words; *word != NULL; word++) {
        if (memmem(text, len, *word, strlen(*word)) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* Throws out what is older than the window as it is now. */
static void prune(page_t *page)
{
    apr_time_t from = end_of(page) - page->query.window;
    int i, kept = 0;

    for (i = 0; i < page->count; i++) {
        if (page->events[i]->time < from) {
            free(page->events[i]);
        }
        else {
            page->events[kept++] = page->events[i];
        }
    }
    page->count = kept;
    page->watermark = kept < ROOM_MIN / 2 ? ROOM_MIN : 2 * kept;
}

/* There is no going on without memory, and nothing to tidy up. */
static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void keep(page_t *page, apr_time_t time, const char *text,
                 apr_size_t len)
{
    page_event_t *event = must(malloc(sizeof(*event) + len + 1));

    event->time = time;
    event->serial = page->offered;
    event->len = len;
    memcpy(event->text, text, len);
    event->text[len] = '\0';
    if (page->count == page->room) {
        page->room = page->room ? 2 * page->room : ROOM_MIN;
        page->events = must(realloc(page->events, (size_t)page->room
                                    * sizeof(void *)));
    }
    page->events[page->count++] = event;
    if (page->count >= page->watermark) {
        prune(page);
    }
}

void page_offer(page_t *page, apr_time_t time, const char *text,
                apr_size_t len)
{
    if (page->query.until != MOMENT_NONE && time > page->query.until) {
        return;
    }
    page->offered++;
    if (time > page->newest) {
        page->newest = time;
    }
    if (time >= end_of(page) - page->query.window
        && is_wanted(page, text, len)) {
        keep(page, time, text, len);
    }
}

static int by_time(const void *left, const void *right)
{
    const page_event_t *a = *(page_event_t *const *)left;
    const page_event_t *b = *(page_event_t *const *)right;

    return a->time != b->time ? (a->time < b->time ? -1 : 1)
        : a->serial < b->serial ? -1 : a->serial > b->serial;
}

void page_close(page_t *page)
{
    if (page->offered == 0 && page->query.until == MOMENT_NONE) {
        page->from = page->until = MOMENT_NONE;
        return;
    }
    page->until = end_of(page);
    page->from = page->until - page->query.window;
    if (page->from < 0) {
        page->from = 0;
    }
    prune(page);
    if (page->count > 0) {
        qsort(page->events, (size_t)page->count, sizeof(void *), by_time);
    }
    while (page->count > page->query.limit) {
        free(page->events[--page->count]);
        page->more++;
    }
}

const char *const *page_words(const char *filter, apr_pool_t *pool)
{
    apr_array_header_t *words = apr_array_make(pool, 8, sizeof(char *));
    char *rest = apr_pstrdup(pool, filter);
    char *word, *state;

    while ((word = apr_strtok(rest, " \t\n", &state)) != NULL) {
        rest = NULL;
        word += *word == '?';
        if (*word != '\0') {
            APR_ARRAY_PUSH(words, const char *) = word;
        }
    }
    if (words->nelts == 0) {
        return NULL;
    }
    APR_ARRAY_PUSH(words, const char *) = NULL;
    return (const char *const *)words->elts;
}
