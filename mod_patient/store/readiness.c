/*
 * readiness.c - whether the database answers, and takes writes.
 */
#include "store/db.h"

#include "conf.h"
#include "store/connect.h"
#include "store/pool.h"
#include "store/refusal.h"
#include "vitals.h"

#define AWAIT_STEP apr_time_from_msec(100)

/* Whether a write by this account would be declined.  What only MySQL has, or
 * only MariaDB, stands where only that one reads it.  Who has one of the
 * privileges writes in spite of read_only; in spite of the others, nobody. */
#define ASK_READ_ONLY \
    "SELECT @@innodb_read_only " \
    "/*!80000 OR @@super_read_only OR @@transaction_read_only */ " \
    "/*M! OR @@tx_read_only */ " \
    "OR (@@read_only NOT IN ('0', 'OFF') AND NOT EXISTS (" \
    "SELECT 1 FROM information_schema.user_privileges " \
    "WHERE privilege_type IN ('READ_ONLY ADMIN', 'READ ONLY ADMIN', " \
    "'CONNECTION_ADMIN' /*!80000 , 'SUPER' */) " \
    "AND REPLACE(grantee, '''', '') = CURRENT_USER()))"

/* What a write would get: ER_OPTION_PREVENTS_STATEMENT. */
#define ERROR_READ_ONLY 1290

typedef struct answer_t {
    unsigned int number;        /* why there is none, or 0 */
    int is_read_only;
} answer_t;

static void ask(answer_t *answer, MYSQL *mysql)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;

    memset(answer, 0, sizeof(*answer));
    if (mysql_query(mysql, ASK_READ_ONLY) != 0
        || (result = mysql_store_result(mysql)) == NULL) {
        answer->number = mysql_errno(mysql);
        return;
    }
    row = mysql_fetch_row(result);
    answer->is_read_only = row != NULL && row[0] != NULL && row[0][0] != '0';
    mysql_free_result(result);
}

static void log_read_only(db_session_t *session)
{
    const patient_conf_t *conf = patient_conf(session->db->s);
    dberror_t error;

    dberror_set(&error, ERROR_READ_ONLY, "HY000",
                "the server says that it is read-only", conf->database_host,
                (int)conf->database_port, session->pool);
    db_log_error(&error);
}

/* @param again whether an answer over another connection may differ */
static apr_status_t judge_answer(int *again, const answer_t *answer,
                                 db_session_t *session, int attempt)
{
    *again = 0;
    if (answer->is_read_only) {
        *again = pool_declined(session, attempt > 0);
        if (!*again) {
            log_read_only(session);
        }
        return DB_READ_ONLY;
    }
    if (answer->number == 0
        || refusal_judge(session, (int)answer->number) == DBERROR_IS_GOOD) {
        return APR_SUCCESS;     /* it answers, if not to this question */
    }
    *again = refusal_is_worth_another(session, (int)answer->number, attempt,
                                      1);
    return APR_EGENERAL;
}

apr_status_t db_check(db_t *db, apr_interval_time_t patience,
                      apr_pool_t *pool)
{
    gate_entry_t entry = { .patience = patience, .line = GATE_BOUNDED };
    apr_status_t rv;
    int attempt, again;

    for (attempt = 0; ; attempt++) {
        db_session_t session;
        answer_t answer;

        rv = pool_borrow_as(&session, db, &entry, pool);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        connect_set_timeout(session.mysql, patience);
        ask(&answer, session.mysql);
        rv = judge_answer(&again, &answer, &session, attempt);
        pool_give_back(&session);
        if (!again) {
            return rv;
        }
    }
}

apr_status_t db_await(db_t *db, apr_interval_time_t patience,
                      apr_pool_t *pool)
{
    apr_time_t deadline = vitals_now() + patience;
    apr_status_t rv;

    while ((rv = db_check(db, patience, pool)) != APR_SUCCESS
           && rv != DB_READ_ONLY) {
        if (vitals_now() + AWAIT_STEP > deadline) {
            return APR_TIMEUP;
        }
        apr_sleep(AWAIT_STEP);
    }
    return APR_SUCCESS;
}
