/*
 * connect.c - opens a connection with the patient's own settings.
 */
#include "store/connect.h"

#include <mysql.h>
#include <errmsg.h>
#include <ma_pvio.h>

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

    mysql_options(mysql, MYSQL_READ_DEFAULT_GROUP, CONNECT_OPTION_GROUP);
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    if (over_tcp) {
        /* Or "localhost" would be a local socket, whatever the port. */
        mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    }
}

/* The place is the option file's where the caller left it to that. */
static void explain_failure(dberror_t *error, MYSQL *mysql, const char *host,
                            int port, apr_pool_t *pool)
{
    dberror_set(error, mysql_errno(mysql), mysql_sqlstate(mysql),
                mysql_error(mysql), host ? host : mysql->options.host,
                port ? port : (int)mysql->options.port, pool);
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

    *mysql = NULL;
    if (handle == NULL) {
        dberror_set(error, CR_OUT_OF_MEMORY, NULL, "out of memory", host,
                    port, pool);
        return APR_EGENERAL;
    }
    set_options(handle, host != NULL, whole_seconds(timeout));
    if (mysql_real_connect(handle, host, NULL, NULL, NULL, (unsigned int)port,
                           NULL, CLIENT_REMEMBER_OPTIONS) == NULL) {
        explain_failure(error, handle, host, port, pool);
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
