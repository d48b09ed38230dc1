/*
 * json.c - the one place that builds and reads JSON of the API (jansson).
 */
#include "http/json.h"

#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>

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

json_t *json_read_object(const char *text, apr_size_t len,
                         const char **problem, apr_pool_t *pool)
{
    json_error_t error;
    json_t *value = json_loadb(text, len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                               &error);

    if (value == NULL) {
        *problem = apr_psprintf(pool, "Malformed JSON: %s (line %d, column "
                                "%d)", error.text, error.line, error.column);
        return NULL;
    }
    json_keep(value, pool);
    if (!json_is_object(value)) {
        *problem = "The body must be a JSON object";
        return NULL;
    }
    return value;
}

/* Decodes one key or value. @return NULL: an escape is broken or a NUL */
static const char *decode(const char *from, apr_size_t len, apr_pool_t *pool)
{
    char *text = apr_pstrmemdup(pool, from, len);
    char *plus;

    for (plus = text; (plus = strchr(plus, '+')) != NULL; ) {
        *plus = ' ';
    }
    if (*text == '\0') {
        return "";
    }
    return apr_punescape_url(pool, text, NULL, NULL, 0);
}

/* Adds one "key=value" to the object. @return what is wrong, or NULL */
static const char *read_pair(json_t *object, const char *pair, apr_size_t len,
                             apr_pool_t *pool)
{
    const char *equals = memchr(pair, '=', len);
    apr_size_t key_len = equals ? (apr_size_t)(equals - pair) : len;
    const char *key = decode(pair, key_len, pool);
    const char *value = equals
        ? decode(equals + 1, len - key_len - 1, pool) : "";

    if (key == NULL || value == NULL) {
        return "an escape is not %XX of a byte other than 00";
    }
    if (json_object_get(object, key) != NULL) {
        return "a key stands twice";
    }
    if (json_object_set_new(object, key, json_string(value)) != 0) {
        return "it is not UTF-8";
    }
    return NULL;
}

json_t *json_read_form(const char *text, apr_size_t len,
                       const char **problem, apr_pool_t *pool)
{
    json_t *object = json_keep(json_object(), pool);
    const char *start = text;
    const char *end = text + len;

    while (start < end) {
        const char *stop = memchr(start, '&', (apr_size_t)(end - start));
        apr_size_t pair = (apr_size_t)((stop ? stop : end) - start);
        const char *wrong = memchr(start, '\0', pair)
            ? "it holds a NUL byte"
            : pair ? read_pair(object, start, pair, pool) : NULL;

        if (wrong != NULL) {
            *problem = apr_psprintf(pool, "Malformed form: %s (offset %"
                                    APR_SIZE_T_FMT ")", wrong,
                                    (apr_size_t)(start - text));
            return NULL;
        }
        start += pair + 1;
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
