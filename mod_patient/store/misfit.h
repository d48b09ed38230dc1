/*
 * misfit.h - values that a column cannot take, which is their sender's doing
 * and no failure of the database.
 */
#ifndef PATIENT_STORE_MISFIT_H
#define PATIENT_STORE_MISFIT_H

#include <apr_errno.h>

struct db_statement_t;

/**
 * Judges a statement's failure.
 * @param number MySQL's, or 0
 * @return APR_EINVAL: a text has a character that the column's character set
 *         lacks; APR_ENAMETOOLONG: it is longer than the column; APR_SUCCESS:
 *         something else is wrong, or nothing
 */
apr_status_t misfit_of(const struct db_statement_t *statement, int number);

#endif
