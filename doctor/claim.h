/*
 * claim.h - what a doctor says, ours or any other.
 */
#ifndef DOCTOR_CLAIM_H
#define DOCTOR_CLAIM_H

#include <apr_file_io.h>
#include <apr_tables.h>
#include <apr_time.h>

/** One illness that a doctor claims. */
typedef struct claim_t {
    const char *label;          /* of the rules; else what the doctor wrote */
    int is_known;               /* whether it is one of the rules' */
    apr_time_t since, until;    /* both MOMENT_NONE: no time was given */
    apr_time_t detected_at;     /* or MOMENT_NONE */
    const char *file;           /* where it stands */
} claim_t;

/** All that was said. */
typedef struct claims_t {
    apr_array_header_t *claims; /* of claim_t */
    int answers;                /* diagnoses that were read */
    int paged;                  /* of these, how many tell their page */
    apr_time_t from, until;     /* what those pages span */
} claims_t;

claims_t *claims_create(apr_pool_t *pool);

/**
 * Adds all diagnoses of a file: JSON objects with "detected_issues", one
 * after the other or in a list, bare or in the middle of other text.
 * @param name of the file, which must outlive the claims
 * @param why set on failure: what is wrong, as a phrase
 */
apr_status_t claims_read(claims_t *claims, apr_file_t *file,
                         const char *name, const char **why,
                         apr_pool_t *pool);

#endif
