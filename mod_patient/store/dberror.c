/*
 * dberror.c - from MySQL's numbers to the names that the log's readers know.
 */
#include "store/dberror.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "log/event.h"

#define CONNECTION_ERROR "SequelizeConnectionError"
#define REFUSED_ERROR "SequelizeConnectionRefusedError"
#define UNREACHABLE_ERROR "SequelizeHostNotReachableError"
#define DENIED_ERROR "SequelizeAccessDeniedError"
#define FOREIGN_KEY_ERROR "SequelizeForeignKeyConstraintError"
#define DATABASE_ERROR "SequelizeDatabaseError"

typedef enum {
    NOT_REACHED,        /* the system's errno, in the words, says why */
    NOT_RESOLVED,       /* the resolver's code, in the words, says why */
    TURNED_AWAY,        /* reached, but the server said no */
    INSECURE,           /* TLS said no, or tells so that the socket is dead */
    LOST,               /* the connection is gone */
    FAILED              /* the connection is fine, the statement is not */
} kind_e;

typedef struct known_t {
    unsigned int number;
    kind_e kind;
    const char *name;
    const char *code;
    const char *words;  /* tells it where only the words come through */
} known_t;

/* Numbers, codes and words are MySQL's and MariaDB's; the names are what
 * Sequelize's MySQL dialect makes of them.  A text is searched for the words
 * of a row only after those of the rows above it; of several rows with one
 * number, the last stands for all other words. */
static const known_t known_errors[] = {
    { 2002, NOT_REACHED, NULL, NULL, " server on '" },
    { 2002, NOT_REACHED, NULL, NULL, " server through socket '" },
    { 2003, NOT_REACHED, NULL, NULL, NULL },
    { 2005, NOT_RESOLVED, NULL, NULL, "Unknown server host" },

    { 1044, TURNED_AWAY, CONNECTION_ERROR, "ER_DBACCESS_DENIED_ERROR",
      "' to database '" },
    { 1698, TURNED_AWAY, DENIED_ERROR, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
      NULL },
    { 1045, TURNED_AWAY, DENIED_ERROR, "ER_ACCESS_DENIED_ERROR",
      "Access denied for user" },
    { 1040, TURNED_AWAY, CONNECTION_ERROR, "ER_CON_COUNT_ERROR",
      "Too many connections" },
    { 1203, TURNED_AWAY, CONNECTION_ERROR, "ER_TOO_MANY_USER_CONNECTIONS",
      "active connections" },
    { 1226, TURNED_AWAY, CONNECTION_ERROR, "ER_USER_LIMIT_REACHED",
      "has exceeded the '" },
    { 1049, TURNED_AWAY, CONNECTION_ERROR, "ER_BAD_DB_ERROR",
      "Unknown database" },
    { 1129, TURNED_AWAY, CONNECTION_ERROR, "ER_HOST_IS_BLOCKED",
      "is blocked because of many connection" },
    { 1130, TURNED_AWAY, CONNECTION_ERROR, "ER_HOST_NOT_PRIVILEGED",
      "is not allowed to connect" },
    { 1251, TURNED_AWAY, CONNECTION_ERROR, "ER_NOT_SUPPORTED_AUTH_MODE",
      NULL },
    { 2012, TURNED_AWAY, CONNECTION_ERROR, "CR_SERVER_HANDSHAKE_ERR",
      "Error in server handshake" },
    { 2026, LOST, NULL, NULL, "TLS/SSL error: unexpected eof" },
    { 2026, LOST, NULL, NULL, "TLS/SSL error: Connection reset by peer" },
    { 2026, LOST, NULL, NULL, "TLS/SSL error: Broken pipe" },
    { 2026, INSECURE, CONNECTION_ERROR, "HANDSHAKE_SSL_ERROR",
      "TLS/SSL error: " },
    { 2059, TURNED_AWAY, CONNECTION_ERROR, "CR_AUTH_PLUGIN_CANNOT_LOAD",
      "uthentication plugin" },
    { 3159, TURNED_AWAY, CONNECTION_ERROR,
      "ER_SECURE_TRANSPORT_REQUIRED", "require_secure_transport" },

    { 2006, LOST, NULL, NULL, "erver has gone away" },
    { 2013, LOST, NULL, NULL, "Lost connection to " },
    { 1053, LOST, NULL, NULL, "shutdown in progress" },
    { 1080, LOST, NULL, NULL, NULL },
    { 1152, LOST, NULL, NULL, NULL },
    { 1158, LOST, NULL, NULL, NULL },
    { 1159, LOST, NULL, NULL, NULL },
    { 1160, LOST, NULL, NULL, NULL },
    { 1161, LOST, NULL, NULL, NULL },
    { 1184, LOST, NULL, NULL, NULL },
    { 1927, LOST, NULL, NULL, "Connection was killed" },
    { 2027, LOST, NULL, NULL, "Malformed packet" },
    { 2055, LOST, NULL, NULL, NULL },
    { 3169, LOST, NULL, NULL, NULL },
    { 4031, LOST, NULL, NULL, "because of inactivity" },

    { 1062, FAILED, "SequelizeUniqueConstraintError", "ER_DUP_ENTRY", NULL },
    { 1451, FAILED, FOREIGN_KEY_ERROR, "ER_ROW_IS_REFERENCED_2", NULL },
    { 1452, FAILED, FOREIGN_KEY_ERROR, "ER_NO_REFERENCED_ROW_2", NULL },
    { 1021, FAILED, DATABASE_ERROR, "ER_DISK_FULL", NULL },
    { 1054, FAILED, DATABASE_ERROR, "ER_BAD_FIELD_ERROR", NULL },
    { 1064, FAILED, DATABASE_ERROR, "ER_PARSE_ERROR", NULL },
    { 1114, FAILED, DATABASE_ERROR, "ER_RECORD_FILE_FULL", NULL },
    { 1142, FAILED, DATABASE_ERROR, "ER_TABLEACCESS_DENIED_ERROR", NULL },
    { 1146, FAILED, DATABASE_ERROR, "ER_NO_SUCH_TABLE", NULL },
    { 1205, FAILED, DATABASE_ERROR, "ER_LOCK_WAIT_TIMEOUT", NULL },
    { 1213, FAILED, DATABASE_ERROR, "ER_LOCK_DEADLOCK", NULL },
    { 1290, FAILED, DATABASE_ERROR, "ER_OPTION_PREVENTS_STATEMENT", NULL },
    { 1317, FAILED, DATABASE_ERROR, "ER_QUERY_INTERRUPTED", NULL },
    { 1366, FAILED, DATABASE_ERROR, "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD",
      NULL },
    { 1406, FAILED, DATABASE_ERROR, "ER_DATA_TOO_LONG", NULL },
    { 1836, FAILED, DATABASE_ERROR, "ER_READ_ONLY_MODE", NULL },
    { 1969, FAILED, DATABASE_ERROR, "ER_STATEMENT_TIMEOUT", NULL },
    { 2008, FAILED, DATABASE_ERROR, "CR_OUT_OF_MEMORY", NULL },
    { 2014, FAILED, DATABASE_ERROR, "CR_COMMANDS_OUT_OF_SYNC", NULL },
    { 2020, FAILED, DATABASE_ERROR, "CR_NET_PACKET_TOO_LARGE", NULL },
    { 2030, FAILED, DATABASE_ERROR, "CR_NO_PREPARE_STMT", NULL },
    { 3024, FAILED, DATABASE_ERROR, "ER_QUERY_TIMEOUT", NULL }
};

#define KNOWN_ERRORS (sizeof(known_errors) / sizeof(known_errors[0]))

/* What to do where it is a setting that is wrong, and which. */
static const struct {
    unsigned int number;
    const char *words;
    const char *hint;
} hints[] = {
    { 2026, "Validation of SSL server certificate failed",
      "DB_HOST is none of the names in the server's certificate" },
    { 2026, "SSL is required, but the server does not support it",
      "the server offers no TLS, which DB_SSL_CA asks for" },
    { 2026, "certificate",
      "DB_SSL_CA must hold the authority of the server's certificate" },
    { 3159, "", "the server wants TLS: set DB_SSL_CA" }
};

/* How much of the place Node tells in the message. */
typedef enum { NO_PLACE, HOST, HOST_PORT } place_e;

typedef struct cause_t {
    int number;
    const char *name;
    const char *code;
    place_e place;
} cause_t;

/* libmariadb connects without blocking, and when that fails at once it still
 * reports EINPROGRESS: the real reason is lost, and by far the most usual is
 * that nobody listens. */
static const cause_t system_causes[] = {
    { EINPROGRESS, REFUSED_ERROR, "ECONNREFUSED", HOST_PORT },
    { ECONNREFUSED, REFUSED_ERROR, "ECONNREFUSED", HOST_PORT },
    { ETIMEDOUT, CONNECTION_ERROR, "ETIMEDOUT", NO_PLACE },
    { EHOSTUNREACH, UNREACHABLE_ERROR, "EHOSTUNREACH", HOST_PORT },
    { ENETUNREACH, CONNECTION_ERROR, "ENETUNREACH", HOST_PORT },
    { ECONNRESET, CONNECTION_ERROR, "ECONNRESET", HOST_PORT },
    { EADDRNOTAVAIL, CONNECTION_ERROR, "EADDRNOTAVAIL", HOST_PORT },
    { EINVAL, "SequelizeInvalidConnectionError", "EINVAL", HOST_PORT },
    { EMFILE, CONNECTION_ERROR, "EMFILE", HOST_PORT },
    { ENOENT, CONNECTION_ERROR, "ENOENT", HOST_PORT },
    { EACCES, CONNECTION_ERROR, "EACCES", HOST_PORT },
    { 0, CONNECTION_ERROR, "ECONNFAILED", HOST_PORT }
};

static const cause_t resolver_causes[] = {
    { EAI_AGAIN, CONNECTION_ERROR, "EAI_AGAIN", HOST },
    { 0, "SequelizeHostNotFoundError", "ENOTFOUND", HOST }
};

static int has_words(const known_t *known, const char *native)
{
    return known->words != NULL && strstr(native, known->words) != NULL;
}

static const known_t *find_number(unsigned int number, const char *native)
{
    const known_t *found = NULL;
    apr_size_t i;

    for (i = 0; i < KNOWN_ERRORS; i++) {
        if (known_errors[i].number == number) {
            found = &known_errors[i];
            if (has_words(found, native)) {
                break;
            }
        }
    }
    return found;
}

static const known_t *find_words(const char *native)
{
    apr_size_t i;

    for (i = 0; i < KNOWN_ERRORS; i++) {
        if (has_words(&known_errors[i], native)) {
            return &known_errors[i];
        }
    }
    return NULL;
}

static const char *find_hint(unsigned int number, const char *native)
{
    apr_size_t i;

    for (i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].number == number
            && strstr(native, hints[i].words) != NULL) {
            return hints[i].hint;
        }
    }
    return NULL;
}

/* The last row, whose number is 0, stands for all others. */
static const cause_t *find_cause(const cause_t *causes, int number)
{
    while (causes->number != 0 && causes->number != number) {
        causes++;
    }
    return causes;
}

/* The number that the words end in: "... (115)", "... system error: 110". */
static int trailing_number(const char *native)
{
    static const char label[] = "system error: ";
    const char *at = strstr(native, label);

    if (at != NULL) {
        return atoi(at + sizeof(label) - 1);
    }
    at = strrchr(native, '(');
    return at == NULL ? 0 : atoi(at + 1);
}

/* What was tried, as in "Can't connect to server on 'db.example' (110)", for
 * a caller that left the host to the option file. */
static const char *quoted_host(const char *native, apr_pool_t *pool)
{
    const char *from = strstr(native, " '");
    const char *to = from == NULL ? NULL : strchr(from + 2, '\'');

    return to == NULL ? NULL : apr_pstrmemdup(pool, from + 2, to - from - 2);
}

static void explain_cause(dberror_t *error, const char *call,
                          const cause_t *cause, apr_pool_t *pool)
{
    const char *host = error->host == NULL ? "" : error->host;

    error->name = cause->name;
    error->code = cause->code;
    switch (*host == '\0' ? NO_PLACE : cause->place) {
    case HOST:
        error->message = apr_psprintf(pool, "%s %s %s", call, cause->code,
                                      host);
        break;
    case HOST_PORT:
        error->message = error->port == 0
            ? apr_psprintf(pool, "%s %s %s", call, cause->code, host)
            : apr_psprintf(pool, "%s %s %s:%d", call, cause->code, host,
                           error->port);
        break;
    default:
        error->message = apr_psprintf(pool, "%s %s", call, cause->code);
        break;
    }
}

static void explain_connect(dberror_t *error, int number, apr_pool_t *pool)
{
    explain_cause(error, "connect", find_cause(system_causes, number), pool);
}

static void explain_lost(dberror_t *error)
{
    error->name = CONNECTION_ERROR;
    error->code = "PROTOCOL_CONNECTION_LOST";
    error->message = "Connection lost: The server closed the connection.";
}

static void explain(dberror_t *error, const known_t *known, apr_pool_t *pool)
{
    int number = trailing_number(error->native);
    int timed_out = number == ETIMEDOUT;

    if (error->host == NULL && (known->kind == NOT_REACHED
                                || known->kind == NOT_RESOLVED)) {
        error->host = quoted_host(error->native, pool);
    }
    if (known->kind == NOT_REACHED
        || ((known->kind == LOST || known->kind == INSECURE) && timed_out)) {
        explain_connect(error, number, pool);
    }
    else if (known->kind == NOT_RESOLVED) {
        explain_cause(error, "getaddrinfo",
                      find_cause(resolver_causes, number), pool);
    }
    else if (known->kind == LOST) {
        explain_lost(error);
    }
    else {
        error->name = known->name;
        error->code = known->code;
        error->message = error->native;
    }
    error->is_connection = known->kind != FAILED;
    error->hint = find_hint(known->number, error->native);
}

static const char *unknown_code(unsigned int number, apr_pool_t *pool)
{
    const char *source = number >= 2000 && number < 3000 ? "CR" : "ER";

    return number == 0 ? "UNKNOWN"
                       : apr_psprintf(pool, "%s_%u", source, number);
}

static void fill(dberror_t *error, const char *native, const char *host,
                 int port, apr_pool_t *pool)
{
    memset(error, 0, sizeof(*error));
    error->sqlstate = "";
    error->native = apr_pstrdup(pool, native == NULL ? "" : native);
    error->host = apr_pstrdup(pool, host);
    error->port = port;
}

void dberror_set(dberror_t *error, unsigned int number, const char *sqlstate,
                 const char *native, const char *host, int port,
                 apr_pool_t *pool)
{
    const known_t *known;

    fill(error, native, host, port, pool);
    known = find_number(number, error->native);
    error->number = number;
    if (sqlstate != NULL) {
        error->sqlstate = apr_pstrdup(pool, sqlstate);
    }
    if (known != NULL) {
        explain(error, known, pool);
        return;
    }
    error->name = DATABASE_ERROR;
    error->code = unknown_code(number, pool);
    error->message = error->native;
}

void dberror_parse(dberror_t *error, const char *native, const char *host,
                   int port, apr_pool_t *pool)
{
    const known_t *known;

    fill(error, native, host, port, pool);
    known = find_words(error->native);
    if (known != NULL) {
        error->number = known->number;
        explain(error, known, pool);
        return;
    }
    error->name = CONNECTION_ERROR;
    error->code = unknown_code(0, pool);
    error->message = error->native;
    error->is_connection = 1;
}

int dberror_is_lost(unsigned int number)
{
    const known_t *known = find_number(number, "");

    return known != NULL && (known->kind == LOST || known->kind == INSECURE);
}

const char *dberror_type(const dberror_t *error)
{
    return error->is_connection ? "DB CONNECTION ERROR" : "DB QUERY ERROR";
}

const char *dberror_text(const dberror_t *error, apr_pool_t *pool)
{
    return apr_pstrcat(pool, error->name, ": ", error->message, NULL);
}

void dberror_describe(const dberror_t *error, struct event_t *event)
{
    /* More than a value of the event may take: what is cut off here, the
     * event would have cut off, and says so. */
    char text[EVENT_VALUE_MAX + 64];

    apr_snprintf(text, sizeof(text), "%s: %s", error->name, error->message);
    event_str(event, "error", text);
    if (error->is_connection) {
        event_str(event, "parent", CONNECTION_ERROR);
    }
    event_code(event, error->code);
    event_str(event, "host", error->host);
    if (error->port != 0) {
        event_int(event, "port", error->port);
    }
    if (error->number != 0) {
        event_int(event, "mysql_errno", error->number);
    }
    if (error->sqlstate[0] != '\0') {
        event_str(event, "sqlstate", error->sqlstate);
    }
    event_str(event, "native", error->native);
    if (error->hint != NULL) {
        event_str(event, "hint", error->hint);
    }
}
