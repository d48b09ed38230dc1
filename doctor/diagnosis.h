/*
 * diagnosis.h - which illnesses a page tells of, since when, and by which
 * lines.
 */
#ifndef DOCTOR_DIAGNOSIS_H
#define DOCTOR_DIAGNOSIS_H

#include <stdio.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <jansson.h>

#include "input.h"
#include "page.h"
#include "rules.h"

/** One illness that was found. */
typedef struct issue_t {
    const rule_t *rule;
    apr_time_t since, until;    /* of its first line and of its last */
    apr_array_header_t *lines;  /* of page_event_t *, oldest first */
} issue_t;

typedef struct diagnosis_t {
    const page_t *page;
    apr_array_header_t *issues; /* of issue_t, in the order of the rules */
    const char *severity;       /* the worst; "none" */
} diagnosis_t;

/** Diagnoses from a closed page, which must outlive the diagnosis. */
diagnosis_t *diagnosis_make(const page_t *page, apr_pool_t *pool);

/** The diagnosis in one sentence. */
const char *diagnosis_summary(const diagnosis_t *diagnosis,
                              apr_pool_t *pool);

/** In the shape of the Doctor's answers: a new reference. */
json_t *diagnosis_json(const diagnosis_t *diagnosis,
                       const input_count_t *count, apr_pool_t *pool);

/** For people. @param evidence so many lines of each illness at most */
void diagnosis_print(const diagnosis_t *diagnosis,
                     const input_count_t *count, int evidence, FILE *out,
                     apr_pool_t *pool);

#endif
