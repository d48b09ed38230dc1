/*
 * options.h - what the command line asks for.
 */
#ifndef DOCTOR_OPTIONS_H
#define DOCTOR_OPTIONS_H

#include <apr_pools.h>

#include "grade.h"
#include "page.h"

typedef enum {
    OPTIONS_DIAGNOSE,
    OPTIONS_GRADE,
    OPTIONS_HELP,
    OPTIONS_GRADE_HELP,
    OPTIONS_LIST,
    OPTIONS_VERSION
} options_wish_e;

/** Stands among the files for "-". */
extern const char options_stdin[];

typedef struct options_t {
    options_wish_e wish;
    int is_json;
    const char *const *files;   /* ended by NULL */
    /* OPTIONS_DIAGNOSE */
    page_query_t query;
    int evidence;               /* lines of each illness that are printed */
    /* OPTIONS_GRADE */
    grade_terms_t terms;
} options_t;

/**
 * Reads the command line.
 * @param why set on failure: one line on what is wrong and what is allowed
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t options_read(options_t *options, int argc,
                          const char *const *argv, const char **why,
                          apr_pool_t *pool);

#endif
