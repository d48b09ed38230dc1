/*
 * doctor_rules.c - each illness is found by what its lines say, and by what
 * people call it; and nothing else is taken for one.
 */
#include "doctor/rules.h"

#include <apr_general.h>

#include "tap.h"

static const char *label(const rule_t *rule)
{
    return rule ? rule->label : NULL;
}

/* The illness of one line. */
static const char *line(const char *text)
{
    json_t *value = json_loads(text, JSON_ALLOW_NUL, NULL);
    const rule_t *rule = rule_of_line(value);

    if (value == NULL) {
        printf("# no JSON: %s\n", text);
    }
    json_decref(value);
    return label(rule);
}

typedef struct example_t {
    const char *text;
    const char *label;
} example_t;

static const example_t lines[] = {
    /* the seed's own line */
    { "{\"level\":\"error\",\"type\":\"DB CONNECTION ERROR\","
      "\"error\":\"SequelizeConnectionError: connect ETIMEDOUT\","
      "\"code\":\"ETIMEDOUT\"}", "db-failure" },
    { "{\"type\":\"POOL ERROR\",\"error\":\"x\"}", "pool-exhaustion" },
    { "{\"type\":\"POOL WARNING\"}", "pool-exhaustion" },
    { "{\"level\":\"warning\",\"message\":\"waiting for a connection\"}",
      "pool-exhaustion" },
    { "{\"type\":\"MEMORY WARNING\"}", "memory-leak" },
    { "{\"type\":\"MEMORY CRITICAL\"}", "memory-leak" },
    { "{\"type\":\"MEMORY ERROR\"}", "memory-leak" },
    { "{\"type\":\"PERFORMANCE ERROR\"}", "slow-query" },
    { "{\"type\":\"API TIMEOUT ERROR\",\"error\":\"Error: connect "
      "ETIMEDOUT\"}", "api-timeout" },
    { "{\"type\":\"JWT ERROR\"}", "jwt-expiry" },
    { "{\"type\":\"CPU ERROR\"}", "high-cpu" },
    /* not ours */
    { "{\"level\":\"error\",\"message\":\"SequelizeConnectionError: connect "
      "ETIMEDOUT\"}", "db-failure" },
    { "{\"error\":\"SequelizeConnectionRefusedError: connect ECONNREFUSED "
      "10.0.0.1:3306\"}", "db-failure" },
    { "{\"error\":\"a wrapped one\",\"parent\":\"SequelizeConnectionError\"}",
      "db-failure" },
    { "{\"error\":{\"name\":\"SequelizeHostNotFoundError\"}}",
      "db-failure" },
    { "{\"message\":\"SequelizeConnectionAcquireTimeoutError: "
      "ResourceRequest timed out\"}", "pool-exhaustion" },
    { "{\"message\":\"FATAL ERROR: Reached heap limit Allocation failed - "
      "JavaScript heap out of memory\"}", "memory-leak" },
    { "{\"message\":\"Query execution time: 1234ms\"}", "slow-query" },
    { "{\"error\":\"Error: connect ETIMEDOUT\"}", "api-timeout" },
    { "{\"type\":\"ERROR\",\"error\":\"TokenExpiredError: jwt expired\"}",
      "jwt-expiry" },
    { "{\"message\":\"a\\u0000 CPU usage: 98%\"}", "high-cpu" },
    /* nothing that is one of the seven */
    { "{\"level\":\"error\",\"type\":\"DB QUERY ERROR\",\"error\":\""
      "SequelizeDatabaseError: Table doesn't exist\"}", NULL },
    { "{\"level\":\"warning\",\"type\":\"CONFIGURATION WARNING\","
      "\"message\":\"operator routes are open\"}", NULL },
    { "{\"level\":\"error\",\"type\":\"PROCESS ERROR\"}", NULL },
    { "{\"level\":\"info\",\"type\":\"REQUEST\",\"error\":\"ETIMEDOUT\"}",
      NULL },
    { "{\"level\":\"error\",\"type\":\"HTTPD\",\"message\":\"invalid method "
      "TokenExpiredError\"}", NULL },
    { "{\"path\":\"/SequelizeConnectionError\",\"userAgent\":\"ETIMEDOUT\"}",
      NULL },
    { "{\"type\":[\"CPU ERROR\"],\"error\":[\"ETIMEDOUT\"],\"level\":{}}",
      NULL },
    { "{\"type\":7,\"error\":{\"name\":7,\"message\":null}}", NULL },
    { "{}", NULL },
    { "[]", NULL }
};

static const example_t names[] = {
    { "db-failure", "db-failure" },
    { "DB_FAILURE", "db-failure" },
    { "Database connection failure (RDS)", "db-failure" },
    { "SequelizeConnectionError: connect ETIMEDOUT", "db-failure" },
    { "데이터베이스 연결 실패", "db-failure" },
    { "Database connection pool exhausted", "pool-exhaustion" },
    { "pool-exhaustion", "pool-exhaustion" },
    { "커넥션 풀이 고갈됨", "pool-exhaustion" },
    { "ResourceRequest timed out", "pool-exhaustion" },
    { "Memory Leak", "memory-leak" },
    { "OOM kill of the task", "memory-leak" },
    { "메모리 누수", "memory-leak" },
    { "N+1 query", "slow-query" },
    { "slow_queries", "slow-query" },
    { "API Timeout", "api-timeout" },
    { "api_timeout", "api-timeout" },
    { "JWT expiry", "jwt-expiry" },
    { "TokenExpiredError", "jwt-expiry" },
    { "JWT 만료", "jwt-expiry" },
    { "High CPU usage: 98%", "high-cpu" },
    { "CPU 과부하가 지속", "high-cpu" },
    { "disk full", NULL },
    { "zoom", NULL },
    { "section 12", NULL },
    { "", NULL }
};

int main(void)
{
    const rule_t *rule;
    char long_text[5000];
    size_t i;
    int count = 0;

    apr_initialize();
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        tap_is_str(line(lines[i].text), lines[i].label, lines[i].text);
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tap_is_str(label(rule_named(names[i].text)), names[i].label,
                   names[i].text);
    }
    for (rule = rules; rule->label != NULL; rule++, count++) {
        tap_is_str(label(rule_named(rule->label)), rule->label,
                   "a label is a name");
        tap_is_str(label(rule_named(rule->title)), rule->label,
                   "... and so is a title");
        tap_is_str(label(rule_named(rule->types[0])), rule->label,
                   "... and the log's type");
        tap_ok(rule_rank(rule->severity) > 0, "%s has a severity",
               rule->label);
    }
    tap_is(count, 7, "there are seven");
    memset(long_text, ',', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    tap_is_str(label(rule_named(long_text)), NULL, "a long text is no name");
    memset(long_text, 'x', sizeof(long_text) - 1);
    tap_is_str(label(rule_named(long_text)), NULL, "... whatever is in it");
    tap_is_str(label(rule_named("\xff\xfe")), NULL, "nor are mere bytes");
    tap_ok(rule_rank("critical") > rule_rank("high")
           && rule_rank("high") > rule_rank("medium")
           && rule_rank("medium") > rule_rank("none")
           && rule_rank("?") == 0, "severities have an order");
    apr_terminate();
    return tap_done();
}
