/*
 * json_problem.c - whatever jansson has to say is said in our words.
 */
#include "http/json_problem.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;

/* What is wrong with a text, as a client is told. */
static const char *problem_of(const char *text, apr_size_t len)
{
    json_error_t error;
    json_t *value = json_loadb(text, len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                               &error);

    if (value != NULL) {
        json_decref(value);
        return "nothing";
    }
    return json_problem(&error, pool);
}

#define IS(text, expected, name) \
    tap_is_str(problem_of(text, sizeof(text) - 1), \
               "Malformed JSON: " expected, name)

static void test_words(void)
{
    IS("{", "a name in double quotes, or }, must follow, at the end "
       "(line 1, column 1)", "no name");
    IS("{\"a\" 1}", "a colon must follow the name, at '1' "
       "(line 1, column 6)", "no colon");
    IS("{\"a\":1 2}", "a comma or } must follow, at '2' (line 1, column 8)",
       "no comma in an object");
    IS("[1 2]", "a comma or ] must follow, at '2' (line 1, column 4)",
       "no comma in a list");
    IS("[,]", "a value must stand here, at ',' (line 1, column 2)",
       "no value");
    IS("\n\noops", "this is no JSON, at 'oops' (line 3, column 4)",
       "a word that is none");
    IS("1 2", "something follows its end, at '2' (line 1, column 3)",
       "two values");
    IS("{}\0", "something follows its end (line 1, column 3)",
       "a NUL behind it");
    IS("{\"a\":1,\"a\":2}", "a name stands twice in one object, at '\"a\"' "
       "(line 1, column 10)", "a name twice");
    IS("\"\\u0000\"", "\\u0000 is not allowed, at '\"\\u0000\"' "
       "(line 1, column 8)", "a NUL in a string");
    IS("{\"\\u0000\":1}", "\\u0000 is not allowed in a name, at "
       "'\"\\u0000\"' (line 1, column 9)", "a NUL in a name");
    IS("1e999", "a number is too large, at '1e999' (line 1, column 5)",
       "a real number beyond all bounds");
    IS("99999999999999999999", "a whole number has more than 64 bits, at "
       "'99999999999999999999' (line 1, column 20)", "a whole one");
    IS("-9999999999999999999", "a whole number has more than 64 bits, at "
       "'-9999999999999999999' (line 1, column 20)", "a negative one");
    IS("\"\xff\"", "it is not UTF-8: byte 0xff, at '\"' (line 1, column 1)",
       "no UTF-8");
    IS("\"a\tb\"", "a string holds the bare control character 0x9, at '\"a' "
       "(line 1, column 2)", "a control character");
    IS("\"a\nb\"", "a line break in a string must be written as \\n, at "
       "'\"a' (line 1, column 2)", "a line break");
    IS("\"a", "the end comes within a string, at '\"a' (line 1, column 2)",
       "no end");
    IS("\"\\ud83e\"", "half of a surrogate pair: '\\uD83E', at "
       "'\"\\ud83e\"' (line 1, column 8)", "half a pair");
    IS("\"\\ud83e\\u0041\"", "half of a surrogate pair: '\\uD83E\\u0041', at "
       "'\"\\ud83e\\u0041\"' (line 1, column 14)", "another after half a pair");
    IS("\"\\x\"", "a backslash in a string is not followed by one of "
       "\" \\ / b f n r t, or by u and four hex digits, at '\"\\x' "
       "(line 1, column 3)", "no escape");
}

static void test_depth(void)
{
    char deep[3000];

    memset(deep, '[', sizeof(deep));
    tap_is_str(problem_of(deep, sizeof(deep)), "Malformed JSON: it is nested "
               "too deep, at '[' (line 1, column 2049)", "too deep");
}

/* A new jansson may find new words. */
static void test_unknown(void)
{
    json_error_t error = { .line = -1, .column = -1,
                           .text = "JSON_NEW_FLAG wanted near 'x'" };

    tap_is_str(json_problem(&error, pool), "Malformed JSON: it cannot be "
               "read, at 'x' (line 1, column 1)",
               "words that nobody knows stay away");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_words();
    test_depth();
    test_unknown();
    apr_terminate();
    return tap_done();
}
