/*
 * field.h - the text fields of a body: present, of the right type and length.
 */
#ifndef PATIENT_HTTP_FIELD_H
#define PATIENT_HTTP_FIELD_H

#include <apr_pools.h>
#include <jansson.h>

typedef struct field_t {
    const char *name;
    const char *required;       /* what to say if it is missing, null or
                                 * empty; NULL: it need not be there */
    int is_visible;             /* blanks alone are as good as nothing */
    apr_size_t max_bytes;       /* 0: no limit */
    apr_size_t max_characters;  /* 0: no limit */
    const char *value;          /* set: the body's own, or NULL */
} field_t;

/**
 * Reads fields from a body.
 * @param fields NULL-terminated
 * @return NULL, or everything that is wrong with them, apart by ", "; what
 *         several fields say in the same words is said once
 */
const char *field_read(field_t **fields, json_t *body, apr_pool_t *pool);

/** Adds to a list apart by ", "; list may be NULL. */
const char *field_complain(const char *list, const char *problem,
                           apr_pool_t *pool);

/** Whether nothing of a text of UTF-8 can be seen: it is empty, or of blanks,
 * controls and characters without width alone. */
int field_is_blank(const char *text);

/** Whether any character of a text of UTF-8 is one that cannot be seen. */
int field_has_blank(const char *text);

/** How many characters (code points) a text of UTF-8 has. */
apr_size_t field_characters(const char *text);

#endif
