/*
 * refusal.h - what a statement's failure means for its connection.
 *
 * A server that became read-only, or that lets an account do less than before,
 * declines what its successor would do; and old connections lead to it for as
 * long as they live.  For store/ alone.
 */
#ifndef PATIENT_STORE_REFUSAL_H
#define PATIENT_STORE_REFUSAL_H

#include "store/dberror.h"
#include "store/pool.h"

/** Keeps why the last statement failed, which the next call would clear. */
void refusal_keep(db_session_t *session, int number);

/** By the statement's number and the connection's; the graver one counts. */
dberror_verdict_e refusal_judge(db_session_t *session, int number);

/**
 * Has a suspect connection go, and those of its time.  Logs the failure,
 * unless the statement is to be tried once more.
 * @param number of the statement, as apr_dbd returns it
 * @param attempt 0 for the first
 * @param is_harmless it did certainly not run, or may well run twice
 * @return 1 if another attempt is worth while, once the session is given back
 */
int refusal_is_worth_another(db_session_t *session, int number, int attempt,
                             int is_harmless);

#endif
