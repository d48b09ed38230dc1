/*
 * connections.c - after one is dead or declined, all of its time go, and those
 * made later stay.
 */
#include "store/connections.h"

#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>

#include "tap.h"

static apr_pool_t *root;

/* A connection as a pool has it. */
typedef struct made_t {
    int fd[2];
    apr_pool_t *life;
    connection_t *lent;
} made_t;

static connections_t *make_connections(void)
{
    connections_t *connections = NULL;

    if (connections_create(&connections, root) != APR_SUCCESS) {
        tap_ok(0, "they can be made");
    }
    return connections;
}

static void make(made_t *made, connections_t *connections)
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, made->fd) != 0) {
        tap_ok(0, "a pair of sockets can be made");
    }
    apr_pool_create(&made->life, root);
    made->lent = connections_lend(connections, made->fd[0], made->life);
}

static void destroy(made_t *made)
{
    apr_pool_destroy(made->life);
    close(made->fd[0]);
    close(made->fd[1]);
}

static int is_shut(const made_t *made)
{
    char byte;

    return recv(made->fd[1], &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_lost(void)
{
    connections_t *connections = make_connections();
    made_t idle, lent, dead, later;

    make(&idle, connections);
    make(&lent, connections);
    make(&dead, connections);
    connections_return(connections, idle.lent);
    tap_ok(!is_shut(&idle), "a good one that comes back stays");
    connections_lost(connections, dead.lent);
    tap_ok(is_shut(&idle), "one is lost: an idle one is shut down at once");
    tap_ok(!is_shut(&lent), "a lent one is not disturbed");
    make(&later, connections);
    tap_ok(connections_lend(connections, idle.fd[0], idle.life) == NULL,
           "who gets a doubtful one is told so");
    connections_return(connections, lent.lent);
    tap_ok(is_shut(&lent), "the lent one is shut down when it comes back");
    connections_lost(connections, dead.lent);
    connections_return(connections, later.lent);
    tap_ok(!is_shut(&later), "one that was made since stays");
    destroy(&idle);
    connections_lost(connections, NULL);
    tap_ok(!is_shut(&later), "a doubtful one found dead proves nothing");
    destroy(&dead);
    destroy(&lent);
    later.lent = connections_lend(connections, later.fd[0], later.life);
    make(&idle, connections);
    connections_return(connections, idle.lent);
    destroy(&later);
    connections_lost(connections, NULL);
    tap_ok(is_shut(&idle), "a good one found dead puts the others in doubt");
    destroy(&idle);
}

/* The client library closes a socket that failed; its number is then given to
 * whatever is opened next. */
static void test_number_reused(void)
{
    connections_t *connections = make_connections();
    made_t dead;
    int other[2];

    make(&dead, connections);
    close(dead.fd[0]);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, other) != 0) {
        tap_ok(0, "a pair of sockets can be made");
    }
    tap_is(other[0], dead.fd[0], "a number is given out again");
    connections_lost(connections, dead.lent);
    connections_return(connections, dead.lent);
    tap_is((int)send(other[0], "x", 1, MSG_NOSIGNAL), 1,
           "who has it now is not disturbed");
    apr_pool_destroy(dead.life);
    tap_is((int)send(other[0], "x", 1, MSG_NOSIGNAL), 1,
           "nor when the old one goes");
    close(dead.fd[1]);
    close(other[0]);
    close(other[1]);
}

static void test_declined(void)
{
    connections_t *connections = make_connections();
    made_t first, second;

    make(&first, connections);
    make(&second, connections);
    connections_return(connections, second.lent);
    tap_is(connections_declined(connections, first.lent, 0), 1,
           "one is declined: a new one is worth an attempt");
    tap_ok(is_shut(&second), "and the others go");
    destroy(&second);
    make(&second, connections);
    tap_is(connections_declined(connections, second.lent, 1), 0,
           "the new one is declined as well: that is that");
    destroy(&first);
    make(&first, connections);
    tap_is(connections_declined(connections, first.lent, 0), 0,
           "and for others, too, for a while");
    connections_return(connections, first.lent);
    connections_return(connections, second.lent);
    tap_ok(!is_shut(&first) && !is_shut(&second), "so these stay");
    destroy(&first);
    destroy(&second);
}

static void test_rejected(void)
{
    connections_t *connections = make_connections();
    made_t good, bad = { .life = NULL };

    make(&good, connections);
    connections_return(connections, good.lent);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, bad.fd) != 0) {
        tap_ok(0, "a pair of sockets can be made");
    }
    apr_pool_create(&bad.life, root);
    connections_reject(connections, bad.fd[0], bad.life);
    tap_ok(is_shut(&bad), "one that is rejected is shut down");
    destroy(&bad);
    connections_lost(connections, NULL);
    tap_ok(!is_shut(&good), "and when it is found dead, no other is");
    destroy(&good);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&root, NULL);
    test_lost();
    test_number_reused();
    test_declined();
    test_rejected();
    apr_terminate();
    return tap_done();
}
