/*
 * json_problem.c - what is wrong with JSON, for who does not know jansson.
 */
#include "http/json_problem.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

/* jansson's words, and ours.  What follows theirs (a byte, an escape) follows
 * ours, too; then, after NEAR, what stands there in the text. */
static const struct {
    const char *theirs;
    const char *ours;
} problems[] = {
    { "unable to decode byte ", "it is not UTF-8: byte " },
    { "premature end of input", "the end comes within a string" },
    { "unexpected newline",
      "a line break in a string must be written as \\n" },
    { "control character ", "a string holds the bare control character " },
    { "invalid escape", "a backslash in a string is not followed by one of "
      "\" \\ / b f n r t, or by u and four hex digits" },
    { "invalid Unicode escape ", "\\u is not followed by four hex digits: " },
    { "invalid Unicode ", "half of a surrogate pair: " },
    { "real number overflow", "a number is too large" },
    { "too big negative integer", "a whole number has more than 64 bits" },
    { "too big integer", "a whole number has more than 64 bits" },
    { "maximum parsing depth reached", "it is nested too deep" },
    { "string or '}' expected", "a name in double quotes, or }, must follow" },
    { "duplicate object key", "a name stands twice in one object" },
    { "':' expected", "a colon must follow the name" },
    { "'}' expected", "a comma or } must follow" },
    { "']' expected", "a comma or ] must follow" },
    { "invalid token", "this is no JSON" },
    { "unexpected token", "a value must stand here" },
    { "end of file expected", "something follows its end" },
    { "\\u0000 is not allowed", "\\u0000 is not allowed" },
    { "NUL byte in object key", "\\u0000 is not allowed in a name" },
};

#define NEAR " near "
#define NEAR_END " near end of file"

/* What jansson has to say beyond its usual words, up to NEAR. */
static const char *find_rest(const char *text, const char *theirs,
                             apr_pool_t *pool)
{
    const char *rest = text + strlen(theirs);
    const char *near = strstr(rest, NEAR);
    apr_size_t last = strlen(theirs) - 1;

    if (theirs[last] != ' ') {      /* words that say all */
        return "";
    }
    return near ? apr_pstrmemdup(pool, rest, (apr_size_t)(near - rest))
                : rest;
}

static const char *find_problem(const char *text, apr_pool_t *pool)
{
    apr_size_t i;

    for (i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
        const char *theirs = problems[i].theirs;

        if (strncmp(text, theirs, strlen(theirs)) == 0) {
            return apr_pstrcat(pool, problems[i].ours,
                               find_rest(text, theirs, pool), NULL);
        }
    }
    return "it cannot be read";
}

/* ", at 'oops'"; nothing where that could not be seen */
static const char *find_place(const char *text, apr_pool_t *pool)
{
    const char *near = strstr(text, NEAR);
    const char *c;
    int is_visible = 0;

    if (near == NULL) {
        return "";
    }
    if (strcmp(near, NEAR_END) == 0) {      /* or a NUL byte behind it */
        return strncmp(text, "end of", 6) == 0 ? "" : ", at the end";
    }
    near += strlen(NEAR);
    for (c = near; *c; c++) {
        if (apr_iscntrl(*c)) {
            return "";
        }
        is_visible |= *c != '\'' && *c != ' ';
    }
    return is_visible ? apr_pstrcat(pool, ", at ", near, NULL) : "";
}

const char *json_problem(const json_error_t *error, apr_pool_t *pool)
{
    return apr_psprintf(pool, "Malformed JSON: %s%s (line %d, column %d)",
                        find_problem(error->text, pool),
                        find_place(error->text, pool),
                        error->line < 1 ? 1 : error->line,
                        error->column < 1 ? 1 : error->column);
}
