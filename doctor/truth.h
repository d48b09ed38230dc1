/*
 * truth.h - what really happened: the patient's ledger.
 */
#ifndef DOCTOR_TRUTH_H
#define DOCTOR_TRUTH_H

#include <apr_file_io.h>
#include <apr_tables.h>
#include <apr_time.h>

typedef struct truth_t {
    const char *id;
    const char *label;          /* "db-failure" */
    const char *kind;           /* "incident", "one-shot" */
    apr_time_t start, end;
    int is_invalid;             /* nothing felt it */
    int is_untold;              /* no line of the log told of it */
} truth_t;

/**
 * Reads a ledger: JSON objects, one a line.
 * @param truths of truth_t, in the order of the ledger
 * @param why set on failure: what is wrong and where, as a phrase
 */
apr_status_t truth_read(apr_array_header_t **truths, apr_file_t *file,
                        const char **why, apr_pool_t *pool);

#endif
