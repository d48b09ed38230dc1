/*
 * field.c - the text fields of a body: what can be seen, and what is counted.
 */
#include "http/field.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;

static void test_blank(void)
{
    static const char *const blank[] = {
        "", " ", "\t\r\n\v\f", "\x01\x1f\x7f", "\xc2\x85", "\xc2\xa0",
        "\xc2\xad", "\xcd\x8f", "\xe1\x9a\x80", "\xe2\x80\x8b", "\xe2\x80\xa8",
        "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe2\x81\xa0", "\xe2\xa0\x80",
        "\xe3\x80\x80", "\xe3\x85\xa4", "\xef\xb8\x8f", "\xef\xbb\xbf",
        "\xef\xbe\xa0", "\xf3\xa0\x80\xa0", " \xe3\x80\x80\xe2\x80\x8b\t"
    };
    static const char *const visible[] = {
        "x", " x ", ".", "\xc2\xa1", "\xe2\x80\x90", "\xe3\x80\x81",
        "\xea\xb0\x80", "\xe3\x80\x80\xea\xb0\x80", "\xef\xbf\xbd",
        "\xef\xbf\xbf", "\xf0\x9f\xa9\xba", "\xf4\x8f\xbf\xbf",
        ("\xe2\x80\x8b" "0")
    };
    size_t i;

    for (i = 0; i < sizeof(blank) / sizeof(blank[0]); i++) {
        tap_ok(field_is_blank(blank[i]), "nothing can be seen of %d bytes",
               (int)strlen(blank[i]));
    }
    for (i = 0; i < sizeof(visible) / sizeof(visible[0]); i++) {
        tap_ok(!field_is_blank(visible[i]), "%s can be seen", visible[i]);
    }
}

static void test_has_blank(void)
{
    tap_ok(!field_has_blank(""), "nothing has no blank");
    tap_ok(!field_has_blank("a@b.\xea\xb0\x80"), "all of it can be seen");
    tap_ok(field_has_blank(" a"), "a blank before");
    tap_ok(field_has_blank("a\xe3\x80\x80"), "one behind, of Unicode's");
    tap_ok(field_has_blank("a\xe2\x80\x8b" "b"), "one without width");
}

static void test_characters(void)
{
    tap_is((long long)field_characters(""), 0, "nothing has no characters");
    tap_is((long long)field_characters("abc"), 3, "ASCII: bytes");
    tap_is((long long)field_characters("\xea\xb0\x80\xeb\x82\x98"), 2,
           "two Hangul syllables are two");
    tap_is((long long)field_characters("\xf0\x9f\xa9\xba" "e\xcc\x81"), 3,
           "an emoji is one, a letter and its accent are two");
}

/* What a body's title is, or what is wrong with it. */
static const char *read_title(const char *json, int is_visible)
{
    field_t title = { .name = "title", .required = "Title is required",
                      .is_visible = is_visible, .max_characters = 3 };
    field_t *fields[] = { &title, NULL };
    json_t *body = json_loads(json, 0, NULL);
    const char *problem = field_read(fields, body, pool);

    problem = problem ? problem : apr_pstrdup(pool, title.value);
    json_decref(body);
    return problem;
}

static void test_read(void)
{
    tap_is_str(read_title("{\"title\":\" \"}", 1), "Title is required",
               "where it must be seen, a blank is nothing");
    tap_is_str(read_title("{\"title\":\" \"}", 0), " ",
               "elsewhere it is a value");
    tap_is_str(read_title("{}", 1), "Title is required", "nor is nothing");
    tap_is_str(read_title("{\"title\":\" x \"}", 1), " x ",
               "what is taken is taken as it is");
    tap_is_str(read_title("{\"title\":\"abcd\"}", 1),
               "Title must be at most 3 characters", "too long");
    tap_is_str(read_title("{\"title\":7}", 1), "Title must be a string",
               "another type");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_blank();
    test_has_blank();
    test_characters();
    test_read();
    apr_terminate();
    return tap_done();
}
