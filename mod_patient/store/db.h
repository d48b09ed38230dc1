/*
 * db.h - the database: mod_dbd's pool behind a gate with a deadline.
 *
 * mod_dbd waits for a connection for as long as it takes, and makes new ones
 * one after the other; so requests line up here instead, each for so long,
 * and while the database cannot be reached one of them tries and the others
 * are told at once.  Whatever goes wrong is logged here, once; the callers
 * only pass the status on.
 *
 * One db_t a child process; any thread may call.
 */
#ifndef PATIENT_STORE_DB_H
#define PATIENT_STORE_DB_H

#include <errno.h>

#include <httpd.h>
#include <apr_time.h>

#include "gate.h"

typedef struct db_t db_t;
struct dberror_t;

/** A row that is being read; valid until the function that got it returns. */
typedef struct db_row_t db_row_t;

/**
 * A statement, prepared on each connection when it is first used there.
 * Parameters as apr_dbd has them: %s (const char *), %lld (apr_int64_t *),
 * %d (int *); a literal percent sign is %%.
 */
typedef struct db_statement_t {
    const char *name;           /* unique; the connection's key for it */
    const char *sql;
} db_statement_t;

/** Registers for the connections that mod_dbd makes. In register_hooks. */
void db_register(void);

/** Finds mod_dbd's functions. When optional functions are retrieved. */
void db_find_functions(void);

/**
 * Tells libmariadb where its option file is (PatientDatabaseHome). In
 * child_init, before anything connects.
 */
void db_find_options(const server_rec *s);

/** The pool's size as configured (DBDMax). */
int db_max(const db_t *db);

/**
 * Opens the gate of this child. In child_init.
 * @param s the server whose DBD* directives are meant
 * @param waiters how many requests may wait for a connection at once
 */
apr_status_t db_create(db_t **db, server_rec *s, int waiters,
                       apr_pool_t *pchild);

/**
 * Reads rows; once more on another connection if the first one was lost, or
 * its server declined to.
 * @param args one pointer for each parameter
 * @param take called for each row; must copy what it keeps
 * @return APR_SUCCESS, also without a row; APR_EINVAL: a text in args cannot be
 *         compared with a column of another character set; anything else:
 *         logged
 */
apr_status_t db_read(db_t *db, const db_statement_t *statement,
                     const void **args,
                     void (*take)(void *baton, const db_row_t *row),
                     void *baton, apr_pool_t *pool);

/** What a write did. */
typedef struct db_written_t {
    int rows;
    apr_int64_t insert_id;
    int was_slow;               /* the server was waited for in vain: to try
                                 * again takes as long */
} db_written_t;

/**
 * Writes, in a transaction of its own; once more on another connection if the
 * statement did certainly not run on the first one.
 * @return APR_SUCCESS; APR_EEXIST: a unique key has this value already;
 *         APR_EINVAL, APR_ENAMETOOLONG: a column cannot take a text in args
 *         (see misfit.h);
 *         APR_INCOMPLETE: the connection was lost in between, so that nobody
 *         knows yet: look whether it is there; the statement does not run any
 *         more; anything else: nothing was written, or the database is away
 *         for too long to know (logged)
 */
apr_status_t db_write(db_t *db, const db_statement_t *statement,
                      const void **args, db_written_t *written,
                      apr_pool_t *pool);

/**
 * What this thread's statements took since the last call: for one request,
 * how many there were and how long the database worked on them.
 */
void db_take_statistics(int *queries, apr_interval_time_t *elapsed);

/* ---- one connection for several statements ---- */

typedef struct db_session_t db_session_t;

/**
 * Borrows a connection; one thread at a time.
 * @return APR_SUCCESS; APR_EINTR: entry->keep() said so; anything else:
 *         logged
 */
apr_status_t db_session_open(db_session_t **session, db_t *db,
                             const gate_entry_t *entry, apr_pool_t *pool);

/** Why the last attempt to connect failed; copied into pool. */
void db_last_error(struct dberror_t *error, db_t *db, apr_pool_t *pool);

/** Gives it back. */
void db_session_close(db_session_t *session);

/** How the server calls the connection. */
unsigned long db_session_thread(const db_session_t *session);

/** How long it waits for one answer, from now on. */
void db_session_patience(db_session_t *session,
                         apr_interval_time_t patience);

/**
 * Runs a statement of literals, with or without rows.
 * @return APR_SUCCESS; APR_EINTR: the server was told to end it; anything
 *         else: logged
 */
apr_status_t db_session_run(db_session_t *session, const char *sql,
                            void (*take)(void *baton, int columns,
                                         const char *const *values),
                            void *baton);

/* ---- is it there ---- */

/** What db_check() returns for a database that takes no writes now. */
#define DB_READ_ONLY APR_FROM_OS_ERROR(EROFS)

/**
 * Whether the database answers, and takes writes.
 * @param patience for waiting for a connection, and for the answer
 * @return APR_SUCCESS; DB_READ_ONLY: it answers; anything else: it does not
 *         (logged)
 */
apr_status_t db_check(db_t *db, apr_interval_time_t patience,
                      apr_pool_t *pool);

/** Waits until the database answers again, be it read-only. @return
 * APR_SUCCESS or, after patience, APR_TIMEUP */
apr_status_t db_await(db_t *db, apr_interval_time_t patience,
                      apr_pool_t *pool);

/** Counts and logs a failure, of whoever talked to the database. */
void db_log_error(const struct dberror_t *error);

/** A copy of a column's text in pool, however long, of a column of bytes as
 * well; a NUL in it is the byte 0xff, which no text has. NULL for NULL. */
const char *db_copy(const db_row_t *row, int column, apr_pool_t *pool);

/** A column's whole number, 0 for NULL. */
apr_int64_t db_int(const db_row_t *row, int column);

/** A time of a column, DATETIME or TIMESTAMP, that was CAST AS CHAR, with its
 * fraction; DATETIME_NONE for NULL and for a zero date. */
apr_time_t db_time(const db_row_t *row, int column);

#endif
