/*
 * field.c - the text fields of a body: present, of the right type and length.
 */
#include "http/field.h"

#include <string.h>

#include <apr_strings.h>

const char *field_complain(const char *list, const char *problem,
                           apr_pool_t *pool)
{
    return list ? apr_pstrcat(pool, list, ", ", problem, NULL) : problem;
}

apr_size_t field_characters(const char *text)
{
    apr_size_t count = 0;

    for (; *text; text++) {
        count += (*text & 0xc0) != 0x80;
    }
    return count;
}

/* Unicode's White_Space, Cc and Default_Ignorable_Code_Point, and the two
 * blanks that are symbols: the Braille one and Hangul's half-width filler. */
static const struct {
    apr_uint32_t first;
    apr_uint32_t last;
} invisible[] = {
    { 0x00, 0x20 }, { 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x34f, 0x34f },
    { 0x61c, 0x61c }, { 0x115f, 0x1160 }, { 0x1680, 0x1680 },
    { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x2000, 0x200f },
    { 0x2028, 0x202f }, { 0x205f, 0x206f }, { 0x2800, 0x2800 },
    { 0x3000, 0x3000 }, { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f },
    { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfff8 },
    { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
};

static int is_invisible(apr_uint32_t character)
{
    apr_size_t i;

    for (i = 0; i < sizeof(invisible) / sizeof(invisible[0]); i++) {
        if (character >= invisible[i].first
            && character <= invisible[i].last) {
            return 1;
        }
    }
    return 0;
}

/* The character at *text, which is UTF-8, and on to the next. */
static apr_uint32_t next_character(const unsigned char **text)
{
    apr_uint32_t lead = *(*text)++;
    apr_uint32_t character = lead < 0x80 ? lead : lead < 0xe0 ? lead & 0x1f
        : lead < 0xf0 ? lead & 0x0f : lead & 0x07;

    while ((**text & 0xc0) == 0x80) {
        character = character << 6 | (*(*text)++ & 0x3f);
    }
    return character;
}

int field_is_blank(const char *text)
{
    const unsigned char *rest = (const unsigned char *)text;

    while (*rest) {
        if (!is_invisible(next_character(&rest))) {
            return 0;
        }
    }
    return 1;
}

int field_has_blank(const char *text)
{
    const unsigned char *rest = (const unsigned char *)text;

    while (*rest) {
        if (is_invisible(next_character(&rest))) {
            return 1;
        }
    }
    return 0;
}

/* "title" -> "Title" */
static char *capitalised(const char *name, apr_pool_t *pool)
{
    char *copy = apr_pstrdup(pool, name);

    copy[0] = (char)(copy[0] - 'a' + 'A');
    return copy;
}

/* What is wrong with one field, or NULL. */
static const char *read_field(field_t *field, json_t *body, apr_pool_t *pool)
{
    json_t *value = json_object_get(body, field->name);

    field->value = NULL;
    if (value == NULL || json_is_null(value)) {
        return field->required;
    }
    if (!json_is_string(value)) {
        return apr_psprintf(pool, "%s must be a string",
                            capitalised(field->name, pool));
    }
    field->value = json_string_value(value);
    if (field->required != NULL
        && (field->is_visible ? field_is_blank(field->value)
                              : *field->value == '\0')) {
        return field->required;
    }
    if (field->max_bytes && json_string_length(value) > field->max_bytes) {
        return apr_psprintf(pool, "%s must be at most %" APR_SIZE_T_FMT
                            " bytes", capitalised(field->name, pool),
                            field->max_bytes);
    }
    if (field->max_characters
        && field_characters(field->value) > field->max_characters) {
        return apr_psprintf(pool, "%s must be at most %" APR_SIZE_T_FMT
                            " characters", capitalised(field->name, pool),
                            field->max_characters);
    }
    return NULL;
}

const char *field_read(field_t **fields, json_t *body, apr_pool_t *pool)
{
    const char *problems = NULL, *last = NULL;

    for (; *fields != NULL; fields++) {
        const char *problem = read_field(*fields, body, pool);

        if (problem != NULL && (last == NULL || strcmp(problem, last) != 0)) {
            problems = field_complain(problems, problem, pool);
            last = problem;
        }
    }
    return problems;
}
