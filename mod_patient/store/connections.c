/*
 * connections.c - which connections of a pool may still be trusted.
 */
#include "store/connections.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_ring.h>
#include <apr_thread_mutex.h>

#include "vitals.h"

#define LIFE_KEY "patient.connection"

/* After a new connection was declined as well, no other is tried for so long:
 * it is no matter of the connection, and each attempt costs the whole pool. */
#define DECLINED_SPAN apr_time_from_sec(1)

struct connection_t {
    APR_RING_ENTRY(connection_t) link;
    connections_t *all;
    int fd;                     /* of our own: the client library closes its
                                 * own when it fails, and then that number
                                 * may be anybody's */
    int is_lent;
    int is_doubted;
};

/* Whether the connection that this thread saw destroyed last was in doubt. */
static __thread int forgot_doubted;

struct connections_t {
    apr_thread_mutex_t *mutex;  /* guards what follows, and each connection */
    APR_RING_HEAD(connection_ring_t, connection_t) ring;
    apr_time_t declined_until;
};

apr_status_t connections_create(connections_t **out, apr_pool_t *pool)
{
    connections_t *connections = apr_pcalloc(pool, sizeof(*connections));

    APR_RING_INIT(&connections->ring, connection_t, link);
    *out = connections;
    return apr_thread_mutex_create(&connections->mutex,
                                   APR_THREAD_MUTEX_DEFAULT, pool);
}

/* The connection's pool is being destroyed. */
static apr_status_t forget_connection(void *data)
{
    connection_t *connection = data;
    connections_t *all = connection->all;

    apr_thread_mutex_lock(all->mutex);
    APR_RING_REMOVE(connection, link);
    forgot_doubted = connection->is_doubted;
    apr_thread_mutex_unlock(all->mutex);
    if (connection->fd >= 0) {
        close(connection->fd);
    }
    return APR_SUCCESS;
}

static connection_t *find_connection(connections_t *connections, int fd,
                                     apr_pool_t *life)
{
    void *known = NULL;
    connection_t *connection;

    if (apr_pool_userdata_get(&known, LIFE_KEY, life) == APR_SUCCESS
        && known != NULL) {
        return known;
    }
    connection = apr_pcalloc(life, sizeof(*connection));
    connection->all = connections;
    connection->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    apr_pool_userdata_setn(connection, LIFE_KEY, NULL, life);
    apr_thread_mutex_lock(connections->mutex);
    APR_RING_INSERT_TAIL(&connections->ring, connection, connection_t, link);
    apr_thread_mutex_unlock(connections->mutex);
    apr_pool_cleanup_register(life, connection, forget_connection,
                              apr_pool_cleanup_null);
    return connection;
}

connection_t *connections_lend(connections_t *connections, int fd,
                               apr_pool_t *life)
{
    connection_t *connection = find_connection(connections, fd, life);
    int is_doubted;

    apr_thread_mutex_lock(connections->mutex);
    is_doubted = connection->is_doubted;
    connection->is_lent = !is_doubted;
    apr_thread_mutex_unlock(connections->mutex);
    if (is_doubted) {
        shutdown(fd, SHUT_RDWR);    /* for want of one of our own, perhaps */
    }
    return is_doubted ? NULL : connection;
}

void connections_reject(connections_t *connections, int fd, apr_pool_t *life)
{
    connection_t *connection = find_connection(connections, fd, life);

    apr_thread_mutex_lock(connections->mutex);
    connection->is_doubted = 1;
    apr_thread_mutex_unlock(connections->mutex);
    shutdown(fd, SHUT_RDWR);
}

void connections_return(connections_t *connections, connection_t *connection)
{
    apr_thread_mutex_lock(connections->mutex);
    connection->is_lent = 0;
    if (connection->is_doubted) {
        shutdown(connection->fd, SHUT_RDWR);
    }
    apr_thread_mutex_unlock(connections->mutex);
}

/* With the lock held. */
static void doubt_all(connections_t *connections)
{
    connection_t *connection;

    for (connection = APR_RING_FIRST(&connections->ring);
         connection != APR_RING_SENTINEL(&connections->ring, connection_t,
                                         link);
         connection = APR_RING_NEXT(connection, link)) {
        if (!connection->is_doubted && !connection->is_lent) {
            shutdown(connection->fd, SHUT_RDWR);
        }
        connection->is_doubted = 1;
    }
}

void connections_lost(connections_t *connections, connection_t *connection)
{
    apr_thread_mutex_lock(connections->mutex);
    if (!(connection ? connection->is_doubted : forgot_doubted)) {
        doubt_all(connections);
    }
    forgot_doubted = 0;
    apr_thread_mutex_unlock(connections->mutex);
}

int connections_declined(connections_t *connections, connection_t *connection,
                         int is_new)
{
    apr_time_t now = vitals_now();
    int is_worth;

    apr_thread_mutex_lock(connections->mutex);
    if (is_new) {
        connections->declined_until = now + DECLINED_SPAN;
    }
    is_worth = now >= connections->declined_until;
    if (is_worth && !connection->is_doubted) {
        doubt_all(connections);
    }
    apr_thread_mutex_unlock(connections->mutex);
    return is_worth;
}
