/*
 * diagnosis.c - which illnesses a page tells of, since when, and by which
 * lines.
 */
#include "diagnosis.h"

#include <stdlib.h>

#include <apr_strings.h>

#include "moment.h"
#include "plain.h"

/* ---- from lines to illnesses ---- */

static issue_t *issue_of(diagnosis_t *diagnosis, const rule_t *rule,
                         apr_time_t time, apr_pool_t *pool)
{
    issue_t *issue;
    int i;

    for (i = 0; i < diagnosis->issues->nelts; i++) {
        issue = &APR_ARRAY_IDX(diagnosis->issues, i, issue_t);
        if (issue->rule == rule) {
            return issue;
        }
    }
    issue = apr_array_push(diagnosis->issues);
    issue->rule = rule;
    issue->since = time;
    issue->lines = apr_array_make(pool, 8, sizeof(page_event_t *));
    return issue;
}

static void examine(diagnosis_t *diagnosis, page_event_t *event,
                    apr_pool_t *pool)
{
    json_t *line = json_loadb(event->text, event->len, JSON_ALLOW_NUL, NULL);
    const rule_t *rule = json_is_object(line) ? rule_of_line(line) : NULL;

    json_decref(line);
    if (rule != NULL) {
        issue_t *issue = issue_of(diagnosis, rule, event->time, pool);

        issue->until = event->time;
        APR_ARRAY_PUSH(issue->lines, page_event_t *) = event;
    }
}

static int by_rule(const void *left, const void *right)
{
    const issue_t *a = left, *b = right;

    return a->rule < b->rule ? -1 : a->rule > b->rule;
}

diagnosis_t *diagnosis_make(const page_t *page, apr_pool_t *pool)
{
    diagnosis_t *diagnosis = apr_pcalloc(pool, sizeof(*diagnosis));
    int i;

    diagnosis->page = page;
    diagnosis->issues = apr_array_make(pool, 7, sizeof(issue_t));
    diagnosis->severity = "none";
    for (i = 0; i < page->count; i++) {
        examine(diagnosis, page->events[i], pool);
    }
    qsort(diagnosis->issues->elts, (size_t)diagnosis->issues->nelts,
          sizeof(issue_t), by_rule);
    for (i = 0; i < diagnosis->issues->nelts; i++) {
        const rule_t *rule =
            APR_ARRAY_IDX(diagnosis->issues, i, issue_t).rule;

        if (rule_rank(rule->severity) > rule_rank(diagnosis->severity)) {
            diagnosis->severity = rule->severity;
        }
    }
    return diagnosis;
}

const char *diagnosis_summary(const diagnosis_t *diagnosis, apr_pool_t *pool)
{
    int count = diagnosis->issues->nelts, i;
    const char *text;

    if (count == 0) {
        return apr_psprintf(pool, "No illness in %d %s of the page.",
                            diagnosis->page->count,
                            diagnosis->page->count == 1 ? "event" : "events");
    }
    text = apr_psprintf(pool, "%d %s in %d %s of the page:", count,
                        count == 1 ? "illness" : "illnesses",
                        diagnosis->page->count,
                        diagnosis->page->count == 1 ? "event" : "events");
    for (i = 0; i < count; i++) {
        const issue_t *issue = &APR_ARRAY_IDX(diagnosis->issues, i, issue_t);

        text = apr_psprintf(pool, "%s%s %s since %s", text, i ? "," : "",
                            issue->rule->title,
                            moment_text(issue->since, pool));
    }
    return apr_pstrcat(pool, text, ".", NULL);
}

/* ---- as JSON ---- */

static json_t *evidence_json(const issue_t *issue)
{
    json_t *evidence = json_array();
    int i;

    for (i = 0; i < issue->lines->nelts; i++) {
        const page_event_t *event =
            APR_ARRAY_IDX(issue->lines, i, page_event_t *);

        json_array_append_new(evidence,
                              json_stringn(event->text, event->len));
    }
    return evidence;
}

static json_t *issue_json(const issue_t *issue, const page_t *page)
{
    const rule_t *rule = issue->rule;

    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:{s:s, s:s}, s:s, s:i, "
                     "s:o}",
                     "label", rule->label,
                     "issue", rule->title,
                     "severity", rule->severity,
                     "since", moment_json(issue->since),
                     "until", moment_json(issue->until),
                     "detected_at", moment_json(page->until),
                     "diagnosis",
                     "en", rule->diagnosis_en,
                     "ko", rule->diagnosis_ko,
                     "affected_resource", rule->resource,
                     "lines", issue->lines->nelts,
                     "evidence", evidence_json(issue));
}

static json_t *page_json(const page_t *page, const input_count_t *count)
{
    return json_pack("{s:o, s:o, s:i, s:I, s:I, s:{s:I, s:I, s:I}}",
                     "from", moment_json(page->from),
                     "until", moment_json(page->until),
                     "events", page->count,
                     "more", (json_int_t)page->more,
                     "lines", (json_int_t)count->lines,
                     "skipped",
                     "not_json", (json_int_t)count->not_json,
                     "without_timestamp", (json_int_t)count->timeless,
                     "too_long", (json_int_t)count->too_long);
}

json_t *diagnosis_json(const diagnosis_t *diagnosis,
                       const input_count_t *count, apr_pool_t *pool)
{
    json_t *issues = json_array();
    json_t *advice = json_array();
    json_t *resources = json_array();
    int i;

    for (i = 0; i < diagnosis->issues->nelts; i++) {
        const issue_t *issue = &APR_ARRAY_IDX(diagnosis->issues, i, issue_t);
        const rule_t *rule = issue->rule;

        json_array_append_new(issues, issue_json(issue, diagnosis->page));
        json_array_append_new(advice, json_sprintf("%s (%s)",
                                                   rule->diagnosis_en,
                                                   rule->diagnosis_ko));
        json_array_append_new(resources, json_string(rule->resource));
    }
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o}",
                     "detected_issues", issues,
                     "severity", diagnosis->severity,
                     "summary", diagnosis_summary(diagnosis, pool),
                     "recommendations", advice,
                     "affected_resources", resources,
                     "page", page_json(diagnosis->page, count));
}

/* ---- for people ---- */

static void print_issue(const issue_t *issue, int evidence, FILE *out,
                        apr_pool_t *pool)
{
    const rule_t *rule = issue->rule;
    int lines = issue->lines->nelts;
    int i;

    fprintf(out, "\n%s (%s), %s\n"
            "  since %s, last seen %s, %d %s\n"
            "  diagnosis: %s (%s)\n"
            "  affects: %s\n",
            rule->title, rule->label, rule->severity,
            moment_text(issue->since, pool),
            moment_text(issue->until, pool), lines,
            lines == 1 ? "line" : "lines", rule->diagnosis_en,
            rule->diagnosis_ko, rule->resource);
    for (i = 0; i < lines && i < evidence; i++) {
        const page_event_t *event =
            APR_ARRAY_IDX(issue->lines, i, page_event_t *);

        fputs("    ", out);
        plain_print(event->text, event->len, out);
        putc('\n', out);
    }
    if (lines > evidence) {
        fprintf(out, "    ... and %d more\n", lines - evidence);
    }
}

static void print_count(apr_uint64_t count, const char *what, FILE *out)
{
    if (count > 0) {
        fprintf(out, "Left out: %" APR_UINT64_T_FMT " %s\n", count, what);
    }
}

void diagnosis_print(const diagnosis_t *diagnosis,
                     const input_count_t *count, int evidence, FILE *out,
                     apr_pool_t *pool)
{
    const page_t *page = diagnosis->page;
    int i;

    fprintf(out, "%s\n", diagnosis_summary(diagnosis, pool));
    if (page->until != MOMENT_NONE) {
        fprintf(out, "The page: %s to %s, of %" APR_UINT64_T_FMT " lines\n",
                moment_text(page->from, pool), moment_text(page->until, pool),
                count->lines);
    }
    if (page->more > 0) {
        fprintf(out, "The page is full; later events, not on it: %"
                APR_UINT64_T_FMT "\n", page->more);
    }
    print_count(count->not_json, "that are no JSON object", out);
    print_count(count->timeless, "without a timestamp", out);
    print_count(count->too_long, "of over a MiB", out);
    for (i = 0; i < diagnosis->issues->nelts; i++) {
        print_issue(&APR_ARRAY_IDX(diagnosis->issues, i, issue_t), evidence,
                    out, pool);
    }
}
