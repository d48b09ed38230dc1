/*
 * claim.c - reads what a doctor says, ours or any other.
 *
 * An AI keeps to a shape more or less.  What it calls an illness is looked
 * for under several keys and names, a time may be missing, and whatever else
 * it says is passed over.
 */
#include "claim.h"

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "lines.h"
#include "moment.h"
#include "rules.h"

/* After so many braces that begin no value, what comes is no answer. */
#define TRIES_MAX 1000

#define KEYS(...) (const char *const[]){ __VA_ARGS__, NULL }

/* The first of the keys that holds a point in time. */
static apr_time_t time_at(const json_t *issue, const char *const *keys)
{
    apr_time_t time = MOMENT_NONE;

    for (; *keys != NULL && time == MOMENT_NONE; keys++) {
        time = moment_read(json_object_get(issue, *keys));
    }
    return time;
}

/* Who gives but one of the times means the others to be there, too. */
static void read_times(claim_t *claim, const json_t *issue)
{
    claim->detected_at = time_at(issue, KEYS("detected_at", "detectedAt"));
    claim->since = time_at(issue, KEYS("since", "first_seen", "firstSeen",
                                       "start", "started_at", "onset",
                                       "from"));
    claim->until = time_at(issue, KEYS("until", "last_seen", "lastSeen",
                                       "end", "ended_at", "to"));
    if (claim->since == MOMENT_NONE && claim->until == MOMENT_NONE) {
        return;
    }
    if (claim->since == MOMENT_NONE) {
        claim->since = claim->until;
    }
    if (claim->until < claim->since) {
        claim->until = claim->detected_at > claim->since
            ? claim->detected_at : claim->since;
    }
}

static void name_it(claim_t *claim, const char *text, apr_pool_t *pool)
{
    const rule_t *rule = rule_named(text);

    if (rule != NULL) {
        claim->label = rule->label;
        claim->is_known = 1;
    }
    else if (claim->label == NULL) {
        claim->label = apr_pstrdup(pool, text);
    }
}

static void read_name(claim_t *claim, const json_t *issue, apr_pool_t *pool)
{
    const char *const *key = KEYS("label", "scenario", "issue", "type",
                                  "name", "title", "id", "category",
                                  "problem", "description");

    if (json_is_string(issue)) {
        name_it(claim, json_string_value(issue), pool);
    }
    for (; *key != NULL && !claim->is_known; key++) {
        const json_t *value = json_object_get(issue, *key);

        if (json_is_string(value)) {
            name_it(claim, json_string_value(value), pool);
        }
    }
    if (claim->label == NULL) {
        claim->label = "(without a name)";
    }
}

static void read_issue(claims_t *claims, const json_t *issue,
                       const char *name, apr_pool_t *pool)
{
    claim_t *claim = apr_array_push(claims->claims);

    memset(claim, 0, sizeof(*claim));
    claim->file = name;
    read_name(claim, issue, pool);
    read_times(claim, issue);
}

static void read_page(claims_t *claims, const json_t *page)
{
    apr_time_t from = moment_read(json_object_get(page, "from"));
    apr_time_t until = moment_read(json_object_get(page, "until"));

    if (from == MOMENT_NONE || until == MOMENT_NONE) {
        return;
    }
    if (claims->paged == 0 || from < claims->from) {
        claims->from = from;
    }
    if (claims->paged == 0 || until > claims->until) {
        claims->until = until;
    }
    claims->paged++;
}

/* The object that has the issues: this one, or one that it wraps. */
static const json_t *unwrap(json_t *value)
{
    const char *key;
    json_t *inner;

    if (json_object_get(value, "detected_issues") != NULL) {
        return value;
    }
    json_object_foreach(value, key, inner) {
        if (json_object_get(inner, "detected_issues") != NULL) {
            return inner;
        }
    }
    return NULL;
}

/* @return 0: it is no diagnosis */
static int read_answer(claims_t *claims, json_t *value, const char *name,
                       apr_pool_t *pool)
{
    const json_t *answer = unwrap(value);
    const json_t *issues = json_object_get(answer, "detected_issues");
    const json_t *issue;
    size_t i;

    if (json_is_string(issues)) {
        read_issue(claims, issues, name, pool);
    }
    else if (!json_is_array(issues) && !json_is_null(issues)) {
        return 0;
    }
    json_array_foreach(issues, i, issue) {
        read_issue(claims, issue, name, pool);
    }
    claims->answers++;
    read_page(claims, json_object_get(answer, "page"));
    return 1;
}

static int read_value(claims_t *claims, json_t *value, const char *name,
                      apr_pool_t *pool)
{
    json_t *each;
    size_t i;

    if (!json_is_array(value)) {
        return read_answer(claims, value, name, pool);
    }
    json_array_foreach(value, i, each) {
        if (!read_answer(claims, each, name, pool)) {
            return 0;
        }
    }
    return json_array_size(value) > 0;
}

/* Every diagnosis in the text.  What stands around them, such as the fence of
 * a code block, is passed over up to the next brace that begins a value. */
static int read_text(claims_t *claims, const char *text, apr_size_t len,
                     const char *name, const char **why, apr_pool_t *pool)
{
    const char *end = text + len;
    int found = 0, tries = 0;

    *why = "holds no JSON object with \"detected_issues\"";
    while (text < end && tries < TRIES_MAX) {
        json_error_t error;
        json_t *value = NULL;

        if (*text == '{' || *text == '[') {
            value = json_loadb(text, (size_t)(end - text), JSON_ALLOW_NUL
                               | JSON_DISABLE_EOF_CHECK, &error);
            tries += value == NULL;
        }
        if (value != NULL) {
            found += read_value(claims, value, name, pool);
        }
        text += value ? error.position : 1;
        json_decref(value);
    }
    return found;
}

claims_t *claims_create(apr_pool_t *pool)
{
    claims_t *claims = apr_pcalloc(pool, sizeof(*claims));

    claims->claims = apr_array_make(pool, 16, sizeof(claim_t));
    return claims;
}

apr_status_t claims_read(claims_t *claims, apr_file_t *file,
                         const char *name, const char **why, apr_pool_t *pool)
{
    char reason[120];
    const char *text = NULL;
    apr_size_t len = 0;
    apr_pool_t *own;
    apr_status_t rv;

    apr_pool_create(&own, pool);
    rv = lines_rest(lines_open(file, own), &text, &len, own);
    if (rv != APR_SUCCESS) {
        *why = rv == APR_ENOSPC ? "is too large"
            : apr_psprintf(pool, "cannot be read: %s",
                           apr_strerror(rv, reason, sizeof(reason)));
    }
    else if (!read_text(claims, text, len, name, why, pool)) {
        rv = APR_EINVAL;
    }
    apr_pool_destroy(own);
    return rv;
}
