/*
 * doctor_text.h - text as a file, and a log as a diagnosis, for the tests of
 * the doctor's parts.
 */
#ifndef T_UNIT_DOCTOR_TEXT_H
#define T_UNIT_DOCTOR_TEXT_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_portable.h>

#include "doctor/input.h"
#include "doctor/moment.h"
#include "doctor/page.h"

/** A file that holds these bytes. */
__attribute__((unused))
static apr_file_t *text_file(const void *text, apr_size_t len,
                             apr_pool_t *pool)
{
    apr_os_file_t descriptor = memfd_create("doctor", MFD_CLOEXEC);
    apr_file_t *file;

    if (descriptor < 0 || write(descriptor, text, len) != (ssize_t)len
        || lseek(descriptor, 0, SEEK_SET) != 0
        || apr_os_file_put(&file, &descriptor, APR_FOPEN_READ, pool)
           != APR_SUCCESS) {
        abort();
    }
    return file;
}

/** What the Doctor asks for, if nothing else is said. */
__attribute__((unused))
static page_query_t text_query(apr_pool_t *pool)
{
    page_query_t query = {
        page_words(PAGE_WORDS, pool), PAGE_LIMIT,
        apr_time_from_sec(PAGE_MINUTES * 60), MOMENT_NONE
    };

    return query;
}

/** The page of a log. @param count may be NULL */
__attribute__((unused))
static page_t *text_page(const void *text, apr_size_t len,
                         input_count_t *count, apr_pool_t *pool)
{
    page_query_t query = text_query(pool);
    page_t *page = page_create(&query, pool);
    input_count_t own = { 0, 0, 0, 0 };
    apr_file_t *file = text_file(text, len, pool);
    const char *why;

    input_read(page, count ? count : &own, file, &why, pool);
    apr_file_close(file);
    page_close(page);
    return page;
}

#endif
