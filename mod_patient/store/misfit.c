/*
 * misfit.c - values that a column cannot take, which is their sender's doing
 * and no failure of the database.
 */
#include "store/misfit.h"

#include <string.h>

#include "store/db.h"

static const struct {
    int number;
    apr_status_t is;
} misfits[] = {
    { 1267, APR_EINVAL },       /* ER_CANT_AGGREGATE_2COLLATIONS */
    { 1270, APR_EINVAL },       /* ER_CANT_AGGREGATE_3COLLATIONS */
    { 1271, APR_EINVAL },       /* ER_CANT_AGGREGATE_NCOLLATIONS */
    { 1300, APR_EINVAL },       /* ER_INVALID_CHARACTER_STRING */
    { 1366, APR_EINVAL },       /* ER_TRUNCATED_WRONG_VALUE_FOR_FIELD */
    { 1406, APR_ENAMETOOLONG }, /* ER_DATA_TOO_LONG */
    { 1977, APR_EINVAL },       /* MariaDB: ER_CANNOT_CONVERT_CHARACTER */
    { 3854, APR_EINVAL },       /* MySQL: ER_CANNOT_CONVERT_STRING */
    { 3988, APR_EINVAL }        /* MySQL: ER_IMPOSSIBLE_STRING_CONVERSION */
};

apr_status_t misfit_of(const db_statement_t *statement, int number)
{
    apr_size_t i;

    /* Without a text from outside, the tables don't go together. */
    for (i = 0; strstr(statement->sql, "%s") != NULL
         && i < sizeof(misfits) / sizeof(misfits[0]); i++) {
        if (misfits[i].number == number) {
            return misfits[i].is;
        }
    }
    return APR_SUCCESS;
}
