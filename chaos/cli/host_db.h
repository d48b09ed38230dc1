/*
 * host_db.h - the database of a host without a server: a pool of its own.
 */
#ifndef CHAOS_CLI_HOST_DB_H
#define CHAOS_CLI_HOST_DB_H

#include <pthread.h>

#include "chaos/chaos.h"

struct dberror_t;
struct event_t;
struct gate_t;
struct st_mysql;

#define HOST_DB_CONNECT_TIMEOUT apr_time_from_sec(2)

/** An errand of the operator's may take longer than a request's. */
#define HOST_DB_PATIENCE apr_time_from_sec(75)

typedef enum {
    HOST_DB_IDLE,
    HOST_DB_LENT,
    HOST_DB_ASKED               /* the server works on a query of it */
} host_db_use_e;

/** One place of the pool. */
struct chaos_db_t {
    struct st_mysql *mysql;     /* NULL: none yet, or lost */
    apr_pool_t *own;            /* the connection's: it outlives the thread
                                 * that made it */
    host_db_use_e use;
    int is_told;                /* the server was told to end that query */
};

/** A pool like the patient's: a gate, and connections that are kept. */
typedef struct host_db_t {
    struct gate_t *gate;
    pthread_mutex_t telling;    /* who has it ends queries, one by one */
    pthread_mutex_t lock;       /* guards what the connections are used for */
    pthread_cond_t changed;     /* one is used for something else now */
    chaos_db_t *connections;    /* as many as the gate has permits */
    int count;
    apr_uint32_t waiting_told;  /* that they are waited for */
} host_db_t;

/** Fills in what has to do with the database. The pool has DB_POOL_MAX
 * connections, or ten; they are closed with pool. */
apr_status_t host_db_fill(chaos_host_t *host, host_db_t *db,
                          apr_pool_t *pool);

/** The pool of a host (host.c knows where it is). */
host_db_t *host_db_of(chaos_host_t *host);

/** What a place is used for from now on. */
void host_db_use(host_db_t *db, chaos_db_t *place, host_db_use_e use);

/** Logs a failure of the database.
 * @param failure filled from pool, if not NULL */
void host_db_report(const struct dberror_t *error, chaos_failure_t *failure,
                    apr_pool_t *pool);

/** Can be read from once a signal has asked the process to stop; nobody
 * does read. */
int host_wake(void);

/** Ends an event and writes its line to stderr. */
void host_write(struct event_t *event);

#endif
