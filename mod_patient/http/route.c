/*
 * route.c - from method and path to the function that answers.
 */
#include "http/route.h"

#include <string.h>

#include <apr_strings.h>

static const struct {
    int method;
    const char *name;
} methods[] = {
    { M_GET, "GET" },
    { M_POST, "POST" },
    { M_PUT, "PUT" },
    { M_PATCH, "PATCH" },
    { M_DELETE, "DELETE" },
};
#define KNOWN (sizeof(methods) / sizeof(methods[0]))

/* Compares a path with a pattern. @param segment set to where the text for
 * :name begins, len to its length; NULL when the pattern has no :name */
static int fits(const char *pattern, const char *path, const char **segment,
                apr_size_t *len)
{
    *segment = NULL;
    while (*pattern && *pattern != ':') {
        if (*pattern++ != *path++) {
            return 0;
        }
    }
    if (*pattern == ':') {
        *segment = path;
        *len = strcspn(path, "/");
        if (*len == 0) {
            return 0;
        }
        path += *len;
        pattern += strcspn(pattern, "/");
        if (strcmp(pattern, path) == 0) {
            return 1;
        }
    }
    return strcmp(pattern, path) == 0
        || (*pattern == '\0' && strcmp(path, "/") == 0);
}

void route_match(route_match_t *match, route_tables_t tables, request_rec *r,
                 int (*is_open)(const route_t *route, request_rec *r))
{
    int index = 0, is_literal = 0;

    memset(match, 0, sizeof(*match));
    for (; *tables != NULL; tables++) {
        const route_t *route;

        for (route = *tables; route->pattern != NULL; route++, index++) {
            const char *segment;
            apr_size_t len;

            if (!fits(route->pattern, r->uri, &segment, &len)
                || (segment != NULL && is_literal) || !is_open(route, r)) {
                continue;
            }
            is_literal |= segment == NULL;
            match->allowed |= 1u << route->method;
            if (route->method == r->method_number && match->route == NULL) {
                match->route = route;
                match->index = index;
                match->segment = segment
                    ? apr_pstrmemdup(r->pool, segment, len) : NULL;
            }
        }
    }
}

int route_count(route_tables_t tables)
{
    int count = 0;

    for (; *tables != NULL; tables++) {
        const route_t *route;

        for (route = *tables; route->pattern != NULL; route++) {
            count++;
        }
    }
    return count;
}

const route_t *route_at(route_tables_t tables, int index)
{
    for (; *tables != NULL; tables++) {
        const route_t *route;

        for (route = *tables; route->pattern != NULL; route++) {
            if (index-- == 0) {
                return route;
            }
        }
    }
    return NULL;
}

const char *route_method(const route_t *route)
{
    apr_size_t i;

    for (i = 0; i < KNOWN; i++) {
        if (methods[i].method == route->method) {
            return methods[i].name;
        }
    }
    return "-";
}

const char *route_allow(unsigned int allowed, apr_pool_t *pool)
{
    const char *list = "";
    apr_size_t i;

    for (i = 0; i < KNOWN; i++) {
        if (allowed & 1u << methods[i].method) {
            list = apr_pstrcat(pool, list, methods[i].name, ", ",
                               methods[i].method == M_GET ? "HEAD, " : "",
                               NULL);
        }
    }
    return apr_pstrcat(pool, list, "OPTIONS", NULL);
}
