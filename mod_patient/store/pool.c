/*
 * pool.c - connections of mod_dbd, lent one by one and not for ever.
 */
#include "store/pool.h"

#include <stdlib.h>
#include <string.h>

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_config.h>

#include "board.h"
#include "conf.h"
#include "datetime.h"
#include "log/errorlog.h"
#include "log/symptom.h"
#include "store/attempt.h"
#include "store/connect.h"
#include "store/schema.h"
#include "store/waiting.h"
#include "vitals.h"

/* mod_dbd's own default for DBDMax. */
#define DBD_MAX_DEFAULT 10

static ap_dbd_t *(*dbd_open)(apr_pool_t *, server_rec *);
static void (*dbd_close)(server_rec *, ap_dbd_t *);

/* As SET takes it. mod_dbd's hook tells nothing of whose connection it is;
 * but an httpd is one patient. */
static const char *session_zone = DATABASE_ZONE_DEFAULT;

/* What became of the connection that mod_dbd made on this thread. */
static __thread pool_made_t made;

/* ---- mod_dbd ---- */

/* mod_dbd takes a connection whatever the hooks say: whoever asked for it
 * looks here whether it was set up. */
static void note_refusal(MYSQL *mysql)
{
    made.number = mysql_errno(mysql);
    apr_cpystrn(made.sqlstate, mysql_sqlstate(mysql), sizeof(made.sqlstate));
    apr_cpystrn(made.words, mysql_error(mysql), sizeof(made.words));
}

static apr_status_t set_up_connection(apr_pool_t *pool, dbd_cfg_t *cfg,
                                      ap_dbd_t *dbd)
{
    MYSQL *mysql = apr_dbd_native_handle(dbd->driver, dbd->handle);
    int rows;

    (void)cfg;
    made.is_made = 1;
    connect_set_timeout(mysql, POOL_READ_TIMEOUT);
    /* Whatever the server's defaults are: every character there is, times in
     * the zone that we read them in, what doesn't fit is refused rather than
     * cut, and each statement is a transaction of its own. */
    apr_dbd_query(dbd->driver, dbd->handle, &rows, apr_psprintf(
        pool, "SET NAMES utf8mb4, time_zone = '%s', sql_mode = "
        "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1",
        session_zone));
    note_refusal(mysql);
    /* Who must change an expired password may SET things, and no more: to be
     * found out now, not by the first request. */
    if (made.number == 0) {
        apr_dbd_query(dbd->driver, dbd->handle, &rows, "DO 0");
        note_refusal(mysql);
    }
    return OK;
}

ap_dbd_t *pool_ask_dbd(pool_made_t *what, char *words, apr_size_t size,
                       db_t *db, apr_pool_t *pool)
{
    ap_dbd_t *dbd;

    memset(&made, 0, sizeof(made));
    errorlog_catch("dbd", words, size);
    dbd = dbd_open(pool, db->s);
    errorlog_release();
    *what = made;
    return dbd;
}

void pool_leave_dbd(db_t *db, ap_dbd_t *dbd, int was_open)
{
    MYSQL *mysql = apr_dbd_native_handle(dbd->driver, dbd->handle);

    connect_set_timeout(mysql, POOL_PING_TIMEOUT);
    dbd_close(db->s, dbd);
    breaker_returned(db->breaker, was_open);
}

void db_find_functions(void)
{
    dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
}

void db_register(void)
{
    /* First: a DBDInitSQL that fails would keep later hooks from running. */
    APR_OPTIONAL_HOOK(dbd, post_connect, set_up_connection, NULL, NULL,
                      APR_HOOK_FIRST);
}

void db_find_options(const server_rec *s)
{
    const char *home = patient_conf(s)->database_home;
    const char *zone = patient_conf(s)->database_zone;

    session_zone = zone ? zone : DATABASE_ZONE_DEFAULT;
    if (home != NULL) {
        setenv("MARIADB_HOME", home, 1);
    }
}

static int is_section_of(const ap_directive_t *directive, const server_rec *s)
{
    return s->defn_name != NULL
        && directive->line_num == (int)s->defn_line_number
        && strcmp(directive->filename, s->defn_name) == 0;
}

/* DBDMax as it holds for a server: its own, else that of the main server. */
static int find_max(const ap_directive_t *directive, const server_rec *s,
                    int max)
{
    int own = 0;

    for (; directive != NULL; directive = directive->next) {
        if (ap_cstr_casecmp(directive->directive, "DBDMax") == 0) {
            max = atoi(directive->args);
        }
        else if (ap_cstr_casecmp(directive->directive, "<VirtualHost") == 0
                 && is_section_of(directive, s)) {
            own = find_max(directive->first_child, s, 0);
        }
    }
    return own ? own : max;
}

int db_max(const db_t *db)
{
    return db->max;
}

apr_status_t db_create(db_t **out, server_rec *s, int waiters,
                       apr_pool_t *pchild)
{
    db_t *db = apr_pcalloc(pchild, sizeof(*db));
    dberror_t reason;
    apr_status_t rv;

    if (dbd_open == NULL || dbd_close == NULL) {
        return APR_ENOTIMPL;    /* mod_dbd is not loaded */
    }
    db->s = s;
    db->max = find_max(ap_conftree, s, DBD_MAX_DEFAULT);
    datetime_zone(&db->zone, session_zone);
    dberror_parse(&reason, "no time left to connect",
                  patient_conf(s)->database_host,
                  (int)patient_conf(s)->database_port, pchild);
    rv = breaker_create(&db->breaker, &reason, pchild);
    if (rv == APR_SUCCESS) {
        rv = connections_create(&db->connections, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = gate_create(&db->gate, db->max, waiters, pchild);
    }
    if (rv == APR_SUCCESS) {
        board_pool_max(db->max);
        *out = db;
    }
    return rv;
}

int pool_zone(const db_t *db)
{
    return db->zone;
}

/* ---- what is logged ---- */

void db_log_error(const dberror_t *error)
{
    event_t event;

    board_count(BOARD_DB_FAILURES);
    errorlog_open(&event, EVENT_ERROR, dberror_type(error));
    dberror_describe(error, &event);
    errorlog_write(&event);
}

static void log_pool(db_t *db, apr_status_t why, apr_interval_time_t waited)
{
    gate_stats_t stats;
    event_t event;

    gate_stats(db->gate, &stats);
    board_count(why == APR_EBUSY ? BOARD_POOL_REFUSED : BOARD_POOL_TIMEOUTS);
    errorlog_open(&event, EVENT_ERROR, SYMPTOM_POOL);
    symptom_pool(&event, why, &stats, waited);
    errorlog_write(&event);
}

void db_last_error(dberror_t *error, db_t *db, apr_pool_t *pool)
{
    breaker_reason(error, db->breaker, BREAKER_ANYWHERE, pool);
}

/* ---- lending ---- */

static apr_status_t enter_gate(db_t *db, const gate_entry_t *entry)
{
    apr_time_t start = vitals_now();
    apr_status_t rv = waiting_enter(db->gate, entry);

    if (rv != APR_SUCCESS && rv != APR_EINTR) {
        log_pool(db, rv, vitals_now() - start);
    }
    return rv;
}

static void leave_gate(db_t *db)
{
    board_pool_use(-1);
    gate_leave(db->gate);
}

apr_status_t pool_borrow_as(db_session_t *session, db_t *db,
                            const gate_entry_t *entry, apr_pool_t *pool)
{
    apr_time_t deadline = vitals_now() + entry->patience;
    apr_status_t rv = enter_gate(db, entry);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    board_pool_use(1);
    apr_pool_create(&session->pool, pool);
    session->db = db;
    rv = attempt_open(session, db, deadline);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(session->pool);
        leave_gate(db);
        return rv;
    }
    connect_set_timeout(session->mysql, POOL_READ_TIMEOUT);
    schema_look(session);
    return APR_SUCCESS;
}

apr_status_t pool_borrow(db_session_t *session, db_t *db, apr_pool_t *pool)
{
    gate_entry_t entry = {
        .patience = patient_conf(db->s)->pool_acquire, .line = GATE_BOUNDED
    };

    return pool_borrow_as(session, db, &entry, pool);
}

void pool_give_back(db_session_t *session)
{
    db_t *db = session->db;

    apr_pool_destroy(session->pool);
    connect_forget_rows(session->mysql);
    connections_return(db->connections, session->connection);
    pool_leave_dbd(db, session->dbd, 1);
    leave_gate(db);
}

void pool_lost(db_session_t *session)
{
    connections_lost(session->db->connections, session->connection);
}

int pool_declined(db_session_t *session, int is_new)
{
    return connections_declined(session->db->connections, session->connection,
                                is_new);
}
