/*
 * input.h - reads a log, in whichever shape it comes, onto a page.
 */
#ifndef DOCTOR_INPUT_H
#define DOCTOR_INPUT_H

#include <apr_file_io.h>

struct page_t;

/** What was read. */
typedef struct input_count_t {
    apr_uint64_t lines;         /* all of them, or events of CloudWatch */
    apr_uint64_t not_json;      /* left out: no JSON object, ... */
    apr_uint64_t timeless;      /* ... without a timestamp, ... */
    apr_uint64_t too_long;      /* ... longer than a line may be */
} input_count_t;

/**
 * Offers all lines of a file to the page: JSON, one object a line, or what
 * `aws logs filter-log-events` prints.
 * @param count is added to
 * @param why set on failure: what is wrong, as a phrase
 * @return APR_SUCCESS; anything else: it cannot be read
 */
apr_status_t input_read(struct page_t *page, input_count_t *count,
                        apr_file_t *file, const char **why,
                        apr_pool_t *pool);

#endif
