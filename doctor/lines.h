/*
 * lines.h - a file from outside, line by line, of any size and content.
 */
#ifndef DOCTOR_LINES_H
#define DOCTOR_LINES_H

#include <apr_file_io.h>

/** A longer line is none of a log: CloudWatch takes no longer event. */
#define LINES_MAX ((apr_size_t)1024 * 1024)

/** The whole of a document may have so many bytes. */
#define LINES_DOCUMENT_MAX ((apr_size_t)64 * 1024 * 1024)

typedef struct lines_t lines_t;

/** Reads file, which stays the caller's. */
lines_t *lines_open(apr_file_t *file, apr_pool_t *pool);

/**
 * The next line, without its newline and ended by a NUL; it may hold NULs
 * itself.  Good until the next call.
 * @return APR_SUCCESS; APR_EOF; APR_ENOSPC: a line was longer than LINES_MAX
 *         and is left out; anything else: reading failed
 */
apr_status_t lines_next(lines_t *lines, const char **text, apr_size_t *len);

/** Up to a few kilobytes of what comes next, which stay there.
 * @return as lines_next() */
apr_status_t lines_peek(lines_t *lines, const char **text, apr_size_t *len);

/** All the rest, and a NUL after it, from pool.
 * @return APR_SUCCESS; APR_ENOSPC: more than LINES_DOCUMENT_MAX; anything
 *         else: reading failed */
apr_status_t lines_rest(lines_t *lines, const char **text, apr_size_t *len,
                        apr_pool_t *pool);

#endif
