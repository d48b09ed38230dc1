/*
 * attempt.c - one connection of mod_dbd, tried for until there is a living
 * one or none to be had.
 */
#include "store/attempt.h"

#include <string.h>
#include <sys/socket.h>

#include <errmsg.h>

#include "conf.h"
#include "decoy.h"
#include "incident_impact.h"
#include "store/connect.h"
#include "store/dberror.h"
#include "vitals.h"

/* How long mod_dbd takes at most (connect-timeout in the option file). */
#define CONNECT_TIMEOUT apr_time_from_sec(2)

/* How long finding out by ourselves why mod_dbd got nowhere may take. The
 * server has just answered. */
#define REASON_TIMEOUT apr_time_from_sec(2)

/* So often both may be tried in turn, where a place comes free and is taken
 * again in between. */
#define ASK_MAX 3

/* Where a connection is to be made. */
typedef struct way_t {
    int place;                  /* its number: each incident has another; 0: as
                                 * configured, and there is no more of it */
    const char *host;
    int port;
    apr_interval_time_t timeout;
} way_t;

/* What is being tried, and what came of it. */
typedef struct attempt_t {
    db_session_t *session;
    apr_time_t deadline;
    way_t way;
    breaker_role_e role;
    int has_asked;              /* so often a connection of our own got through
                                 * where mod_dbd's did not */
    int in_vain;                /* idle ones that were not there after all */
    dberror_t error;
} attempt_t;

/* Whether mod_dbd's words mean that a connection could not be made, and not
 * that an idle one turned out dead. */
static const char *connect_failure(const char *words, breaker_role_e role)
{
    const char *reason;

    if (words[0] == '\0' && role == BREAKER_MAKE_NEW) {
        return words;           /* its LogLevel silences it */
    }
    if (strncmp(words, "Can't connect to ", 17) != 0) {
        return NULL;
    }
    reason = strstr(words, ": ");
    return reason ? reason + 2 : words;
}

/* Looks where the database is believed to be, which is the wrong place. */
static void look_elsewhere(attempt_t *attempt)
{
    const way_t *way = &attempt->way;
    apr_pool_t *pool = attempt->session->pool;
    MYSQL *mysql;

    if (connect_open(&mysql, &attempt->error, way->host, way->port,
                     way->timeout, pool) == APR_SUCCESS) {
        dberror_set(&attempt->error, CR_SERVER_LOST, NULL,
                    "not the database that was looked for", way->host,
                    way->port, pool);
    }
}

static void explain(attempt_t *attempt, unsigned int number,
                    const char *sqlstate, const char *words)
{
    const patient_conf_t *conf = patient_conf(attempt->session->db->s);

    dberror_set(&attempt->error, number, sqlstate, words,
                conf->database_host, (int)conf->database_port,
                attempt->session->pool);
}

/* A server speaks whatever language it is set to, and mod_dbd keeps its number
 * to itself: only a connection of our own tells.  The same words need not be
 * asked about twice.
 * @return 0: our own got through, so that mod_dbd's may, too */
static int learn_reason(attempt_t *attempt, const char *words)
{
    db_t *db = attempt->session->db;
    apr_pool_t *pool = attempt->session->pool;
    const patient_conf_t *conf = patient_conf(db->s);
    dberror_t asked;
    MYSQL *mysql;

    dberror_parse(&attempt->error, words, conf->database_host,
                  (int)conf->database_port, pool);
    if (dberror_is_clients(attempt->error.number)) {
        return 1;
    }
    breaker_reason(&asked, db->breaker, 0, pool);
    if (asked.number != 0 && strcmp(asked.native, words) == 0) {
        explain(attempt, asked.number, asked.sqlstate, words);
        return 1;
    }
    if (connect_open(&mysql, &asked, NULL, 0, REASON_TIMEOUT, pool)
        == APR_SUCCESS) {
        return ++attempt->has_asked > ASK_MAX;
    }
    /* Other words are about something else: mod_dbd may have parameters that
     * we know nothing of. */
    if (words[0] == '\0' || strcmp(asked.native, words) == 0) {
        explain(attempt, asked.number, asked.sqlstate, asked.native);
    }
    return 1;
}

/* A connection that the server lets nobody use is none. */
static void reject_made(attempt_t *attempt, const pool_made_t *made,
                        ap_dbd_t *dbd)
{
    db_t *db = attempt->session->db;
    MYSQL *mysql = apr_dbd_native_handle(dbd->driver, dbd->handle);

    explain(attempt, made->number, made->sqlstate, made->words);
    connections_reject(db->connections, (int)mysql_get_socket(mysql),
                       dbd->pool);
    pool_leave_dbd(db, dbd, 0);
}

/* An open connection is ours, unless it is in doubt: then it goes back, and is
 * found dead. */
static int take_over(attempt_t *attempt, ap_dbd_t *dbd)
{
    db_session_t *session = attempt->session;
    MYSQL *mysql = apr_dbd_native_handle(dbd->driver, dbd->handle);

    session->connection = connections_lend(session->db->connections,
                                           (int)mysql_get_socket(mysql),
                                           dbd->pool);
    if (session->connection == NULL) {
        pool_leave_dbd(session->db, dbd, 0);
        return 0;
    }
    session->dbd = dbd;
    session->mysql = mysql;
    return 1;
}

/* Asks mod_dbd once.  An idle connection that is dead says that others are,
 * which then need not be waited for.
 * @return whether the database is not to be reached, error being set */
static int ask_dbd(attempt_t *attempt, breaker_outcome_t *outcome)
{
    db_session_t *session = attempt->session;
    const char *failure;
    pool_made_t made;
    char words[512];
    ap_dbd_t *dbd = pool_ask_dbd(&made, words, sizeof(words), session->db,
                                 session->pool);

    if (dbd != NULL) {
        outcome->took_idle = !made.is_made;
        outcome->left_dead = made.number != 0;
        if (made.number != 0) {
            reject_made(attempt, &made, dbd);
            return 1;
        }
        outcome->is_open = take_over(attempt, dbd);
        return 0;
    }
    failure = connect_failure(words, attempt->role);
    if (failure != NULL) {
        return learn_reason(attempt, failure);
    }
    outcome->took_idle = 1;
    connections_lost(session->db->connections, NULL);
    return 0;
}

/* mod_dbd takes its time to connect, whoever has how much of it left: who is in
 * a hurry tries without it, first.
 * @return whether it is too late, error being set */
static int is_too_late(attempt_t *attempt)
{
    apr_interval_time_t left = attempt->deadline - vitals_now();
    MYSQL *mysql;

    return attempt->role == BREAKER_MAKE_NEW && left < CONNECT_TIMEOUT
        && connect_open(&mysql, &attempt->error, NULL, 0, left,
                        attempt->session->pool) != APR_SUCCESS;
}

/* Looks where the database is.  Who was promised an idle connection again and
 * again, and finds none, has been told wrong: mod_dbd drops them itself, then.
 * @return whether it is not to be reached */
static int look_here(attempt_t *attempt, breaker_outcome_t *outcome)
{
    int has_failed = is_too_late(attempt) || ask_dbd(attempt, outcome);

    if (has_failed && attempt->role != BREAKER_MAKE_NEW) {
        attempt->in_vain++;
    }
    outcome->is_closed = has_failed
        && attempt->in_vain < attempt->session->db->max
        && dberror_is_closed(&attempt->error);
    return has_failed;
}

/* One attempt in a role; a failure is logged.
 * @return whether that is the end: it is open, or will not be */
static int try_role(attempt_t *attempt)
{
    breaker_outcome_t outcome = { 0 };
    int has_failed = 1, is_hope;

    if (attempt->way.place != 0) {
        look_elsewhere(attempt);
    }
    else {
        has_failed = look_here(attempt, &outcome);
    }
    outcome.error = has_failed ? &attempt->error : NULL;
    is_hope = breaker_settle(attempt->session->db->breaker, attempt->role,
                             attempt->way.place, &outcome);
    if (has_failed) {
        db_log_error(&attempt->error);
    }
    return !is_hope;
}

static int place_of(const incident_t *incident)
{
    return (int)(incident->serial & 0xffffff) * INCIDENT_SLOTS
        + (int)(incident - incident_slots()) + 1;
}

/* Where to look for the database now. */
static void find_way(way_t *way, apr_pool_t *pool)
{
    incident_t *incident = incident_at(CHAOS_FAULT_ENDPOINT);

    memset(way, 0, sizeof(*way));
    if (incident != NULL) {
        way->place = place_of(incident);
        decoy_endpoint(&way->host, &way->port, &way->timeout,
                       incident_args(incident, pool));
        incident_bite(incident);
    }
}

apr_status_t attempt_open(db_session_t *session, db_t *db,
                          apr_time_t deadline)
{
    attempt_t attempt = { .session = session, .deadline = deadline };
    dberror_t error;

    session->db = db;
    session->dbd = NULL;
    session->refusal = NULL;
    find_way(&attempt.way, session->pool);
    while ((attempt.role = breaker_take(db->breaker, attempt.way.place,
                                        deadline)) != BREAKER_TOLD) {
        if (try_role(&attempt)) {
            return session->dbd ? APR_SUCCESS : APR_EGENERAL;
        }
    }
    breaker_reason(&error, db->breaker, attempt.way.place, session->pool);
    db_log_error(&error);
    return APR_EGENERAL;
}
