/*
 * refusal.c - what a statement's failure means for its connection.
 */
#include "store/refusal.h"

#include "conf.h"

/* apr_dbd returns MySQL's number; the connection knows the rest, unless the
 * error is the statement's own. */
void refusal_keep(db_session_t *session, int number)
{
    const patient_conf_t *conf = patient_conf(session->db->s);
    unsigned int last = mysql_errno(session->mysql);

    session->refusal = apr_palloc(session->pool, sizeof(dberror_t));
    dberror_set(session->refusal, last ? last : (unsigned int)number,
                mysql_sqlstate(session->mysql), mysql_error(session->mysql),
                conf->database_host, (int)conf->database_port,
                session->pool);
}

dberror_verdict_e refusal_judge(db_session_t *session, int number)
{
    dberror_verdict_e own, last;

    if (session->refusal == NULL) {
        refusal_keep(session, number);
    }
    own = dberror_verdict((unsigned int)number, session->refusal->sqlstate);
    last = dberror_verdict(session->refusal->number,
                           session->refusal->sqlstate);
    return own > last ? own : last;
}

int refusal_is_worth_another(db_session_t *session, int number, int attempt,
                             int is_harmless)
{
    int again = 0;

    switch (refusal_judge(session, number)) {
    case DBERROR_IS_LOST:
        pool_lost(session);
        again = is_harmless && attempt == 0;
        break;
    case DBERROR_IS_VICTIM:
        again = attempt == 0;
        break;
    case DBERROR_IS_SUSPECT:
        again = pool_declined(session, attempt > 0);
        break;
    default:
        break;
    }
    if (!again) {
        db_log_error(session->refusal);
    }
    return again;
}
