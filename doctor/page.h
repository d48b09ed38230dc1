/*
 * page.h - what one page of CloudWatch's FilterLogEvents holds: of all lines,
 * those in a span of time that hold one of some words, oldest first, up to a
 * number.
 */
#ifndef DOCTOR_PAGE_H
#define DOCTOR_PAGE_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

/* What the Doctor asks for. */
#define PAGE_WORDS "ERROR Error error CRITICAL FATAL WARNING Warning"
#define PAGE_LIMIT 100
#define PAGE_MINUTES 30

/** What is asked for. */
typedef struct page_query_t {
    const char *const *words;   /* any of them, ended by NULL */
    int limit;                  /* events on the page */
    apr_interval_time_t window;
    apr_time_t until;           /* MOMENT_NONE: the newest line's time */
} page_query_t;

typedef struct page_event_t {
    apr_time_t time;
    apr_uint64_t serial;        /* in the order in which they came */
    apr_size_t len;
    char text[];                /* its bytes, and a NUL */
} page_event_t;

typedef struct page_t {
    page_query_t query;
    page_event_t **events;      /* when closed: the page */
    int count;
    int room;
    int watermark;              /* so many, and old ones are thrown out */
    apr_uint64_t offered;       /* lines with a time, not after until */
    apr_uint64_t more;          /* events that the page had no room for */
    apr_time_t newest;          /* MOMENT_NONE: there was no line */
    apr_time_t from, until;     /* when closed: both ends are on the page */
} page_t;

/** An empty page. @param query its words must outlive the page */
page_t *page_create(const page_query_t *query, apr_pool_t *pool);

/** Offers a line; it is copied if it may belong on the page. */
void page_offer(page_t *page, apr_time_t time, const char *text,
                apr_size_t len);

/** Ends it: what is left is the page. */
void page_close(page_t *page);

/** Takes a filter apart: "?ERROR ?Error" as CloudWatch has it, or the words
 * alone. @return the words, ended by NULL; NULL: there are none */
const char *const *page_words(const char *filter, apr_pool_t *pool);

#endif
