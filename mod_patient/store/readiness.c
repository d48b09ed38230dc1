/*
 * readiness.c - whether the database answers, and takes writes.
 */
#include "store/db.h"

#include <string.h>

#include "conf.h"
#include "store/connect.h"
#include "store/pool.h"
#include "store/refusal.h"
#include "vitals.h"

#define AWAIT_STEP apr_time_from_msec(100)

/* What no account may write to; EXPLAIN does not tell. */
#define ASK_READ_ONLY "SELECT @@innodb_read_only"

/* What a write would get for it: ER_OPTION_PREVENTS_STATEMENT. */
#define ERROR_READ_ONLY 1290

#define ERROR_NO_COLUMN 1054    /* ER_BAD_FIELD_ERROR */
#define ERROR_NO_TABLE 1146     /* ER_NO_SUCH_TABLE */

/* Who waits for a table that somebody keeps is not to be kept waiting, too:
 * that table is there. Not at all, with MariaDB, and for a second with MySQL,
 * which knows no less. */
#define WAIT_BRIEFLY "SET lock_wait_timeout = 1 /*M! - 1 */"
#define WAIT_AS_USUAL "SET lock_wait_timeout = DEFAULT"

/* As a table: MySQL's own choice, a tree, fails for a view that is written. */
#define EXPLAIN "EXPLAIN FORMAT=TRADITIONAL "

/* What the patient writes. Explained, a statement does nothing, and is refused
 * for whatever reason it would be: a server, schema or session that is
 * read-only, but not to this account; a right or a table that is missing. */
static const char *const writes[] = {
    EXPLAIN "INSERT INTO posts (user_id, title, content, created_at, "
    "updated_at) SELECT id, '', '', NOW(), NOW() FROM users WHERE 1 = 0",
    EXPLAIN "DELETE FROM posts WHERE 1 = 0",
    EXPLAIN "INSERT INTO users (email, password, name, created_at, "
    "updated_at) VALUES ('', '', '', NOW(), NOW())",
    NULL
};

typedef struct answer_t {
    unsigned int number;        /* why there is none, or 0 */
    int is_about_writes;
} answer_t;

/* @param row whether there is one, whose first column is not 0
 * @return MySQL's number, kept with its reason, or 0 */
static unsigned int ask(int *row, db_session_t *session, const char *sql)
{
    MYSQL *mysql = session->mysql;
    MYSQL_RES *result = NULL;
    MYSQL_ROW first;
    unsigned int number;

    *row = 0;
    if (mysql_query(mysql, sql) == 0) {
        result = mysql_store_result(mysql);
    }
    number = mysql_errno(mysql);
    if (number != 0) {
        refusal_keep(session, (int)number);
    }
    if (result != NULL) {
        first = mysql_fetch_row(result);
        *row = first != NULL && first[0] != NULL && first[0][0] != '0';
        mysql_free_result(result);
    }
    return number;
}

static void ask_writes(answer_t *answer, db_session_t *session)
{
    int row, i;

    answer->is_about_writes = 1;
    ask(&row, session, WAIT_BRIEFLY);
    for (i = 0; writes[i] != NULL && answer->number == 0; i++) {
        answer->number = ask(&row, session, writes[i]);
    }
    if (answer->number == 0
        || dberror_verdict(answer->number, session->refusal->sqlstate)
           != DBERROR_IS_LOST) {
        dberror_t *refusal = session->refusal;

        ask(&row, session, WAIT_AS_USUAL);
        session->refusal = refusal;
    }
}

static void ask_all(answer_t *answer, db_session_t *session)
{
    const patient_conf_t *conf = patient_conf(session->db->s);
    int is_read_only;

    memset(answer, 0, sizeof(*answer));
    answer->number = ask(&is_read_only, session, ASK_READ_ONLY);
    if (is_read_only) {
        answer->number = ERROR_READ_ONLY;
        answer->is_about_writes = 1;
        session->refusal = apr_palloc(session->pool, sizeof(dberror_t));
        dberror_set(session->refusal, ERROR_READ_ONLY, "HY000",
                    "the server says that it is read-only",
                    conf->database_host, (int)conf->database_port,
                    session->pool);
    }
    else if (answer->number == 0) {
        ask_writes(answer, session);
    }
}

/* @param again whether an answer over another connection may differ */
static apr_status_t judge_answer(int *again, const answer_t *answer,
                                 db_session_t *session, int attempt)
{
    dberror_verdict_e verdict = answer->number == 0 ? DBERROR_IS_GOOD
        : refusal_judge(session, (int)answer->number);

    *again = 0;
    if (verdict < DBERROR_IS_SUSPECT && answer->number != ERROR_NO_TABLE
        && answer->number != ERROR_NO_COLUMN) {
        return APR_SUCCESS;     /* it answers, if not to this question */
    }
    *again = refusal_is_worth_another(session, (int)answer->number, attempt,
                                      1);
    return verdict != DBERROR_IS_LOST && answer->is_about_writes
        ? DB_READ_ONLY : APR_EGENERAL;
}

apr_status_t db_check(db_t *db, apr_interval_time_t patience,
                      apr_pool_t *pool)
{
    apr_time_t deadline = vitals_now() + patience;
    gate_entry_t entry = { .line = GATE_BOUNDED };
    apr_status_t rv;
    int attempt, again;

    for (attempt = 0; ; attempt++) {
        db_session_t session;
        answer_t answer;

        entry.patience = deadline - vitals_now();
        rv = pool_borrow_as(&session, db, &entry, pool);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        connect_set_timeout(session.mysql, deadline - vitals_now());
        ask_all(&answer, &session);
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
