/*
 * dberror_known.c - the table of MySQL's and MariaDB's numbers.
 */
#include "store/dberror_known.h"

#include <stddef.h>
#include <string.h>

#define FOREIGN_KEY_ERROR "SequelizeForeignKeyConstraintError"

/* Short enough for the rows. */
#define NOT_REACHED DBERROR_NOT_REACHED
#define NOT_RESOLVED DBERROR_NOT_RESOLVED
#define TURNED_AWAY DBERROR_TURNED_AWAY
#define INSECURE DBERROR_INSECURE
#define GONE DBERROR_GONE
#define DECLINED DBERROR_DECLINED
#define USED_UP DBERROR_USED_UP
#define VICTIM DBERROR_VICTIM
#define UNSURE DBERROR_UNSURE
#define FAILED DBERROR_FAILED

/* Numbers, codes and words are MySQL's and MariaDB's; the names are what
 * Sequelize's MySQL dialect makes of them.  A text is searched for the words
 * of a row only after those of the rows above it; of several rows with one
 * number, the last stands for all other words. */
static const dberror_known_t known_errors[] = {
    { 2002, NOT_REACHED, NULL, NULL, " server on '" },
    { 2002, NOT_REACHED, NULL, NULL, " server through socket '" },
    { 2003, NOT_REACHED, NULL, NULL, NULL },
    { 2005, NOT_RESOLVED, NULL, NULL, "Unknown server host" },

    { 1044, TURNED_AWAY, CONNECTION_ERROR, "ER_DBACCESS_DENIED_ERROR",
      "' to database '" },
    { 1698, TURNED_AWAY, DENIED_ERROR,
      "ER_ACCESS_DENIED_NO_PASSWORD_ERROR", NULL },
    { 1045, TURNED_AWAY, DENIED_ERROR, "ER_ACCESS_DENIED_ERROR",
      "Access denied for user" },
    { 1040, TURNED_AWAY, CONNECTION_ERROR, "ER_CON_COUNT_ERROR",
      "Too many connections" },
    { 1203, TURNED_AWAY, CONNECTION_ERROR, "ER_TOO_MANY_USER_CONNECTIONS",
      "active connections" },
    { 1226, TURNED_AWAY, CONNECTION_ERROR, "ER_USER_LIMIT_REACHED",
      "has exceeded the '" },
    { 1041, TURNED_AWAY, CONNECTION_ERROR, "ER_OUT_OF_RESOURCES", NULL },
    { 1135, TURNED_AWAY, CONNECTION_ERROR, "ER_CANT_CREATE_THREAD", NULL },
    { 1049, TURNED_AWAY, CONNECTION_ERROR, "ER_BAD_DB_ERROR",
      "Unknown database" },
    { 1129, TURNED_AWAY, CONNECTION_ERROR, "ER_HOST_IS_BLOCKED",
      "is blocked because of many connection" },
    { 1130, TURNED_AWAY, CONNECTION_ERROR, "ER_HOST_NOT_PRIVILEGED",
      "is not allowed to connect" },
    { 1251, TURNED_AWAY, CONNECTION_ERROR, "ER_NOT_SUPPORTED_AUTH_MODE", NULL },
    { 1820, TURNED_AWAY, CONNECTION_ERROR, "ER_MUST_CHANGE_PASSWORD", NULL },
    { 1862, TURNED_AWAY, CONNECTION_ERROR, "ER_MUST_CHANGE_PASSWORD_LOGIN",
      NULL },
    { 3032, TURNED_AWAY, CONNECTION_ERROR, "ER_SERVER_OFFLINE_MODE", NULL },
    { 3118, TURNED_AWAY, CONNECTION_ERROR, "ER_ACCOUNT_HAS_BEEN_LOCKED", NULL },
    { 3955, TURNED_AWAY, CONNECTION_ERROR,
      "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED", NULL },
    { 4150, TURNED_AWAY, CONNECTION_ERROR, "ER_USER_IS_BLOCKED", NULL },
    { 4151, TURNED_AWAY, CONNECTION_ERROR, "ER_ACCOUNT_HAS_BEEN_LOCKED", NULL },
    { 1298, TURNED_AWAY, CONNECTION_ERROR, "ER_UNKNOWN_TIME_ZONE",
      "nknown or incorrect time zone" },
    { 2012, TURNED_AWAY, CONNECTION_ERROR, "CR_SERVER_HANDSHAKE_ERR",
      "Error in server handshake" },
    { 2026, GONE, NULL, NULL, "TLS/SSL error: unexpected eof" },
    { 2026, GONE, NULL, NULL, "TLS/SSL error: Connection reset by peer" },
    { 2026, GONE, NULL, NULL, "TLS/SSL error: Broken pipe" },
    { 2026, INSECURE, CONNECTION_ERROR, "HANDSHAKE_SSL_ERROR",
      "TLS/SSL error: " },
    { 2059, TURNED_AWAY, CONNECTION_ERROR, "CR_AUTH_PLUGIN_CANNOT_LOAD",
      "uthentication plugin" },
    { 3159, TURNED_AWAY, CONNECTION_ERROR,
      "ER_SECURE_TRANSPORT_REQUIRED", "require_secure_transport" },

    { 2006, GONE, NULL, NULL, "erver has gone away" },
    { 2013, GONE, NULL, NULL, "Lost connection to " },
    { 1053, GONE, NULL, NULL, "shutdown in progress" },
    { 1080, GONE, NULL, NULL, NULL },
    { 1152, GONE, NULL, NULL, NULL },
    { 1158, GONE, NULL, NULL, NULL },
    { 1159, GONE, NULL, NULL, NULL },
    { 1160, GONE, NULL, NULL, NULL },
    { 1161, GONE, NULL, NULL, NULL },
    { 1184, GONE, NULL, NULL, NULL },
    { 1927, GONE, NULL, NULL, "Connection was killed" },
    { 2027, GONE, NULL, NULL, "Malformed packet" },
    { 2055, GONE, NULL, NULL, NULL },
    { 3169, GONE, NULL, NULL, NULL },
    { 4031, GONE, NULL, NULL, "because of inactivity" },

    { 1021, DECLINED, DATABASE_ERROR, "ER_DISK_FULL", NULL },
    { 1026, DECLINED, DATABASE_ERROR, "ER_ERROR_ON_WRITE", NULL },
    { 1030, DECLINED, DATABASE_ERROR, "ER_GET_ERRNO", NULL },
    { 1046, DECLINED, DATABASE_ERROR, "ER_NO_DB_ERROR", NULL },
    { 1047, DECLINED, DATABASE_ERROR, "ER_UNKNOWN_COM_ERROR", NULL },
    { 1114, DECLINED, DATABASE_ERROR, "ER_RECORD_FILE_FULL", NULL },
    { 1142, DECLINED, DATABASE_ERROR, "ER_TABLEACCESS_DENIED_ERROR", NULL },
    { 1143, DECLINED, DATABASE_ERROR, "ER_COLUMNACCESS_DENIED_ERROR", NULL },
    { 1223, DECLINED, DATABASE_ERROR, "ER_CANT_UPDATE_WITH_READLOCK", NULL },
    { 1227, DECLINED, DATABASE_ERROR, "ER_SPECIFIC_ACCESS_DENIED_ERROR", NULL },
    { 1243, DECLINED, DATABASE_ERROR, "ER_UNKNOWN_STMT_HANDLER", NULL },
    { 1290, DECLINED, DATABASE_ERROR, "ER_OPTION_PREVENTS_STATEMENT", NULL },
    { 1317, DECLINED, DATABASE_ERROR, "ER_QUERY_INTERRUPTED", NULL },
    { 1370, DECLINED, DATABASE_ERROR, "ER_PROCACCESS_DENIED_ERROR", NULL },
    { 1615, DECLINED, DATABASE_ERROR, "ER_NEED_REPREPARE", NULL },
    { 1792, DECLINED, DATABASE_ERROR,
      "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", NULL },
    { 1836, DECLINED, DATABASE_ERROR, "ER_READ_ONLY_MODE", NULL },
    { 1874, DECLINED, DATABASE_ERROR, "ER_INNODB_READ_ONLY", NULL },
    { 1881, DECLINED, DATABASE_ERROR, "ER_INNODB_FORCED_RECOVERY", NULL },
    { 1969, DECLINED, DATABASE_ERROR, "ER_STATEMENT_TIMEOUT", NULL },
    { 3024, DECLINED, DATABASE_ERROR, "ER_QUERY_TIMEOUT", NULL },
    { 3100, DECLINED, DATABASE_ERROR, "ER_RUN_HOOK_ERROR", NULL },
    { 3989, DECLINED, DATABASE_ERROR, "ER_SCHEMA_READ_ONLY", NULL },
    { 2014, DECLINED, DATABASE_ERROR, "CR_COMMANDS_OUT_OF_SYNC", NULL },
    { 2030, DECLINED, DATABASE_ERROR, "CR_NO_PREPARE_STMT", NULL },

    { 1037, USED_UP, DATABASE_ERROR, "ER_OUTOFMEMORY", NULL },
    { 1038, USED_UP, DATABASE_ERROR, "ER_OUT_OF_SORTMEMORY", NULL },
    { 1206, USED_UP, DATABASE_ERROR, "ER_LOCK_TABLE_FULL", NULL },
    { 1461, USED_UP, DATABASE_ERROR, "ER_MAX_PREPARED_STMT_COUNT_REACHED",
      NULL },
    { 1637, USED_UP, DATABASE_ERROR, "ER_TOO_MANY_CONCURRENT_TRXS", NULL },

    { 1020, VICTIM, DATABASE_ERROR, "ER_CHECKREAD", NULL },
    { 1213, VICTIM, DATABASE_ERROR, "ER_LOCK_DEADLOCK", NULL },
    { 3101, VICTIM, DATABASE_ERROR, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT",
      NULL },

    { 1180, UNSURE, DATABASE_ERROR, "ER_ERROR_DURING_COMMIT", NULL },

    { 1062, FAILED, "SequelizeUniqueConstraintError", "ER_DUP_ENTRY", NULL },
    { 1451, FAILED, FOREIGN_KEY_ERROR, "ER_ROW_IS_REFERENCED_2", NULL },
    { 1452, FAILED, FOREIGN_KEY_ERROR, "ER_NO_REFERENCED_ROW_2", NULL },
    { 1048, FAILED, DATABASE_ERROR, "ER_BAD_NULL_ERROR", NULL },
    { 1054, FAILED, DATABASE_ERROR, "ER_BAD_FIELD_ERROR", NULL },
    { 1064, FAILED, DATABASE_ERROR, "ER_PARSE_ERROR", NULL },
    { 1146, FAILED, DATABASE_ERROR, "ER_NO_SUCH_TABLE", NULL },
    { 1193, FAILED, DATABASE_ERROR, "ER_UNKNOWN_SYSTEM_VARIABLE", NULL },
    { 1205, FAILED, DATABASE_ERROR, "ER_LOCK_WAIT_TIMEOUT", NULL },
    { 1264, FAILED, DATABASE_ERROR, "ER_WARN_DATA_OUT_OF_RANGE", NULL },
    { 1265, FAILED, DATABASE_ERROR, "WARN_DATA_TRUNCATED", NULL },
    { 1267, FAILED, DATABASE_ERROR, "ER_CANT_AGGREGATE_2COLLATIONS", NULL },
    { 1292, FAILED, DATABASE_ERROR, "ER_TRUNCATED_WRONG_VALUE", NULL },
    { 1364, FAILED, DATABASE_ERROR, "ER_NO_DEFAULT_FOR_FIELD", NULL },
    { 1366, FAILED, DATABASE_ERROR, "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD",
      NULL },
    { 1406, FAILED, DATABASE_ERROR, "ER_DATA_TOO_LONG", NULL },
    { 2008, FAILED, DATABASE_ERROR, "CR_OUT_OF_MEMORY", NULL },
    { 2020, FAILED, DATABASE_ERROR, "CR_NET_PACKET_TOO_LARGE", NULL }
};

#define KNOWN_ERRORS (sizeof(known_errors) / sizeof(known_errors[0]))

#define READ_ONLY_HINT "the database takes no writes: it is read-only, or " \
    "DB_HOST leads to a replica"
#define PASSWORD_HINT "is the password still the account's? It is read anew " \
    "from DB_PASSWORD_FILE; DB_PASSWORD takes a restart (on ECS, a new " \
    "deployment)"
#define EXPIRED_HINT "the account's password has expired: set a new one " \
    "there (and in DB_PASSWORD_FILE or DB_PASSWORD)"
#define LOCKED_HINT "the account is locked: ALTER USER ... ACCOUNT UNLOCK"
#define CONNECTIONS_HINT "DB_POOL_MAX times the number of tasks is more " \
    "than the server's max_connections (or the account's) has room for"
#define GRANT_HINT "the account lacks rights on DB_NAME: GRANT them"
#define FULL_HINT "the database's storage is full"

/* What to do, where it is a setting or the server's state that is wrong. */
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
    { 3159, "", "the server wants TLS: set DB_SSL_CA" },
    { 1290, "", READ_ONLY_HINT },
    { 1792, "", READ_ONLY_HINT },
    { 1836, "", READ_ONLY_HINT },
    { 1874, "", READ_ONLY_HINT },
    { 1881, "", READ_ONLY_HINT },
    { 3989, "", READ_ONLY_HINT },
    { 1045, "", PASSWORD_HINT },
    { 1698, "", PASSWORD_HINT },
    { 1820, "", EXPIRED_HINT },
    { 1862, "", EXPIRED_HINT },
    { 3118, "", LOCKED_HINT },
    { 3955, "", LOCKED_HINT },
    { 4150, "", LOCKED_HINT },
    { 4151, "", LOCKED_HINT },
    { 1040, "", CONNECTIONS_HINT },
    { 1203, "", CONNECTIONS_HINT },
    { 1226, "", CONNECTIONS_HINT },
    { 1044, "", GRANT_HINT },
    { 1142, "", GRANT_HINT },
    { 1143, "", GRANT_HINT },
    { 1227, "", GRANT_HINT },
    { 1370, "", GRANT_HINT },
    { 1021, "", FULL_HINT },
    { 1114, "", FULL_HINT },
    { 1298, "", "DB_TIMEZONE is no zone of this server" },
    { 1049, "", "the server has no database DB_NAME" },
    { 1129, "", "the server blocks this host: FLUSH HOSTS there" },
    { 1130, "", "the account may not connect from this host" },
    { 1054, "", "a column is missing: sql/schema.sql names those that the "
      "tables must have" },
    { 1146, "", "a table is missing: apply sql/schema.sql" },
    { 1364, "", "a column that sql/schema.sql does not name needs a DEFAULT, "
      "or may be NULL" },
    { 1461, "", "the server's max_prepared_stmt_count is reached" },
    { 1969, "", "the server's max_statement_time is too short" },
    { 3024, "", "the server's max_execution_time is too short" },
    { 3032, "", "the server is in offline_mode" }
};

#define HINTS (sizeof(hints) / sizeof(hints[0]))

static int has_words(const dberror_known_t *known, const char *native)
{
    return known->words != NULL && strstr(native, known->words) != NULL;
}

const dberror_known_t *dberror_find_number(unsigned int number,
                                           const char *native)
{
    const dberror_known_t *found = NULL;
    size_t i;

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

const dberror_known_t *dberror_find_words(const char *native)
{
    size_t i;

    for (i = 0; i < KNOWN_ERRORS; i++) {
        if (has_words(&known_errors[i], native)) {
            return &known_errors[i];
        }
    }
    return NULL;
}

const char *dberror_find_hint(unsigned int number, const char *native)
{
    size_t i;

    for (i = 0; i < HINTS; i++) {
        if (hints[i].number == number
            && strstr(native, hints[i].words) != NULL) {
            return hints[i].hint;
        }
    }
    return NULL;
}
