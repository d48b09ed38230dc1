/*
 * json.c - the one place that builds and reads JSON of the API (jansson).
 */
#include "http/json.h"

#include <string.h>

#include <apr_strings.h>

#include "http/json_problem.h"
#include "http/urlencoded.h"

static apr_status_t drop(void *value)
{
    json_decref(value);
    return APR_SUCCESS;
}

json_t *json_keep(json_t *value, apr_pool_t *pool)
{
    if (value != NULL) {
        apr_pool_cleanup_register(pool, value, drop, apr_pool_cleanup_null);
    }
    return value;
}

/* ---- reading ---- */

/* UTF-16 and UTF-32 of what is ASCII have a NUL in the first two bytes, or
 * begin with their own byte order marks. */
static int is_wide(const char *text, apr_size_t len)
{
    return len >= 2
        && (memcmp(text, "\xff\xfe", 2) == 0
            || memcmp(text, "\xfe\xff", 2) == 0
            || text[0] == '\0' || text[1] == '\0');
}

json_t *json_read_object(const char *text, apr_size_t len,
                         const char **problem, apr_pool_t *pool)
{
    json_error_t error;
    json_t *value;

    if (is_wide(text, len)) {
        *problem = "Malformed JSON: it must be UTF-8, not UTF-16 or UTF-32 "
                   "(line 1, column 1)";
        return NULL;
    }
    value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                       &error);
    if (value == NULL) {
        *problem = json_problem(&error, pool);
        return NULL;
    }
    json_keep(value, pool);
    if (!json_is_object(value)) {
        *problem = "The body must be a JSON object";
        return NULL;
    }
    return value;
}

json_t *json_read_form(const char *text, apr_size_t len,
                       const char **problem, apr_pool_t *pool)
{
    json_t *object = json_keep(json_object(), pool);
    urlencoded_t pair = { .text = text, .len = len };
    const char *wrong = NULL;
    apr_status_t rv;

    while ((rv = urlencoded_next(&pair, &wrong, pool)) == APR_SUCCESS) {
        wrong = json_object_get(object, pair.key) != NULL
            ? "a key stands twice"
            : json_object_set_new(object, pair.key, json_string(pair.value))
            ? "it is not UTF-8" : NULL;
        if (wrong != NULL) {
            *problem = apr_psprintf(pool, "Malformed form: %s (offset %"
                                    APR_SIZE_T_FMT ")", wrong, pair.offset);
            return NULL;
        }
    }
    if (rv != APR_EOF) {
        *problem = apr_pstrcat(pool, "Malformed form: ", wrong, NULL);
        return NULL;
    }
    return object;
}

/* ---- building ---- */

/* Bytes of the well-formed UTF-8 sequence at text; 0 if it is not one. */
static int sequence(const unsigned char *text)
{
    int more = (text[0] & 0x80) == 0 ? 0
        : (text[0] & 0xe0) == 0xc0 && text[0] >= 0xc2 ? 1
        : (text[0] & 0xf0) == 0xe0 ? 2
        : (text[0] & 0xf8) == 0xf0 && text[0] <= 0xf4 ? 3 : -1;
    int i;

    for (i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0)         /* overlong */
        || (text[0] == 0xed && text[1] > 0x9f)      /* surrogate */
        || (text[0] == 0xf0 && text[1] < 0x90)      /* overlong */
        || (text[0] == 0xf4 && text[1] > 0x8f)) {   /* above U+10FFFF */
        return 0;
    }
    return more + 1;
}

static const char *repair(const char *text, apr_pool_t *pool)
{
    const unsigned char *from = (const unsigned char *)text;
    char *clean = apr_palloc(pool, strlen(text) * 3 + 1);
    char *to = clean;

    while (*from) {
        int len = sequence(from);

        memcpy(to, len ? (const char *)from : "\xef\xbf\xbd",
               (size_t)(len ? len : 3));
        to += len ? len : 3;
        from += len ? len : 1;
    }
    *to = '\0';
    return clean;
}

json_t *json_text(const char *text, apr_pool_t *pool)
{
    json_t *value;

    if (text == NULL) {
        return json_null();
    }
    value = json_string(text);
    return value ? value : json_string_nocheck(repair(text, pool));
}

json_t *json_time(apr_time_t time)
{
    apr_time_t fraction = time % APR_USEC_PER_SEC;
    apr_time_exp_t t;

    if (time == DATETIME_NONE) {
        return json_null();
    }
    fraction += fraction < 0 ? APR_USEC_PER_SEC : 0;    /* before 1970 */
    apr_time_exp_gmt(&t, time - fraction);
    return json_sprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                        t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                        t.tm_hour, t.tm_min, t.tm_sec,
                        (int)apr_time_as_msec(fraction));
}

json_t *json_milliseconds(apr_interval_time_t span)
{
    return json_sprintf("%" JSON_INTEGER_FORMAT "ms",
                        (json_int_t)apr_time_as_msec(span));
}
