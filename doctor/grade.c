/*
 * grade.c - holds what a doctor claims against what really happened.
 *
 * All counts are of illnesses, not of answers: who says the same every minute
 * is no more right, or wrong, than who says it once.
 */
#include "grade.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "moment.h"
#include "plain.h"

/* ---- does a claim mean an incident ---- */

static int meets(const claim_t *claim, const truth_t *truth,
                 apr_interval_time_t tolerance)
{
    return strcmp(claim->label, truth->label) == 0
        && (claim->since == MOMENT_NONE
            || (claim->since <= truth->end + tolerance
                && claim->until >= truth->start - tolerance));
}

static int meets_any(const claim_t *claim, const apr_array_header_t *truths,
                     apr_interval_time_t tolerance)
{
    int i;

    for (i = 0; i < truths->nelts; i++) {
        if (meets(claim, &APR_ARRAY_IDX(truths, i, truth_t), tolerance)) {
            return 1;
        }
    }
    return 0;
}

/* ---- incidents ---- */

static apr_interval_time_t distance(apr_interval_time_t span)
{
    return span < 0 ? -span : span;
}

static void credit(grade_case_t *that, const claim_t *claim)
{
    apr_interval_time_t onset = claim->since - that->truth->start;
    apr_interval_time_t delay = claim->detected_at - that->truth->start;

    that->is_found = 1;
    if (claim->since != MOMENT_NONE
        && (!that->has_onset || distance(onset) < distance(that->onset))) {
        that->has_onset = 1;
        that->onset = onset;
    }
    if (claim->detected_at != MOMENT_NONE
        && (!that->has_delay || delay < that->delay)) {
        that->has_delay = 1;
        that->delay = delay;
    }
}

/* Invalid ones are no illnesses, nobody could read of the untold, and others
 * may have been out of sight. */
static int is_asked_for(const truth_t *truth, const grade_t *grade)
{
    return !truth->is_invalid && !truth->is_untold
        && (grade->since == MOMENT_NONE || truth->start >= grade->since)
        && (grade->until == MOMENT_NONE || truth->start <= grade->until);
}

static void judge_incident(grade_t *grade, const truth_t *truth,
                           const claims_t *claims,
                           apr_interval_time_t tolerance)
{
    grade_case_t *that = apr_array_push(grade->cases);
    int i;

    memset(that, 0, sizeof(*that));
    that->truth = truth;
    for (i = 0; i < claims->claims->nelts; i++) {
        const claim_t *claim = &APR_ARRAY_IDX(claims->claims, i, claim_t);

        if (meets(claim, truth, tolerance)) {
            credit(that, claim);
        }
    }
    grade->found += that->is_found;
    grade->missed += !that->is_found;
}

/* ---- false alarms ---- */

/* Those without a time come first of their label. */
static int by_label_and_time(const void *left, const void *right)
{
    const claim_t *a = left, *b = right;
    int order = strcmp(a->label, b->label);

    return order ? order : a->since < b->since ? -1 : a->since > b->since;
}

/* Makes one of what is claimed of the same time, or of no time at all. */
static void merge(apr_array_header_t *claims, apr_interval_time_t tolerance)
{
    claim_t *all = (claim_t *)claims->elts;
    int i, kept = 0;

    qsort(all, (size_t)claims->nelts, sizeof(*all), by_label_and_time);
    for (i = 1; i < claims->nelts; i++) {
        claim_t *last = &all[kept];

        if (strcmp(last->label, all[i].label) != 0
            || (last->since != MOMENT_NONE
                && all[i].since > last->until + tolerance)) {
            all[++kept] = all[i];
        }
        else if (last->since != MOMENT_NONE && all[i].until > last->until) {
            last->until = all[i].until;
        }
    }
    if (claims->nelts > 0) {
        claims->nelts = kept + 1;
    }
}

/* ---- the marks ---- */

static double share(int part, int rest)
{
    return part + rest == 0 ? 1.0 : (double)part / (part + rest);
}

static void choose_period(grade_t *grade, const claims_t *claims,
                          const grade_terms_t *terms)
{
    int paged = claims->paged > 0 && claims->paged == claims->answers;

    grade->since = terms->since != MOMENT_NONE ? terms->since
        : paged ? claims->from : MOMENT_NONE;
    grade->until = terms->until != MOMENT_NONE ? terms->until
        : paged ? claims->until : MOMENT_NONE;
}

grade_t *grade_make(const apr_array_header_t *truths, const claims_t *claims,
                    const grade_terms_t *terms, apr_pool_t *pool)
{
    grade_t *grade = apr_pcalloc(pool, sizeof(*grade));
    int i;

    grade->cases = apr_array_make(pool, truths->nelts, sizeof(grade_case_t));
    grade->false_alarms = apr_array_make(pool, 4, sizeof(claim_t));
    choose_period(grade, claims, terms);
    for (i = 0; i < truths->nelts; i++) {
        const truth_t *truth = &APR_ARRAY_IDX(truths, i, truth_t);

        if (is_asked_for(truth, grade)) {
            judge_incident(grade, truth, claims, terms->tolerance);
        }
    }
    for (i = 0; i < claims->claims->nelts; i++) {
        const claim_t *claim = &APR_ARRAY_IDX(claims->claims, i, claim_t);

        if (!meets_any(claim, truths, terms->tolerance)) {
            APR_ARRAY_PUSH(grade->false_alarms, claim_t) = *claim;
        }
    }
    merge(grade->false_alarms, terms->tolerance);
    grade->precision = share(grade->found, grade->false_alarms->nelts);
    grade->recall = share(grade->found, grade->missed);
    grade->f1 = share(2 * grade->found,
                      grade->missed + grade->false_alarms->nelts);
    return grade;
}

/* ---- as JSON ---- */

static json_t *seconds_json(int is_known, apr_interval_time_t span)
{
    return is_known ? json_real((double)span / APR_USEC_PER_SEC)
                    : json_null();
}

static json_t *case_json(const grade_case_t *that)
{
    const truth_t *truth = that->truth;

    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:o, s:o}",
                     "id", truth->id,
                     "label", truth->label,
                     "kind", truth->kind,
                     "start", moment_json(truth->start),
                     "end", moment_json(truth->end),
                     "detected", that->is_found,
                     "onset_error_s", seconds_json(that->has_onset,
                                                   that->onset),
                     "time_to_detect_s", seconds_json(that->has_delay,
                                                      that->delay));
}

static json_t *false_alarm_json(const claim_t *claim)
{
    json_t *file = json_string(claim->file);

    return json_pack("{s:s, s:o, s:o, s:o}",
                     "label", claim->label,
                     "since", moment_json(claim->since),
                     "until", moment_json(claim->until),
                     "file", file ? file : json_null());
}

json_t *grade_json(const grade_t *grade)
{
    json_t *cases = json_array();
    json_t *false_alarms = json_array();
    int i;

    for (i = 0; i < grade->cases->nelts; i++) {
        json_array_append_new(cases, case_json(
            &APR_ARRAY_IDX(grade->cases, i, grade_case_t)));
    }
    for (i = 0; i < grade->false_alarms->nelts; i++) {
        json_array_append_new(false_alarms, false_alarm_json(
            &APR_ARRAY_IDX(grade->false_alarms, i, claim_t)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:f, s:f, s:f}",
                     "since", moment_json(grade->since),
                     "until", moment_json(grade->until),
                     "incidents", cases,
                     "false_alarms", false_alarms,
                     "true_positives", grade->found,
                     "false_positives", grade->false_alarms->nelts,
                     "false_negatives", grade->missed,
                     "precision", grade->precision,
                     "recall", grade->recall,
                     "f1", grade->f1);
}

/* ---- for people ---- */

static void print_case(const grade_case_t *that, FILE *out, apr_pool_t *pool)
{
    const truth_t *truth = that->truth;

    fprintf(out, "%s: %s, %s to %s: %s", truth->label, truth->kind,
            moment_text(truth->start, pool), moment_text(truth->end, pool),
            that->is_found ? "found" : "missed");
    if (that->has_onset) {
        fprintf(out, ", dated %+.1f s",
                (double)that->onset / APR_USEC_PER_SEC);
    }
    if (that->has_delay) {
        fprintf(out, ", told after %.1f s",
                (double)that->delay / APR_USEC_PER_SEC);
    }
    putc('\n', out);
}

static void print_false_alarm(const claim_t *claim, FILE *out,
                              apr_pool_t *pool)
{
    plain_print(claim->label, strlen(claim->label), out);
    fprintf(out, ": false alarm in %s", claim->file);
    if (claim->since != MOMENT_NONE) {
        fprintf(out, ", %s to %s", moment_text(claim->since, pool),
                moment_text(claim->until, pool));
    }
    putc('\n', out);
}

void grade_print(const grade_t *grade, FILE *out, apr_pool_t *pool)
{
    int false_alarms = grade->false_alarms->nelts;
    int i;

    for (i = 0; i < grade->cases->nelts; i++) {
        print_case(&APR_ARRAY_IDX(grade->cases, i, grade_case_t), out, pool);
    }
    for (i = 0; i < false_alarms; i++) {
        print_false_alarm(&APR_ARRAY_IDX(grade->false_alarms, i, claim_t),
                          out, pool);
    }
    fprintf(out, "%d of %d found, %d false %s: precision %.3f, recall %.3f, "
            "F1 %.3f\n", grade->found, grade->cases->nelts, false_alarms,
            false_alarms == 1 ? "alarm" : "alarms", grade->precision,
            grade->recall, grade->f1);
}
