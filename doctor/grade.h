/*
 * grade.h - holds what a doctor claims against what really happened.
 */
#ifndef DOCTOR_GRADE_H
#define DOCTOR_GRADE_H

#include <stdio.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <jansson.h>

#include "claim.h"
#include "truth.h"

/** Seconds by which a claim may miss an incident. */
#define GRADE_TOLERANCE 10

/** How to grade. */
typedef struct grade_terms_t {
    apr_interval_time_t tolerance;
    apr_time_t since, until;    /* MOMENT_NONE: what the pages span */
} grade_terms_t;

/** An incident that a doctor had to find. */
typedef struct grade_case_t {
    const truth_t *truth;
    int is_found;
    int has_onset, has_delay;           /* whether these are known: */
    apr_interval_time_t onset;          /* from its start to the "since" that
                                         * is nearest to it */
    apr_interval_time_t delay;          /* from its start to the earliest
                                         * "detected_at" */
} grade_case_t;

typedef struct grade_t {
    apr_array_header_t *cases;          /* of grade_case_t */
    apr_array_header_t *false_alarms;   /* of claim_t */
    apr_time_t since, until;            /* the period; MOMENT_NONE: open */
    int found, missed;
    double precision, recall, f1;
} grade_t;

grade_t *grade_make(const apr_array_header_t *truths, const claims_t *claims,
                    const grade_terms_t *terms, apr_pool_t *pool);

/** A new reference. */
json_t *grade_json(const grade_t *grade);

void grade_print(const grade_t *grade, FILE *out, apr_pool_t *pool);

#endif
