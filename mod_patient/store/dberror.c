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
#include "store/dberror_known.h"

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

static void explain(dberror_t *error, const dberror_known_t *known,
                    apr_pool_t *pool)
{
    int number = trailing_number(error->native);
    int timed_out = number == ETIMEDOUT;

    if (error->host == NULL && (known->kind == DBERROR_NOT_REACHED
                                || known->kind == DBERROR_NOT_RESOLVED)) {
        error->host = quoted_host(error->native, pool);
    }
    if (known->kind == DBERROR_NOT_REACHED
        || (timed_out && (known->kind == DBERROR_GONE
                          || known->kind == DBERROR_INSECURE))) {
        explain_connect(error, number, pool);
    }
    else if (known->kind == DBERROR_NOT_RESOLVED) {
        explain_cause(error, "getaddrinfo",
                      find_cause(resolver_causes, number), pool);
    }
    else if (known->kind == DBERROR_GONE) {
        explain_lost(error);
    }
    else {
        error->name = known->name;
        error->code = known->code;
        error->message = error->native;
    }
    error->is_connection = known->kind != DBERROR_FAILED
                           && known->kind != DBERROR_VICTIM;
    error->hint = dberror_find_hint(known->number, error->native);
}

static const char *unknown_code(unsigned int number, apr_pool_t *pool)
{
    const char *source = dberror_is_clients(number) ? "CR" : "ER";

    return number == 0 ? "UNKNOWN"
                       : apr_psprintf(pool, "%s_%u", source, number);
}

/* By the class of its state: no number tells. */
static void explain_unknown(dberror_t *error)
{
    error->is_connection = dberror_verdict(error->number, error->sqlstate)
                           != DBERROR_IS_GOOD;
    error->name = strncmp(error->sqlstate, "28", 2) == 0 ? DENIED_ERROR
        : strncmp(error->sqlstate, "08", 2) == 0 ? CONNECTION_ERROR
        : DATABASE_ERROR;
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
    const dberror_known_t *known;

    fill(error, native, host, port, pool);
    known = dberror_find_number(number, error->native);
    error->number = number;
    if (sqlstate != NULL) {
        error->sqlstate = apr_pstrdup(pool, sqlstate);
    }
    if (known != NULL) {
        explain(error, known, pool);
        return;
    }
    explain_unknown(error);
    error->code = unknown_code(number, pool);
    error->message = error->native;
}

void dberror_parse(dberror_t *error, const char *native, const char *host,
                   int port, apr_pool_t *pool)
{
    const dberror_known_t *known;

    fill(error, native, host, port, pool);
    known = dberror_find_words(error->native);
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

/* What a failure means whose number nobody here has heard of: the server
 * tells by the class of its state; the client library's own happen in the
 * middle of things. */
static dberror_verdict_e judge_unknown(unsigned int number,
                                       const char *sqlstate)
{
    static const char *const statements[] = { "21", "22", "23", NULL };
    int i;

    if (dberror_is_clients(number) || strncmp(sqlstate, "08", 2) == 0) {
        return DBERROR_IS_LOST;
    }
    for (i = 0; statements[i] != NULL; i++) {
        if (strncmp(sqlstate, statements[i], 2) == 0) {
            return DBERROR_IS_GOOD;
        }
    }
    return DBERROR_IS_SUSPECT;
}

dberror_verdict_e dberror_verdict(unsigned int number, const char *sqlstate)
{
    const dberror_known_t *known = dberror_find_number(number, "");

    if (number == 0) {
        return DBERROR_IS_GOOD;
    }
    if (known == NULL) {
        return judge_unknown(number, sqlstate ? sqlstate : "");
    }
    switch (known->kind) {
    case DBERROR_FAILED:
    case DBERROR_USED_UP:
        return DBERROR_IS_GOOD;
    case DBERROR_VICTIM:
        return DBERROR_IS_VICTIM;
    case DBERROR_DECLINED:
    case DBERROR_TURNED_AWAY:
        return DBERROR_IS_SUSPECT;
    default:
        return DBERROR_IS_LOST;
    }
}

int dberror_is_closed(const dberror_t *error)
{
    const dberror_known_t *known = dberror_find_number(error->number,
                                                       error->native);

    return known == NULL
        ? dberror_verdict(error->number, error->sqlstate)
          == DBERROR_IS_SUSPECT
        : known->kind == DBERROR_TURNED_AWAY
          || known->kind == DBERROR_NOT_RESOLVED;
}

int dberror_is_clients(unsigned int number)
{
    return number >= 2000 && number < 3000;
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
