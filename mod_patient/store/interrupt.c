/*
 * interrupt.c - has the server end what other connections ask of it.
 */
#include "store/interrupt.h"

#include <apr_strings.h>
#include <mysql.h>

#include "store/connect.h"

/* A lock of the server's, for all that share it: it is free again when its
 * connection ends, however that ends. Whoever finds it kept for too long takes
 * turns by the next one, or all who waited would go on at the same moment. */
#define TAKE_TURN \
    "DO GET_LOCK('patient.interrupt', 1)" \
    " OR GET_LOCK('patient.interrupt.late', 1)"

apr_status_t interrupt_open(struct st_mysql **mysql, dberror_t *error,
                            apr_interval_time_t timeout, apr_pool_t *pool)
{
    apr_status_t rv = connect_open(mysql, error, NULL, 0, timeout, pool);

    if (rv == APR_SUCCESS) {
        mysql_query(*mysql, TAKE_TURN);
    }
    return rv;
}

apr_status_t interrupt_query(struct st_mysql *mysql, unsigned long thread)
{
    char order[40];

    apr_snprintf(order, sizeof(order), "KILL QUERY %lu", thread);
    return mysql_query(mysql, order) == 0 ? APR_SUCCESS : APR_EGENERAL;
}
