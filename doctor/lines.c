/*
 * lines.c - a file from outside, line by line, of any size and content.
 */
#include "lines.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK ((apr_size_t)64 * 1024)

struct lines_t {
    apr_file_t *file;
    apr_size_t begin, end;      /* of what is read and not yet taken */
    apr_size_t seen;            /* up to there, there is no newline */
    int is_over;                /* the file has no more */
    char buffer[LINES_MAX + CHUNK + 1];
};

lines_t *lines_open(apr_file_t *file, apr_pool_t *pool)
{
    lines_t *lines = apr_palloc(pool, sizeof(*lines));

    lines->file = file;
    lines->begin = lines->end = lines->seen = 0;
    lines->is_over = 0;
    return lines;
}

/* Makes room at the end, and reads what comes. */
static apr_status_t read_more(lines_t *lines)
{
    apr_size_t len = CHUNK;
    apr_status_t rv;

    if (lines->begin > 0) {
        memmove(lines->buffer, lines->buffer + lines->begin,
                lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->seen -= lines->begin;
        lines->begin = 0;
    }
    rv = apr_file_read(lines->file, lines->buffer + lines->end, &len);
    if (rv == APR_SUCCESS) {
        lines->end += len;
    }
    lines->is_over = rv == APR_EOF;
    return lines->is_over ? APR_SUCCESS : rv;
}

/* Drops what is left of a line that is too long. */
static apr_status_t skip(lines_t *lines)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS) {
        const char *newline = memchr(lines->buffer + lines->begin, '\n',
                                     lines->end - lines->begin);

        if (newline != NULL) {
            lines->begin = (apr_size_t)(newline + 1 - lines->buffer);
            lines->seen = lines->begin;
            return APR_ENOSPC;
        }
        lines->begin = lines->seen = lines->end;
        if (lines->is_over) {
            return APR_ENOSPC;
        }
        rv = read_more(lines);
    }
    return rv;
}

static void take(lines_t *lines, apr_size_t len, const char **text,
                 apr_size_t *text_len)
{
    *text = lines->buffer + lines->begin;
    *text_len = len;
    lines->buffer[lines->begin + len] = '\0';
    lines->begin += len;
    if (lines->begin < lines->end) {
        lines->begin++;         /* the newline, which is a NUL now */
    }
    lines->seen = lines->begin;
}

apr_status_t lines_next(lines_t *lines, const char **text, apr_size_t *len)
{
    while (1) {
        const char *start = lines->buffer + lines->begin;
        const char *newline = memchr(lines->buffer + lines->seen, '\n',
                                     lines->end - lines->seen);
        apr_size_t there = newline ? (apr_size_t)(newline - start)
                                   : lines->end - lines->begin;
        apr_status_t rv;

        if (there > LINES_MAX) {
            return skip(lines);
        }
        if (newline != NULL || (lines->is_over && there > 0)) {
            take(lines, there, text, len);
            return APR_SUCCESS;
        }
        if (lines->is_over) {
            return APR_EOF;
        }
        lines->seen = lines->end;
        rv = read_more(lines);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
}

apr_status_t lines_peek(lines_t *lines, const char **text, apr_size_t *len)
{
    apr_status_t rv = APR_SUCCESS;

    if (lines->begin == lines->end && !lines->is_over) {
        rv = read_more(lines);
    }
    *text = lines->buffer + lines->begin;
    *len = lines->end - lines->begin;
    return rv;
}

static apr_status_t release(void *buffer)
{
    free(buffer);
    return APR_SUCCESS;
}

/* What is read and not yet taken moves to the end of all. */
static apr_status_t append(lines_t *lines, char **all, apr_size_t *len)
{
    apr_size_t more = lines->end - lines->begin;
    char *larger = realloc(*all, *len + more + 1);

    if (larger == NULL) {
        return APR_ENOMEM;
    }
    *all = larger;
    memcpy(larger + *len, lines->buffer + lines->begin, more);
    *len += more;
    larger[*len] = '\0';
    lines->begin = lines->seen = lines->end;
    return *len > LINES_DOCUMENT_MAX ? APR_ENOSPC : APR_SUCCESS;
}

apr_status_t lines_rest(lines_t *lines, const char **text, apr_size_t *len,
                        apr_pool_t *pool)
{
    char *all = NULL;
    apr_status_t rv;

    *len = 0;
    rv = append(lines, &all, len);
    while (rv == APR_SUCCESS && !lines->is_over) {
        rv = read_more(lines);
        if (rv == APR_SUCCESS) {
            rv = append(lines, &all, len);
        }
    }
    *text = all;
    if (all != NULL) {
        apr_pool_cleanup_register(pool, all, release, apr_pool_cleanup_null);
    }
    return rv;
}
