/*
 * connect.c - how a connection fails, over real sockets, against servers that
 * say just as much of MySQL's protocol as each failure takes.
 */
#include "store/connect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <mysql.h>

#include "tap.h"

#define LOOPBACK "127.0.0.1"

static apr_pool_t *pool;
static char home[] = "/tmp/patient-connect-XXXXXX";

typedef enum {
    SILENT,             /* accepts, and never says a word */
    CLOSES,             /* accepts, and hangs up */
    IS_FULL,            /* has too many connections */
    DENIES,             /* greets, and turns the password down */
    STALLS,             /* greets, and falls silent */
    WELCOMES            /* lets in, and answers no query */
} manner_e;

/* A server for one connection. */
typedef struct server_t {
    manner_e manner;
    int listener;
    int port;
    char login[512];    /* what the client said about itself */
    ssize_t login_len;
    pthread_t thread;
} server_t;

/* Protocol 4.1, without TLS, mysql_native_password: as MariaDB greets. */
static const char greeting[] =
    "\x4b\0\0\0" "\x0a" "10.11.0\0" "\x01\0\0\0" "12345678\0" "\x09\xa2" "\x08"
    "\x02\0" "\x08\0" "\x15" "\0\0\0\0\0\0\0\0\0\0" "123456789012\0"
    "mysql_native_password";
static const char too_many[] =
    "\x1d\0\0\0" "\xff" "\x10\x04" "#08004" "Too many connections";
static const char denied[] =
    "\x1f\0\0\x02" "\xff" "\x15\x04" "#28000" "Access denied for user";
static const char welcome[] = "\x07\0\0\x02" "\0\0\0" "\x02\0" "\0";

static void say(int fd, const char *packet, apr_size_t size)
{
    if (send(fd, packet, size, MSG_NOSIGNAL) != (ssize_t)size) {
        printf("# the client did not listen\n");
    }
}

static void converse(server_t *server, int fd)
{
    char rest[512];

    if (server->manner == CLOSES) {
        return;
    }
    if (server->manner == IS_FULL) {
        say(fd, too_many, sizeof(too_many) - 1);
    }
    if (server->manner >= DENIES) {
        say(fd, greeting, sizeof(greeting));
        server->login_len = recv(fd, server->login, sizeof(server->login), 0);
    }
    if (server->manner == DENIES) {
        say(fd, denied, sizeof(denied) - 1);
    }
    if (server->manner == WELCOMES) {
        say(fd, welcome, sizeof(welcome));
    }
    while (recv(fd, rest, sizeof(rest), 0) > 0) {
        continue;
    }
}

static void *serve(void *data)
{
    server_t *server = data;
    int fd = accept(server->listener, NULL, NULL);

    if (fd >= 0) {
        converse(server, fd);
        close(fd);
    }
    return NULL;
}

static int listen_anywhere(int *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, size) != 0
        || listen(fd, 4) != 0
        || getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("# listen");
        exit(1);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void start_server(server_t *server, manner_e manner)
{
    memset(server, 0, sizeof(*server));
    server->manner = manner;
    server->listener = listen_anywhere(&server->port);
    pthread_create(&server->thread, NULL, serve, server);
}

static void stop_server(server_t *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
}

/* Reads of the option file, where it looks first of all. */
static void write_options(const char *text)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "%s/my.cnf", home);
    file = fopen(path, "w");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
        perror("# my.cnf");
        exit(1);
    }
}

static void remove_home(void)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/my.cnf", home);
    unlink(path);
    rmdir(home);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Tries a server of this manner.
 * @return how long it took */
static double try_server_for(manner_e manner, apr_interval_time_t timeout,
                             dberror_t *error)
{
    server_t server;
    MYSQL *mysql;
    apr_status_t rv;
    double took = now();

    start_server(&server, manner);
    rv = connect_open(&mysql, error, LOOPBACK, server.port,
                      timeout, pool);
    took = now() - took;
    stop_server(&server);
    tap_ok(rv == APR_EGENERAL && mysql == NULL, "there is no connection");
    return took;
}

static double try_server(manner_e manner, dberror_t *error)
{
    return try_server_for(manner, apr_time_from_sec(1), error);
}

static void test_refused(void)
{
    dberror_t error;
    MYSQL *mysql;
    int port;
    int fd = listen_anywhere(&port);
    char expected[64];

    close(fd);
    connect_open(&mysql, &error, LOOPBACK, port, apr_time_from_sec(5), pool);
    snprintf(expected, sizeof(expected), "connect ECONNREFUSED %s:%d",
             LOOPBACK, port);
    tap_is_str(error.message, expected, "a port that is closed is refused");
    tap_is_str(error.name, "SequelizeConnectionRefusedError",
               "and has the name for it");
    tap_is(error.number, 2002, "and MySQL's number");
    tap_ok(error.is_connection && strcmp(error.host, LOOPBACK) == 0
           && error.port == port, "and says where it was");
}

static void test_silence(void)
{
    dberror_t error;
    double took = try_server(SILENT, &error);

    tap_is_str(error.message, "connect ETIMEDOUT",
               "a server that never speaks times out");
    tap_ok(took > 0.9 && took < 30, "after the time that was given");

    took = try_server(STALLS, &error);
    tap_is_str(error.message, "connect ETIMEDOUT",
               "so does one that falls silent after its greeting");
    tap_ok(took > 0.9 && took < 30, "after the same time");
}

/* Whatever the option file says, and finer than it could. */
static void test_timeouts(void)
{
    static const char *const files[] = {
        "[patient]\nconnect-timeout=2\n", "[client]\nconnect_timeout=1\n",
        "[client]\nconnect-timeout=60\n", "[patient]\nconnect-timeout=0\n"
    };
    static const manner_e manners[] = { SILENT, STALLS };
    size_t i, j;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_options(files[i]);
        for (j = 0; j < 2; j++) {
            dberror_t error;
            double brief = try_server_for(manners[j],
                                          apr_time_from_msec(200), &error);
            double lasting = try_server_for(manners[j],
                                            apr_time_from_msec(2600), &error);

            tap_ok(brief >= 0.19 && brief < 0.9 * lasting && lasting >= 2.59,
                   "0.2 s take %.2f s, and 2.6 s %.2f s", brief, lasting);
            tap_is_str(error.code, "ETIMEDOUT", "and that is what is said");
        }
    }
    write_options("");
}

static void test_turned_away(void)
{
    dberror_t error;

    try_server(CLOSES, &error);
    tap_is_str(error.code, "PROTOCOL_CONNECTION_LOST",
               "a server that hangs up has closed the connection");
    try_server(IS_FULL, &error);
    tap_ok(error.number == 1040
           && strcmp(error.code, "ER_CON_COUNT_ERROR") == 0
           && strcmp(error.sqlstate, "08004") == 0,
           "a server that is full says so in its own words");
    try_server(DENIES, &error);
    tap_ok(error.number == 1045
           && strcmp(error.name, "SequelizeAccessDeniedError") == 0
           && strcmp(error.message, "Access denied for user") == 0,
           "and so does one that turns the password down");
}

/* The resolver may not be reachable itself where this runs. */
static void test_unresolvable(void)
{
    dberror_t error;
    MYSQL *mysql;

    connect_open(&mysql, &error, "db.invalid", 3306, apr_time_from_sec(1),
                 pool);
    tap_is(error.number, 2005, "a name that does not exist is not resolved");
    tap_ok(strcmp(error.message, "getaddrinfo ENOTFOUND db.invalid") == 0
           || strcmp(error.message, "getaddrinfo EAI_AGAIN db.invalid") == 0,
           "and the message says so");
}

static void test_options(void)
{
    server_t server;
    dberror_t error;
    MYSQL *mysql;
    char options[256];

    start_server(&server, DENIES);
    snprintf(options, sizeof(options), "[client]\nuser=nobody\n[patient]\n"
             "user=the-patient\npassword=\"a;b\"\nhost=%s\nport=%d\n",
             LOOPBACK, server.port);
    write_options(options);
    connect_open(&mysql, &error, NULL, 0, apr_time_from_sec(5), pool);
    stop_server(&server);
    write_options("");
    tap_is(error.number, 1045, "without a host, the option file's is used");
    /* The name follows 4 bytes of header and 32 of fixed fields. */
    tap_ok(server.login_len > 48
           && strcmp(server.login + 36, "the-patient") == 0,
           "and its user, of the patient's own group");
}

static void test_read_timeout(void)
{
    server_t server;
    dberror_t error;
    MYSQL *mysql = NULL;
    apr_pool_t *own;
    double took;

    apr_pool_create(&own, pool);
    start_server(&server, WELCOMES);
    tap_is(connect_open(&mysql, &error, "localhost", server.port,
                        apr_time_from_sec(60), own), APR_SUCCESS,
           "a connection is made, over TCP even to localhost");
    if (mysql != NULL) {
        connect_set_timeout(mysql, 1);
        took = now();
        tap_is(mysql_query(mysql, "SELECT 1"), 1,
               "a query that is not answered fails");
        took = now() - took;
        tap_ok(took > 0.9 && took < 30, "after a timeout that was set later");
        tap_is(dberror_verdict(mysql_errno(mysql), NULL), DBERROR_IS_LOST,
               "and the connection counts as lost");
        connect_set_timeout(mysql, apr_time_from_sec(1));
        tap_ok(1, "to set a timeout on a lost connection does no harm");
    }
    apr_pool_destroy(own);
    stop_server(&server);
    tap_ok(1, "the connection is closed with its pool");
}

int main(void)
{
    if (mkdtemp(home) == NULL || setenv("MARIADB_HOME", home, 1) != 0) {
        perror("# mkdtemp");
        return 1;
    }
    atexit(remove_home);
    alarm(300);                 /* a server that nobody comes to waits */
    write_options("");
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_refused();
    test_silence();
    test_timeouts();
    test_turned_away();
    test_unresolvable();
    test_options();
    test_read_timeout();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
