/*
 * recent.h - the last lines of the log that a reader's filter lets through,
 * as a page of CloudWatch's FilterLogEvents would have them.
 *
 * In memory that all child processes share and that restarts keep.  No file is
 * read for it.
 */
#ifndef PATIENT_LOG_RECENT_H
#define PATIENT_LOG_RECENT_H

#include <httpd.h>
#include <apr_time.h>

#include "log/event.h"

/** Lines on a page, and how far back it goes. */
#define RECENT_MAX 100
#define RECENT_SPAN apr_time_from_sec(30 * 60)

typedef struct recent_line_t {
    apr_uint64_t number;        /* counted since the first start */
    apr_time_t written;         /* time of day */
    apr_size_t len;
    char text[EVENT_LINE_MAX];  /* NUL-terminated */
} recent_line_t;

/** Maps the memory. In the parent, in post_config. */
apr_status_t recent_open(server_rec *s);

/** Whether the filter lets a line through: it holds ERROR, Error, error,
 * CRITICAL, FATAL, WARNING or Warning, upper and lower case apart. */
int recent_is_wanted(const char *line);

/** Keeps a line that is being written, if the filter lets it through. Any
 * thread of any child; does not block. Does nothing before recent_open().
 * @param line at most EVENT_LINE_MAX - 1 bytes */
void recent_keep(const char *line);

/**
 * Reads on, oldest first.
 * @param line filled in
 * @param after the number of the line before it; 0 at first
 * @return 1; 0: there is no more
 */
int recent_next(recent_line_t *line, apr_uint64_t after);

#endif
