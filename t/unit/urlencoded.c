/*
 * urlencoded.c - "key=value&key=value": what the pairs are, and what is none.
 */
#include "http/urlencoded.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;

/* All pairs of a text as "[key|value]", and at the end what is wrong. */
static const char *pairs_of(const char *text, apr_size_t len)
{
    urlencoded_t pair = { .text = text, .len = len };
    const char *all = "", *problem = "";
    apr_status_t rv;

    while ((rv = urlencoded_next(&pair, &problem, pool)) == APR_SUCCESS) {
        all = apr_pstrcat(pool, all, "[", pair.key, "|", pair.value, "]",
                          NULL);
    }
    return rv == APR_EOF ? all : apr_pstrcat(pool, all, problem, NULL);
}

#define PAIRS(text) pairs_of(text, sizeof(text) - 1)
#define BAD "an escape is not %XX of a byte other than 00"

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    tap_is_str(PAIRS(""), "", "nothing has no pairs");
    tap_is_str(PAIRS("a=1&b=2"), "[a|1][b|2]", "two pairs");
    tap_is_str(PAIRS("a"), "[a|]", "a key alone has an empty value");
    tap_is_str(PAIRS("a="), "[a|]", "and so has one before its =");
    tap_is_str(PAIRS("=1"), "[|1]", "a key may be empty");
    tap_is_str(PAIRS("&&a=1&&"), "[a|1]", "empty pairs are none");
    tap_is_str(PAIRS("a=b=c"), "[a|b=c]", "the first = counts");
    tap_is_str(PAIRS("%6cimit=%32"), "[limit|2]", "both are decoded");
    tap_is_str(PAIRS("a%3D=%26"), "[a=|&]", "after they were split");
    tap_is_str(PAIRS("a=+b+"), "[a| b ]", "a + is a blank");
    tap_is_str(PAIRS("a=%2B"), "[a|+]", "unless it is escaped");
    tap_is_str(PAIRS("a=%EA%B0%80"), "[a|\xea\xb0\x80]", "bytes are bytes");
    tap_is_str(PAIRS("a=1&b=%"), "[a|1]" BAD " (offset 4)", "no escape");
    tap_is_str(PAIRS("a=%4"), BAD " (offset 0)", "half an escape");
    tap_is_str(PAIRS("%zz=1"), BAD " (offset 0)", "no hex digits, in a key");
    tap_is_str(PAIRS("a=%00"), BAD " (offset 0)", "an escaped NUL");
    tap_is_str(PAIRS("a=1&b=\0"), "[a|1]it holds a NUL byte (offset 4)",
               "a bare NUL");
    apr_terminate();
    return tap_done();
}
