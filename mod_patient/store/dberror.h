/*
 * dberror.h - what a database failure is called.
 *
 * A failure has two names: the truth of the client library (number, SQLSTATE,
 * its words) and the dialect that the log's readers know from the Node
 * original (Sequelize's class names, Node's codes).  Both stand side by side
 * in the log; this is the one place that translates.  No httpd in here.
 */
#ifndef PATIENT_STORE_DBERROR_H
#define PATIENT_STORE_DBERROR_H

#include <apr_pools.h>

struct event_t;

typedef struct dberror_t {
    unsigned int number;        /* MySQL's; 0 when not known */
    const char *sqlstate;       /* five characters; "" when not known */
    const char *native;         /* the library's or server's own words */
    const char *name;           /* "SequelizeConnectionRefusedError" */
    const char *code;           /* "ECONNREFUSED", "ER_ACCESS_DENIED_ERROR" */
    const char *message;        /* "connect ECONNREFUSED db.example:3306" */
    const char *host;
    int port;
    const char *hint;           /* a constant: what to do, where somebody can
                                 * do something; or NULL */
    unsigned int is_connection : 1;  /* the database was not reached, turned
                                      * us away, went away, or does not do
                                      * its work: no statement's fault */
} dberror_t;

/**
 * Fills error from what the client library reports.
 * @param sqlstate may be NULL
 * @param native copied into pool, as host is
 * @param host NULL if the caller does not know: taken from the words then,
 *        where they name one
 * @param port 0 if not known
 */
void dberror_set(dberror_t *error, unsigned int number, const char *sqlstate,
                 const char *native, const char *host, int port,
                 apr_pool_t *pool);

/**
 * The same where only the words came through (mod_dbd logs them and keeps
 * the number to itself): finds the number from the words.  mod_dbd speaks of
 * connections only, so words that are not known mean a failed connection.
 */
void dberror_parse(dberror_t *error, const char *native, const char *host,
                   int port, apr_pool_t *pool);

/** What a failed statement says of the connection that it ran on. */
typedef enum dberror_verdict_e {
    DBERROR_IS_GOOD,            /* nothing: it is the statement's failure */
    DBERROR_IS_VICTIM,          /* nothing, and it is no failure: others were
                                 * in its way, and it is undone */
    DBERROR_IS_SUSPECT,         /* the server refused, and has done nothing;
                                 * over a new connection it may not */
    DBERROR_IS_LOST             /* it is gone; nobody knows what the server
                                 * still did */
} dberror_verdict_e;

/** @param sqlstate may be NULL; judges numbers that are not known */
dberror_verdict_e dberror_verdict(unsigned int number, const char *sqlstate);

/** 1 if no new connection can be made, for a reason that says nothing of those
 * that are open: the server lets nobody else in, or its name means nothing to
 * the resolver. */
int dberror_is_closed(const dberror_t *error);

/** 1 if this number is the client library's own, and no server's: its words
 * are the same in every language. */
int dberror_is_clients(unsigned int number);

/** The event's type: "DB CONNECTION ERROR" or "DB QUERY ERROR". */
const char *dberror_type(const dberror_t *error);

/** "name: message", from pool. */
const char *dberror_text(const dberror_t *error, apr_pool_t *pool);

/** Adds error, parent, code, host, port, mysql_errno, sqlstate, native,
 * hint. */
void dberror_describe(const dberror_t *error, struct event_t *event);

#endif
