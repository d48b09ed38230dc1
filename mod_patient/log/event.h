/*
 * event.h - one thing that happened, as one line of JSON.
 *
 * An event is built field by field into a fixed buffer: no allocation, no
 * pool, nothing of httpd, so that the server and the command line tool write
 * the very same lines.  What does not fit is cut at a character boundary and
 * the line says "truncated":true; the object is valid JSON whatever was put
 * into it (control bytes are escaped, invalid UTF-8 becomes U+FFFD).
 */
#ifndef PATIENT_LOG_EVENT_H
#define PATIENT_LOG_EVENT_H

#include <apr.h>
#include <apr_time.h>

/** Bytes a line may have at most, its newline included: below PIPE_BUF, so
 * that the lines of several processes never mix in a pipe. */
#define EVENT_LINE_MAX 4000

/** Bytes that one string value may take, escaped; leaves room for others. */
#define EVENT_VALUE_MAX 1200

typedef enum {
    EVENT_DEBUG,
    EVENT_INFO,
    EVENT_WARNING,
    EVENT_ERROR,
    EVENT_FATAL
} event_level_e;

typedef struct event_t {
    event_level_e level;
    const char *type;           /* as given to event_open(), not copied */
    const char *code;           /* as given to event_code(), or NULL */
    unsigned int truncated : 1;
    apr_size_t len;             /* bytes of line in use */
    char line[EVENT_LINE_MAX];  /* NUL-terminated at any time */
} event_t;

/**
 * Begins the line: timestamp (UTC, milliseconds), level, type, pid.
 * @param type upper case; must outlive the event
 *
 * On a line below EVENT_WARNING, a string or key that holds one of the words
 * that a log reader takes for a failure ("error", "WARN", "Exception", ...)
 * gets one letter of it written as a \u escape: the same JSON value, but not
 * the same bytes, so that a path or a user agent that a visitor chose never
 * looks like a failure.  A line of EVENT_WARNING or above is left readable.
 */
void event_open(event_t *event, event_level_e level, const char *type,
                apr_time_t now);

/** Adds a string; a NULL value adds nothing. */
void event_str(event_t *event, const char *key, const char *value);

/** Adds len bytes of a string, NUL bytes included. */
void event_strn(event_t *event, const char *key, const char *value,
                apr_size_t len);

/** Adds the field "code" and remembers it: type and code together are what
 * makes two failures the same. */
void event_code(event_t *event, const char *code);

void event_int(event_t *event, const char *key, apr_int64_t value);
/** Adds a number with at most three decimals; NaN and infinity become 0. */
void event_real(event_t *event, const char *key, double value);
void event_bool(event_t *event, const char *key, int value);

/** Adds a value that is JSON already, if it fits whole (else "truncated").
 * Its bytes are not looked at, but for line breaks, which become spaces: it
 * must be valid, and free of alarm words if the line has to be. */
void event_json(event_t *event, const char *key, const char *json);

/**
 * Ends the object.  The event must not be added to afterwards.
 * @return the line, without a newline, at most EVENT_LINE_MAX - 1 bytes
 */
const char *event_close(event_t *event);

/** The level's name in the log: "debug", "info", "warning", ... */
const char *event_level_name(event_level_e level);

#endif
