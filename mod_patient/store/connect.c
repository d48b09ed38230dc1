/*
 * connect.c - opens a connection with the patient's own settings.
 */
#include "store/connect.h"

#include <errno.h>
#include <poll.h>

#include <mysql.h>
#include <errmsg.h>
#include <ma_pvio.h>

#include <apr_strings.h>

#include "vitals.h"

/* Of the client while it connects; TLS and the resolver take most of it. */
#define STACK_SIZE ((apr_size_t)512 * 1024)

static unsigned int whole_seconds(apr_interval_time_t timeout)
{
    if (timeout <= 0) {
        return 1;               /* 0 would mean: for ever */
    }
    return (unsigned int)((timeout + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC);
}

static void set_options(MYSQL *mysql, int over_tcp, unsigned int seconds)
{
    enum mysql_protocol_type protocol = MYSQL_PROTOCOL_TCP;

    apr_size_t stack = STACK_SIZE;

    mysql_options(mysql, MYSQL_READ_DEFAULT_GROUP, CONNECT_OPTION_GROUP);
    mysql_options(mysql, MYSQL_OPT_NONBLOCK, &stack);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    if (over_tcp) {
        /* Or "localhost" would be a local socket, whatever the port. */
        mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    }
}

/* The place is the option file's where the caller left it to that. */
static void explain_failure(dberror_t *error, MYSQL *mysql, int is_late,
                            const char *host, int port, apr_pool_t *pool)
{
    unsigned int number = mysql_errno(mysql);
    const char *words = mysql_error(mysql);

    if (host == NULL) {
        host = mysql->options.host ? mysql->options.host : "localhost";
    }
    if (is_late && number != CR_CONNECTION_ERROR
        && number != CR_CONN_HOST_ERROR) {
        number = CR_SERVER_LOST;
    }
    if (is_late) {
        /* The client does not know that it was the time. */
        words = apr_psprintf(pool, number == CR_SERVER_LOST
                             ? "Lost connection to '%s' at 'handshake', "
                               "system error: %d"
                             : "Can't connect to server on '%s' (%d)",
                             host, ETIMEDOUT);
    }
    dberror_set(error, number, mysql_sqlstate(mysql), words, host,
                port ? port : (int)mysql->options.port, pool);
}

/* @param wanted, and what is returned: MYSQL_WAIT_... */
static int await(MYSQL *mysql, int wanted, apr_time_t deadline)
{
    struct pollfd socket = {
        .fd = mysql_get_socket(mysql),
        .events = (short)((wanted & MYSQL_WAIT_READ ? POLLIN : 0)
                          | (wanted & MYSQL_WAIT_WRITE ? POLLOUT : 0)
                          | (wanted & MYSQL_WAIT_EXCEPT ? POLLPRI : 0))
    };
    int ready;

    do {
        apr_interval_time_t left = deadline - vitals_now();

        ready = left > 0 ? poll(&socket, 1, (int)((left + 999) / 1000)) : 0;
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        return MYSQL_WAIT_TIMEOUT;
    }
    return wanted & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE | MYSQL_WAIT_EXCEPT);
}

/*
 * The client reads the option file when it connects, after all that a program
 * can set, so a connect-timeout there would take the place of ours, and both
 * count in whole seconds.  It leaves the waiting to us, therefore.
 * @return 0: failed; *is_late: because the time was over
 */
static int connect_in_time(MYSQL *mysql, int *is_late, const char *host,
                           int port, apr_interval_time_t timeout)
{
    apr_time_t deadline = vitals_now() + (timeout > 0 ? timeout
                                                      : APR_USEC_PER_SEC);
    MYSQL *made = NULL;
    int status = mysql_real_connect_start(&made, mysql, host, NULL, NULL,
                                          NULL, (unsigned int)port, NULL,
                                          CLIENT_REMEMBER_OPTIONS);

    *is_late = 0;
    while (status != 0) {
        int came = await(mysql, status, deadline);

        *is_late = *is_late || came == MYSQL_WAIT_TIMEOUT;
        status = mysql_real_connect_cont(&made, mysql, came);
    }
    return made != NULL;
}

static apr_status_t close_mysql(void *data)
{
    mysql_close(data);
    return APR_SUCCESS;
}

apr_status_t connect_open(struct st_mysql **mysql, dberror_t *error,
                          const char *host, int port,
                          apr_interval_time_t timeout, apr_pool_t *pool)
{
    MYSQL *handle = mysql_init(NULL);
    int is_late;

    *mysql = NULL;
    if (handle == NULL) {
        dberror_set(error, CR_OUT_OF_MEMORY, NULL, "out of memory", host,
                    port, pool);
        return APR_EGENERAL;
    }
    set_options(handle, host != NULL, whole_seconds(timeout));
    if (!connect_in_time(handle, &is_late, host, port, timeout)) {
        explain_failure(error, handle, is_late, host, port, pool);
        mysql_close(handle);
        return APR_EGENERAL;
    }
    apr_pool_cleanup_register(pool, handle, close_mysql,
                              apr_pool_cleanup_null);
    *mysql = handle;
    return APR_SUCCESS;
}

/* The option is what TLS reads, and a reconnect; a plain socket has taken its
 * timeout over when it was opened, and only its own method changes it.  Both
 * count in seconds. */
void connect_set_timeout(struct st_mysql *mysql, apr_interval_time_t timeout)
{
    unsigned int seconds = whole_seconds(timeout);
    MARIADB_PVIO *pvio = mysql->net.pvio;

    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    if (pvio == NULL) {
        return;                 /* the connection is lost */
    }
    pvio->methods->set_timeout(pvio, PVIO_READ_TIMEOUT, (int)seconds);
    pvio->methods->set_timeout(pvio, PVIO_WRITE_TIMEOUT, (int)seconds);
}

void connect_forget_rows(struct st_mysql *mysql)
{
    const LIST *item;

    for (item = mysql->stmts; item != NULL; item = item->next) {
        if (mysql_stmt_num_rows(item->data) > 0) {
            /* Rows that were read to the end it would not free. */
            mysql_stmt_data_seek(item->data, 0);
            mysql_stmt_free_result(item->data);
        }
    }
}
