/*
 * truth.c - reads what really happened: the patient's ledger.
 */
#include "truth.h"

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "lines.h"
#include "moment.h"

static const char *text_at(const json_t *entry, const char *key,
                           const char *fallback, apr_pool_t *pool)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return apr_pstrdup(pool, text ? text : fallback);
}

/* @return what is wrong, or NULL */
static const char *read_entry(apr_array_header_t *truths,
                              const json_t *entry, apr_pool_t *pool)
{
    truth_t truth = {
        .id = text_at(entry, "id", "", pool),
        .label = text_at(entry, "label", NULL, pool),
        .kind = text_at(entry, "kind", "incident", pool),
        .start = moment_read(json_object_get(entry, "start")),
        .end = moment_read(json_object_get(entry, "end"))
    };
    const char *state = text_at(entry, "state", "", pool);

    if (!json_is_object(entry)) {
        return "is no JSON object";
    }
    if (truth.label == NULL) {
        return "has no \"label\"";
    }
    if (truth.start == MOMENT_NONE || truth.end < truth.start) {
        return "has no \"start\" and \"end\" that are times";
    }
    truth.is_invalid = strcmp(state, "invalid") == 0;
    /* An older ledger doesn't say. */
    truth.is_untold = json_is_null(json_object_get(entry, "toldAt"));
    APR_ARRAY_PUSH(truths, truth_t) = truth;
    return NULL;
}

apr_status_t truth_read(apr_array_header_t **truths, apr_file_t *file,
                        const char **why, apr_pool_t *pool)
{
    lines_t *lines = lines_open(file, pool);
    const char *wrong = NULL;
    const char *text;
    apr_size_t len;
    apr_status_t rv;
    int number = 0;

    *truths = apr_array_make(pool, 16, sizeof(truth_t));
    while (wrong == NULL
           && (rv = lines_next(lines, &text, &len)) == APR_SUCCESS) {
        json_t *entry = json_loadb(text, len, 0, NULL);

        number++;
        wrong = read_entry(*truths, entry, pool);
        json_decref(entry);
    }
    if (wrong != NULL) {
        *why = apr_psprintf(pool, "line %d %s", number, wrong);
        return APR_EINVAL;
    }
    if (rv != APR_EOF) {
        char reason[120];

        *why = rv == APR_ENOSPC ? "has a line that is too long"
            : apr_psprintf(pool, "cannot be read: %s",
                           apr_strerror(rv, reason, sizeof(reason)));
        return rv;
    }
    return APR_SUCCESS;
}
