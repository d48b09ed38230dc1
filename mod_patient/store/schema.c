/*
 * schema.c - whether the tables hold what the patient puts into them.
 */
#include "store/schema.h"

#include <string.h>

#include <apr_atomic.h>
#include <apr_strings.h>

#include "conf.h"
#include "log/errorlog.h"
#include "shared.h"
#include "store/db.h"
#include "store/pool.h"

#define PATIENCE apr_time_from_sec(2)

#define TYPE "SCHEMA WARNING"

enum { NOT_LOOKED, LOOKING, LOOKED };

/* In shared memory; changed here alone. */
static struct {
    apr_uint32_t state;
    apr_uint32_t is_begun;      /* somebody was the first */
} *shared;

/*
 * Times without a zone, and texts in a character set that is not all of
 * Unicode; table by table.  The last column is what mends a table, in the
 * words of ALTER TABLE; the first row of a table has it.  By the collation of
 * the same name, if utf8mb4 has one: what was unique has to stay so.  With
 * room for keys of four bytes a character.  A view has nothing to alter, and
 * tables whose names differ in case are others, even where MariaDB's views of
 * them think otherwise.
 */
#define TELLS_CASES "c.collation_name REGEXP '_(bin|cs)$'"

static const char find_columns[] =
    "SELECT c.table_name, c.column_name, c.character_set_name, CONCAT("
    "IF(t.engine = 'MyISAM', 'ENGINE=InnoDB, ', "
    "IF(t.row_format IN ('Compact', 'Redundant'), 'ROW_FORMAT=DYNAMIC, ', "
    "'')), 'CONVERT TO CHARACTER SET utf8mb4 COLLATE ', "
    "COALESCE(like_it.collation_name, "
    "IF(" TELLS_CASES ", 'utf8mb4_bin', 'utf8mb4_general_ci'))) "
    "FROM information_schema.columns c "
    "JOIN information_schema.tables t "
    "ON t.table_schema = c.table_schema "
    "AND CAST(t.table_name AS BINARY) = c.table_name "
    "LEFT JOIN information_schema.collations like_it "
    "ON like_it.collation_name = CONCAT('utf8mb4', "
    "SUBSTRING(c.collation_name, LOCATE('_', c.collation_name))) "
    "WHERE c.table_schema = DATABASE() "
    "AND CAST(c.table_name AS BINARY) IN ('users', 'posts') AND ("
    "(c.data_type = 'datetime' "
    "AND c.column_name IN ('created_at', 'updated_at')) OR "
    "(t.table_type = 'BASE TABLE' AND c.character_set_name NOT IN "
    "('utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030') "
    "AND CONCAT(c.table_name, '.', c.column_name) IN ("
    "'users.email', 'users.name', 'posts.title', 'posts.content'))) "
    "ORDER BY c.table_name, " TELLS_CASES " DESC, c.column_name <> 'email', "
    "c.ordinal_position";

/* Strict, but a zero date in another column is none of its business. */
#define CURE_MODE "SET sql_mode = 'STRICT_TRANS_TABLES';"

/* What was found; a text is NULL if that is nothing. */
typedef struct findings_t {
    const char *times;          /* "posts.created_at, posts.updated_at" */
    const char *texts;          /* "posts.title (latin1), ..." */
    const char *cure;           /* SQL */
    const char *table;          /* the last one in cure */
} findings_t;

apr_status_t schema_open(server_rec *s)
{
    void *memory;
    int is_new;
    apr_status_t rv = shared_open(&memory, &is_new, "mod_patient.schema",
                                  sizeof(*shared), s);

    if (rv == APR_SUCCESS) {
        shared = memory;
    }
    return rv;
}

static const char *join(const char *list, const char *separator,
                        const char *more, apr_pool_t *pool)
{
    return list ? apr_pstrcat(pool, list, separator, more, NULL) : more;
}

static void note_column(findings_t *found, MYSQL_ROW row, apr_pool_t *pool)
{
    const char *name = apr_pstrcat(pool, row[0], ".", row[1], NULL);

    if (row[2] == NULL) {
        found->times = join(found->times, ", ", name, pool);
        return;
    }
    found->texts = join(found->texts, ", ", apr_psprintf(
        pool, "%s (%s)", name, row[2]), pool);
    if (found->table == NULL || strcmp(found->table, row[0]) != 0) {
        found->table = apr_pstrdup(pool, row[0]);
        found->cure = apr_psprintf(
            pool, "%s ALTER TABLE %s %s;",
            found->cure ? found->cure : CURE_MODE, row[0], row[3]);
    }
}

static void warn(const char *code, const char *message, const char *hint)
{
    event_t event;

    errorlog_open(&event, EVENT_WARNING, TYPE);
    event_code(&event, code);
    event_str(&event, "message", message);
    event_str(&event, "hint", hint);
    errorlog_write(&event);
}

static void tell(const findings_t *found, const patient_conf_t *conf,
                 apr_pool_t *pool)
{
    if (found->times != NULL && conf->database_zone == NULL) {
        warn("DATETIME_WITHOUT_ZONE", apr_pstrcat(
            pool, "DB_TIMEZONE is not set, and a DATETIME has no time zone: ",
            found->times, " are read as UTC", NULL),
            "set DB_TIMEZONE to the zone that they were written in, such as "
            "+09:00 (the option timezone of Sequelize), or to +00:00 if that "
            "is UTC");
    }
    if (found->texts != NULL) {
        warn("CHARACTER_SET", apr_pstrcat(
            pool, "not every character can be stored in ", found->texts,
            ": requests with others are answered with 400", NULL),
            apr_pstrcat(pool, found->cure, " then restart the server, whose "
                        "statements MySQL keeps as they were", NULL));
    }
}

/* @return 0: the connection is not good enough to tell */
static int look(db_session_t *session)
{
    findings_t found = { NULL, NULL, NULL, NULL };
    MYSQL_RES *result;
    MYSQL_ROW row;

    if (mysql_query(session->mysql, find_columns) != 0
        || (result = mysql_store_result(session->mysql)) == NULL) {
        return 0;
    }
    while ((row = mysql_fetch_row(result)) != NULL) {
        note_column(&found, row, session->pool);
    }
    mysql_free_result(result);
    tell(&found, patient_conf(session->db->s), session->pool);
    return 1;
}

void schema_look(db_session_t *session)
{
    if (apr_atomic_read32(&shared->state) == NOT_LOOKED
        && apr_atomic_cas32(&shared->state, LOOKING, NOT_LOOKED)
           == NOT_LOOKED) {
        apr_atomic_set32(&shared->state,
                         look(session) ? LOOKED : NOT_LOOKED);
    }
}

void schema_look_first(db_t *db, apr_pool_t *pool)
{
    if (apr_atomic_read32(&shared->state) == NOT_LOOKED
        && apr_atomic_cas32(&shared->is_begun, 1, 0) == 0) {
        db_check(db, PATIENCE, pool);
    }
}
