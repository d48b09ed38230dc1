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
    if (field->required != NULL && *field->value == '\0') {
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
