/*
 * input.c - reads a log, in whichever shape it comes, onto a page.
 *
 * A log is a JSON object a line.  From CloudWatch it comes wrapped: each line
 * is the "message" of an event that has a "timestamp" of its own, and the
 * events are a list, in an object or bare, on one line or on many.
 */
#include "input.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <jansson.h>

#include "lines.h"
#include "moment.h"
#include "page.h"

typedef struct input_t {
    struct page_t *page;
    input_count_t *count;
} input_t;

/* ---- CloudWatch's shape ---- */

static int is_event(const json_t *value)
{
    return json_is_number(json_object_get(value, "timestamp"))
        && json_is_string(json_object_get(value, "message"));
}

/* What is no JSON has its place on CloudWatch's page all the same; but it is
 * no line that anybody can diagnose from. */
static void take_event(const input_t *input, const json_t *event)
{
    const json_t *message = json_object_get(event, "message");
    apr_time_t time = moment_read(json_object_get(event, "timestamp"));
    json_t *line;

    input->count->lines++;
    if (!is_event(event) || time == MOMENT_NONE) {
        input->count->timeless++;
        return;
    }
    line = json_loadb(json_string_value(message),
                      json_string_length(message), JSON_ALLOW_NUL, NULL);
    input->count->not_json += !json_is_object(line);
    json_decref(line);
    page_offer(input->page, time, json_string_value(message),
               json_string_length(message));
}

/* @return whether it is a list of events */
static int take_events(const input_t *input, const json_t *value)
{
    const json_t *events = json_is_array(value)
        ? value : json_object_get(value, "events");
    const json_t *event;
    size_t i;

    if (!json_is_array(events)) {
        return 0;
    }
    json_array_foreach(events, i, event) {
        take_event(input, event);
    }
    return 1;
}

/* A long log comes in several answers, one after the other. */
static apr_status_t read_document(const input_t *input, lines_t *lines,
                                  const char **why, apr_pool_t *pool)
{
    const char *text;
    apr_size_t len, at = 0;
    apr_status_t rv = lines_rest(lines, &text, &len, pool);

    if (rv == APR_ENOSPC) {
        *why = "is larger than a page of events can be";
    }
    while (rv == APR_SUCCESS && at < len) {
        json_error_t error;
        json_t *value = json_loadb(text + at, len - at, JSON_ALLOW_NUL
                                   | JSON_DISABLE_EOF_CHECK, &error);

        if (value == NULL || !take_events(input, value)) {
            *why = value ? "holds no \"events\""
                : apr_psprintf(pool, "is no JSON document: %s (line %d, "
                               "column %d)", error.text, error.line,
                               error.column);
            rv = APR_EINVAL;
        }
        json_decref(value);
        at += value ? (apr_size_t)error.position : 0;
        while (at < len && apr_isspace(text[at])) {
            at++;
        }
    }
    return rv;
}

static int is_document(const char *text, apr_size_t len)
{
    static const char key[] = "\"events\"";
    const char *end = text + len;
    int is_list, is_broken = 0;

    while (text < end && apr_isspace(*text)) {
        text++;
    }
    if (text == end || (*text != '[' && *text != '{')) {
        return 0;
    }
    is_list = *text == '[';
    for (text++; text < end && apr_isspace(*text); text++) {
        is_broken |= *text == '\n';
    }
    return is_list ? text < end && (*text == '{' || *text == ']')
        : is_broken || ((apr_size_t)(end - text) >= sizeof(key) - 1
                        && memcmp(text, key, sizeof(key) - 1) == 0);
}

/* ---- lines ---- */

static int is_blank(const char *text, apr_size_t len)
{
    while (len > 0 && apr_isspace(text[len - 1])) {
        len--;
    }
    return len == 0;
}

static void take_line(const input_t *input, const char *text, apr_size_t len)
{
    json_t *line = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    apr_time_t time;

    if (is_event(line)) {
        take_event(input, line);
    }
    else if (!is_blank(text, len)) {
        input->count->lines++;
        time = moment_read(json_object_get(line, "timestamp"));
        if (!json_is_object(line)) {
            input->count->not_json++;
        }
        else if (time == MOMENT_NONE) {
            input->count->timeless++;
        }
        else {
            page_offer(input->page, time, text, len);
        }
    }
    json_decref(line);
}

static apr_status_t read_lines(const input_t *input, lines_t *lines)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS || rv == APR_ENOSPC) {
        const char *text;
        apr_size_t len;

        rv = lines_next(lines, &text, &len);
        if (rv == APR_SUCCESS) {
            take_line(input, text, len);
        }
        else if (rv == APR_ENOSPC) {
            input->count->lines++;
            input->count->too_long++;
        }
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t input_read(struct page_t *page, input_count_t *count,
                        apr_file_t *file, const char **why, apr_pool_t *pool)
{
    input_t input = { page, count };
    lines_t *lines = lines_open(file, pool);
    const char *text;
    apr_size_t len;
    apr_status_t rv = lines_peek(lines, &text, &len);

    *why = NULL;
    if (rv == APR_SUCCESS) {
        rv = is_document(text, len)
            ? read_document(&input, lines, why, pool)
            : read_lines(&input, lines);
    }
    if (rv != APR_SUCCESS && *why == NULL) {
        char reason[120];

        *why = apr_psprintf(pool, "cannot be read: %s",
                            apr_strerror(rv, reason, sizeof(reason)));
    }
    return rv;
}
