/*
 * urlencoded.c - "key=value&key=value", as forms and query strings have it.
 */
#include "http/urlencoded.h"

#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>

/* Decodes one key or value. @return NULL: an escape is broken or a NUL */
static const char *urlencoded_decode(const char *from, apr_size_t len,
                                     apr_pool_t *pool)
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

/* @return what is wrong, or NULL */
static const char *read_pair(urlencoded_t *pair, apr_size_t len,
                             apr_pool_t *pool)
{
    const char *start = pair->text + pair->offset;
    const char *equals = memchr(start, '=', len);
    apr_size_t key_len = equals ? (apr_size_t)(equals - start) : len;

    if (memchr(start, '\0', len) != NULL) {
        return "it holds a NUL byte";
    }
    pair->key = urlencoded_decode(start, key_len, pool);
    pair->value = equals
        ? urlencoded_decode(equals + 1, len - key_len - 1, pool) : "";
    return pair->key == NULL || pair->value == NULL
        ? "an escape is not %XX of a byte other than 00" : NULL;
}

apr_status_t urlencoded_next(urlencoded_t *pair, const char **problem,
                             apr_pool_t *pool)
{
    const char *stop, *wrong;
    apr_size_t len;

    while (pair->next < pair->len && pair->text[pair->next] == '&') {
        pair->next++;
    }
    if (pair->next >= pair->len) {
        return APR_EOF;
    }
    pair->offset = pair->next;
    stop = memchr(pair->text + pair->offset, '&', pair->len - pair->offset);
    len = stop ? (apr_size_t)(stop - pair->text) - pair->offset
               : pair->len - pair->offset;
    pair->next = pair->offset + len + 1;
    wrong = read_pair(pair, len, pool);
    if (wrong != NULL) {
        *problem = apr_psprintf(pool, "%s (offset %" APR_SIZE_T_FMT ")",
                                wrong, pair->offset);
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}
