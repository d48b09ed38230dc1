/*
 * dberror.c - what a database failure is called.  The words are those of
 * libmariadb 10.11 and MariaDB 10.11, as they came over real sockets.
 */
#include "store/dberror.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <jansson.h>

#include "log/event.h"

#include "tap.h"

static apr_pool_t *pool;

#define PLACE "db.example"
#define PORT 3306
#define LOST "Connection lost: The server closed the connection."

/* One failure, and what it has to be called. */
typedef struct failure_t {
    unsigned int number;
    const char *native;
    const char *name;
    const char *code;
    const char *message;        /* NULL: the native words */
} failure_t;

/* What connecting ends in; the words alone tell these apart too. */
static const failure_t connecting[] = {
    { 2002, "Can't connect to server on '127.0.0.1' (115)",
      "SequelizeConnectionRefusedError", "ECONNREFUSED",
      "connect ECONNREFUSED db.example:3306" },
    { 2002, "Can't connect to server on '127.0.0.1' (111)",
      "SequelizeConnectionRefusedError", "ECONNREFUSED",
      "connect ECONNREFUSED db.example:3306" },
    { 2002, "Can't connect to server on '127.0.0.1' (110)",
      "SequelizeConnectionError", "ETIMEDOUT", "connect ETIMEDOUT" },
    { 2002, "Can't connect to server on '10.0.0.9' (113)",
      "SequelizeHostNotReachableError", "EHOSTUNREACH",
      "connect EHOSTUNREACH db.example:3306" },
    { 2002, "Can't connect to server on '255.255.255.255' (101)",
      "SequelizeConnectionError", "ENETUNREACH",
      "connect ENETUNREACH db.example:3306" },
    { 2002, "Can't connect to server on '10.0.0.9' (77)",
      "SequelizeConnectionError", "ECONNFAILED",
      "connect ECONNFAILED db.example:3306" },
    { 2005, "Unknown server host 'db.example' (-2)",
      "SequelizeHostNotFoundError", "ENOTFOUND",
      "getaddrinfo ENOTFOUND db.example" },
    { 2005, "Unknown server host 'db.example' (-3)",
      "SequelizeConnectionError", "EAI_AGAIN",
      "getaddrinfo EAI_AGAIN db.example" },
    { 2013, "Lost connection to server at 'handshake: reading initial "
            "communication packet', system error: 110",
      "SequelizeConnectionError", "ETIMEDOUT", "connect ETIMEDOUT" },
    { 2013, "Lost connection to server at 'reading authorization packet', "
            "system error: 110",
      "SequelizeConnectionError", "ETIMEDOUT", "connect ETIMEDOUT" },
    { 2013, "Lost connection to server at 'handshake: reading initial "
            "communication packet', system error: 11",
      "SequelizeConnectionError", "PROTOCOL_CONNECTION_LOST", LOST },
    { 2026, "TLS/SSL error: Connection timed out (110)",
      "SequelizeConnectionError", "ETIMEDOUT", "connect ETIMEDOUT" },
    { 2026, "TLS/SSL error: self-signed certificate",
      "SequelizeConnectionError", "HANDSHAKE_SSL_ERROR", NULL },
    { 2026, "TLS/SSL error: SSL is required, but the server does not support "
            "it",
      "SequelizeConnectionError", "HANDSHAKE_SSL_ERROR", NULL },
    { 2026, "TLS/SSL error: unexpected eof while reading",
      "SequelizeConnectionError", "PROTOCOL_CONNECTION_LOST", LOST },
    { 2026, "TLS/SSL error: Connection reset by peer (104)",
      "SequelizeConnectionError", "PROTOCOL_CONNECTION_LOST", LOST },
    { 3159, "Connections using insecure transport are prohibited while "
            "--require_secure_transport=ON.",
      "SequelizeConnectionError", "ER_SECURE_TRANSPORT_REQUIRED", NULL },
    { 1045, "Access denied for user 'u'@'localhost' (using password: YES)",
      "SequelizeAccessDeniedError", "ER_ACCESS_DENIED_ERROR", NULL },
    { 1044, "Access denied for user 'u'@'127.0.0.1' to database 'nodb'",
      "SequelizeConnectionError", "ER_DBACCESS_DENIED_ERROR", NULL },
    { 1049, "Unknown database 'nodb'",
      "SequelizeConnectionError", "ER_BAD_DB_ERROR", NULL },
    { 1040, "Too many connections",
      "SequelizeConnectionError", "ER_CON_COUNT_ERROR", NULL },
    { 1203, "User u already has more than 'max_user_connections' active "
            "connections",
      "SequelizeConnectionError", "ER_TOO_MANY_USER_CONNECTIONS", NULL },
    { 1226, "User 'm' has exceeded the 'max_user_connections' resource "
            "(current value: 1)",
      "SequelizeConnectionError", "ER_USER_LIMIT_REACHED", NULL },
    { 1130, "Host '10.0.0.7' is not allowed to connect to this MariaDB server",
      "SequelizeConnectionError", "ER_HOST_NOT_PRIVILEGED", NULL },
    { 2006, "Server has gone away",
      "SequelizeConnectionError", "PROTOCOL_CONNECTION_LOST", LOST },
    { 2013, "Lost connection to server during query",
      "SequelizeConnectionError", "PROTOCOL_CONNECTION_LOST", LOST },
    { 1927, "Connection was killed",
      "SequelizeConnectionError", "PROTOCOL_CONNECTION_LOST", LOST }
};

/* What statements end in, on a connection that is fine. */
static const failure_t statements[] = {
    { 1062, "Duplicate entry 'a@b.c' for key 'email'",
      "SequelizeUniqueConstraintError", "ER_DUP_ENTRY", NULL },
    { 1452, "Cannot add or update a child row: a foreign key constraint fails",
      "SequelizeForeignKeyConstraintError", "ER_NO_REFERENCED_ROW_2", NULL },
    { 1146, "Table 'patient_db.posts' doesn't exist",
      "SequelizeDatabaseError", "ER_NO_SUCH_TABLE", NULL },
    { 1064, "You have an error in your SQL syntax",
      "SequelizeDatabaseError", "ER_PARSE_ERROR", NULL },
    { 1205, "Lock wait timeout exceeded; try restarting transaction",
      "SequelizeDatabaseError", "ER_LOCK_WAIT_TIMEOUT", NULL },
    { 2008, "Client run out of memory",
      "SequelizeDatabaseError", "CR_OUT_OF_MEMORY", NULL },
    { 1213, "Deadlock found when trying to get lock; try restarting "
            "transaction",
      "SequelizeDatabaseError", "ER_LOCK_DEADLOCK", NULL },
    { 0, "", "SequelizeDatabaseError", "UNKNOWN", NULL }
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int is_called(const dberror_t *error, const failure_t *failure)
{
    const char *message = failure->message ? failure->message
                                           : failure->native;

    return error->number == failure->number
           && strcmp(error->name, failure->name) == 0
           && strcmp(error->code, failure->code) == 0
           && strcmp(error->message, message) == 0
           && strcmp(error->native, failure->native) == 0;
}

static void test_connecting(void)
{
    apr_size_t i;

    for (i = 0; i < COUNT(connecting); i++) {
        const failure_t *failure = &connecting[i];
        dberror_t error, parsed;

        dberror_set(&error, failure->number, "HY000", failure->native, PLACE,
                    PORT, pool);
        dberror_parse(&parsed, failure->native, PLACE, PORT, pool);
        if (!tap_ok(is_called(&error, failure) && is_called(&parsed, failure)
                    && error.is_connection && parsed.is_connection,
                    "%u %s is a %s: %s", failure->number, failure->native,
                    failure->name, failure->code)) {
            printf("# set: %s %s, parsed: %u %s %s\n", error.code,
                   error.message, parsed.number, parsed.code, parsed.message);
        }
    }
}

static void test_statements(void)
{
    apr_size_t i;

    for (i = 0; i < COUNT(statements); i++) {
        const failure_t *failure = &statements[i];
        dberror_t error;

        dberror_set(&error, failure->number, "42000", failure->native, PLACE,
                    PORT, pool);
        tap_ok(is_called(&error, failure) && !error.is_connection
               && strcmp(dberror_type(&error), "DB QUERY ERROR") == 0,
               "%u is a %s: %s, of the statement alone", failure->number,
               failure->name, failure->code);
    }
}

static void test_words_of_mod_dbd(void)
{
    dberror_t error;

    dberror_parse(&error, "Can't connect to mysql: Access denied for user "
                  "'u'@'localhost' (using password: YES)", PLACE, PORT, pool);
    tap_is(error.number, 1045, "what mod_dbd puts in front does not hide it");
    dberror_parse(&error, "Can't connect to mysql: Can't connect to server "
                  "on 'db.example' (110)", PLACE, PORT, pool);
    tap_is_str(error.code, "ETIMEDOUT", "nor the reason of a failed connect");
    dberror_parse(&error, "DBD [mysql] Error: Server has gone away", PLACE,
                  PORT, pool);
    tap_is_str(error.code, "PROTOCOL_CONNECTION_LOST",
               "nor that a connection is gone");
    dberror_parse(&error, "something that nobody foresaw", PLACE, PORT, pool);
    tap_ok(error.number == 0 && error.is_connection
           && strcmp(error.name, "SequelizeConnectionError") == 0,
           "unknown words are a failed connection");
    dberror_parse(&error, NULL, NULL, 0, pool);
    tap_ok(error.is_connection && error.native[0] == '\0',
           "and so are no words");
}

static void test_verdicts(void)
{
    static const struct {
        unsigned int number;
        const char *sqlstate;
        dberror_verdict_e verdict;
    } verdicts[] = {
        { 2006, NULL, DBERROR_IS_LOST }, { 2013, NULL, DBERROR_IS_LOST },
        { 2026, NULL, DBERROR_IS_LOST }, { 2055, NULL, DBERROR_IS_LOST },
        { 1053, NULL, DBERROR_IS_LOST }, { 1927, NULL, DBERROR_IS_LOST },
        { 4031, NULL, DBERROR_IS_LOST }, { 2999, "HY000", DBERROR_IS_LOST },
        { 9999, "08S01", DBERROR_IS_LOST },
        { 1290, NULL, DBERROR_IS_SUSPECT }, { 1792, NULL, DBERROR_IS_SUSPECT },
        { 1820, NULL, DBERROR_IS_SUSPECT }, { 1836, NULL, DBERROR_IS_SUSPECT },
        { 1862, NULL, DBERROR_IS_SUSPECT }, { 1874, NULL, DBERROR_IS_SUSPECT },
        { 1142, NULL, DBERROR_IS_SUSPECT }, { 1044, NULL, DBERROR_IS_SUSPECT },
        { 1045, NULL, DBERROR_IS_SUSPECT }, { 1243, NULL, DBERROR_IS_SUSPECT },
        { 1615, NULL, DBERROR_IS_SUSPECT }, { 3024, NULL, DBERROR_IS_SUSPECT },
        { 1969, NULL, DBERROR_IS_SUSPECT }, { 1317, NULL, DBERROR_IS_SUSPECT },
        { 1047, NULL, DBERROR_IS_SUSPECT }, { 2030, NULL, DBERROR_IS_SUSPECT },
        { 9999, "HY000", DBERROR_IS_SUSPECT },
        { 9999, NULL, DBERROR_IS_SUSPECT },
        { 0, NULL, DBERROR_IS_GOOD }, { 1062, NULL, DBERROR_IS_GOOD },
        { 1213, "40001", DBERROR_IS_VICTIM },
        { 3101, NULL, DBERROR_IS_VICTIM }, { 1180, NULL, DBERROR_IS_LOST },
        { 3100, NULL, DBERROR_IS_SUSPECT }, { 3989, NULL, DBERROR_IS_SUSPECT },
        { 1205, NULL, DBERROR_IS_GOOD }, { 1461, NULL, DBERROR_IS_GOOD },
        { 1146, NULL, DBERROR_IS_GOOD }, { 9999, "22001", DBERROR_IS_GOOD },
        { 9999, "23000", DBERROR_IS_GOOD }
    };
    apr_size_t i;

    for (i = 0; i < COUNT(verdicts); i++) {
        tap_ok(dberror_verdict(verdicts[i].number, verdicts[i].sqlstate)
               == verdicts[i].verdict, "what %u %s means for the connection",
               verdicts[i].number,
               verdicts[i].sqlstate ? verdicts[i].sqlstate : "");
    }
}

/* A server that speaks another language is known by its number. */
static void test_declined(void)
{
    static const unsigned int declined[] = { 1290, 1792, 1836, 1142, 1021 };
    apr_size_t i;
    dberror_t error;

    for (i = 0; i < COUNT(declined); i++) {
        dberror_set(&error, declined[i], "HY000", "읽기 전용", PLACE, PORT,
                    pool);
        tap_ok(error.is_connection && error.hint != NULL
               && strncmp(error.code, "ER_", 3) == 0
               && strcmp(error.name, "SequelizeDatabaseError") == 0,
               "%u %s is the database's failure, with a hint", declined[i],
               error.code);
    }
    dberror_set(&error, 9999, "28000", "nein", PLACE, PORT, pool);
    tap_is_str(error.name, "SequelizeAccessDeniedError",
               "a number that is not known is told by its state");
}

static void test_host_from_words(void)
{
    dberror_t error;

    dberror_set(&error, 2002, NULL,
                "Can't connect to server on 'db.internal' (115)", NULL, 0,
                pool);
    tap_is_str(error.message, "connect ECONNREFUSED db.internal",
               "a host that only the option file knows is read off the words");
    dberror_set(&error, 2002, NULL, "Can't connect to local server through "
                "socket '/run/mysqld/mysqld.sock' (2)", NULL, 0, pool);
    tap_is_str(error.message, "connect ENOENT /run/mysqld/mysqld.sock",
               "and so is a socket's path");
    dberror_set(&error, 2013, NULL, "Lost connection to server at 'handshake: "
                "reading initial communication packet', system error: 110",
                NULL, 0, pool);
    tap_ok(error.host == NULL, "but not what is no host");
}

static json_t *describe(const dberror_t *error)
{
    event_t event;

    event_open(&event, EVENT_ERROR, dberror_type(error), 0);
    dberror_describe(error, &event);
    return json_loads(event_close(&event), JSON_REJECT_DUPLICATES, NULL);
}

/* Whether what is said of these words names the setting. */
static void is_hinted(const char *native, const char *setting)
{
    dberror_t error;
    json_t *line;
    const char *hint;

    dberror_parse(&error, native, PLACE, PORT, pool);
    line = describe(&error);
    hint = json_string_value(json_object_get(line, "hint"));
    tap_ok(setting ? hint && strstr(hint, setting) : hint == NULL,
           "%s: %s", native, setting ? setting : "no hint");
    json_decref(line);
}

static void test_hints(void)
{
    is_hinted("TLS/SSL error: self-signed certificate in certificate chain",
              "DB_SSL_CA");
    is_hinted("TLS/SSL error: certificate has expired", "DB_SSL_CA");
    is_hinted("Unknown or incorrect time zone: '+14:00'", "DB_TIMEZONE");
    is_hinted("TLS/SSL error: Validation of SSL server certificate failed",
              "DB_HOST");
    is_hinted("TLS/SSL error: SSL is required, but the server does not "
              "support it", "DB_SSL_CA");
    is_hinted("Connections using insecure transport are prohibited while "
              "--require_secure_transport=ON.", "DB_SSL_CA");
    is_hinted("TLS/SSL error: unexpected eof while reading", NULL);
    is_hinted("TLS/SSL error: Connection timed out (110)", NULL);
    is_hinted("Unknown server host 'certificate' (-2)", NULL);
    is_hinted("Access denied for user 'certificate'@'localhost' (using "
              "password: YES)", "DB_PASSWORD_FILE");
}

static void test_copies(void)
{
    char native[] = "Unknown database 'a'", host[] = "one";
    dberror_t error;

    dberror_set(&error, 1049, NULL, native, host, 0, pool);
    native[0] = host[0] = '!';
    tap_ok(error.native[0] == 'U' && error.host[0] == 'o',
           "the words and the host are copied");
    tap_is_str(error.sqlstate, "", "no SQLSTATE is an empty one");
}

static void test_description(void)
{
    dberror_t error;
    json_t *line;

    dberror_set(&error, 2002, "HY000",
                "Can't connect to server on '10.1.2.3' (115)", PLACE, PORT,
                pool);
    line = describe(&error);
    tap_is_str(json_string_value(json_object_get(line, "error")),
               "SequelizeConnectionRefusedError: connect ECONNREFUSED "
               "db.example:3306", "the line names the failure");
    tap_is_str(json_string_value(json_object_get(line, "parent")),
               "SequelizeConnectionError", "and its kind");
    tap_is_str(json_string_value(json_object_get(line, "type")),
               "DB CONNECTION ERROR", "and its type");
    tap_ok(json_integer_value(json_object_get(line, "mysql_errno")) == 2002
           && json_integer_value(json_object_get(line, "port")) == PORT
           && strcmp(json_string_value(json_object_get(line, "host")), PLACE)
              == 0
           && strcmp(json_string_value(json_object_get(line, "code")),
                     "ECONNREFUSED") == 0, "with the place and the number");
    tap_is_str(json_string_value(json_object_get(line, "native")),
               "Can't connect to server on '10.1.2.3' (115)",
               "and what the library said");
    tap_is_str(dberror_text(&error, pool),
               json_string_value(json_object_get(line, "error")),
               "the text alone is the same");
    json_decref(line);

    dberror_set(&error, 1062, "23000", "Duplicate entry", NULL, 0, pool);
    line = describe(&error);
    tap_ok(json_object_get(line, "parent") == NULL
           && json_object_get(line, "host") == NULL
           && json_object_get(line, "port") == NULL,
           "a statement's failure is no connection's");
    json_decref(line);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_connecting();
    test_statements();
    test_words_of_mod_dbd();
    test_verdicts();
    test_declined();
    test_host_from_words();
    test_hints();
    test_copies();
    test_description();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
