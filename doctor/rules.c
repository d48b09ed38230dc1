/*
 * rules.c - what each illness looks like in a log, and what to do about it.
 *
 * A line goes to the first row whose type it has, or else to the first whose
 * words it holds.  So the order counts: a database that cannot be reached
 * says ETIMEDOUT, too, but says more than that.
 */
#include "rules.h"

#include <string.h>

#include <apr_lib.h>

#define LIST(...) (const char *const[]){ __VA_ARGS__, NULL }

/* As much of a text as is looked at for a name. */
#define NAME_MAX_BYTES 1000

const rule_t rules[] = {
    { .label = "db-failure",
      .title = "DB Connection Failure",
      .severity = "critical",
      .resource = "RDS: the database and its endpoint",
      .diagnosis_en = "check the RDS endpoint",
      .diagnosis_ko = "RDS 엔드포인트 확인 필요",
      .types = LIST("DB CONNECTION ERROR"),
      .patterns = LIST(
          "SequelizeConnectionError", "SequelizeConnectionRefusedError",
          "SequelizeConnectionTimedOutError", "SequelizeHostNotFoundError",
          "SequelizeHostNotReachableError", "SequelizeAccessDeniedError",
          "SequelizeInvalidConnectionError"),
      .names = LIST(
          "db failure", "db fail", "db connection failure",
          "db connection failed", "db connection error",
          "db connection timeout", "database failure",
          "database connection failure", "database connection failed",
          "database connection error", "database connection timeout",
          "database unreachable", "database unavailable", "database outage",
          "database down", "rds connection failure", "rds connection error",
          "rds endpoint", "db 연결 실패", "db 연결 오류",
          "데이터베이스 연결 실패", "데이터베이스 연결 오류",
          "rds 연결 실패", "rds 엔드포인트") },
    { .label = "pool-exhaustion",
      .title = "Pool Exhaustion",
      .severity = "critical",
      .resource = "ECS service: the pool of database connections",
      .diagnosis_en = "raise the number of ECS tasks",
      .diagnosis_ko = "ECS Task 수 증가 권장",
      .types = LIST("POOL WARNING", "POOL ERROR"),
      .patterns = LIST("waiting for a connection",
                       "ResourceRequest timed out",
                       "SequelizeConnectionAcquireTimeoutError"),
      .names = LIST(
          "pool exhaustion", "pool exhausted", "connection pool",
          "pool error", "pool warning", "pool timeout", "커넥션 풀",
          "연결 풀", "풀 고갈") },
    { .label = "memory-leak",
      .title = "Memory Leak",
      .severity = "critical",
      .resource = "ECS task: memory",
      .diagnosis_en = "raise the task memory from 512 MB to 1 GB",
      .diagnosis_ko = "Task 메모리 512MB → 1GB",
      .types = LIST("MEMORY WARNING", "MEMORY CRITICAL", "MEMORY ERROR"),
      .patterns = LIST("JavaScript heap out of memory"),
      .names = LIST(
          "memory leak", "memory leakage", "out of memory", "oom",
          "memory exhaustion", "memory exhausted", "memory usage",
          "memory pressure", "high memory", "memory warning",
          "memory critical", "memory error", "메모리") },
    { .label = "slow-query",
      .title = "Slow Query (N+1)",
      .severity = "medium",
      .resource = "RDS: the queries of the list of posts",
      .diagnosis_en = "use a JOIN query",
      .diagnosis_ko = "JOIN 쿼리 사용 권장",
      .types = LIST("PERFORMANCE ERROR"),
      .patterns = LIST("Query execution time: "),
      .names = LIST(
          "slow query", "slow queries", "slow database query", "n 1",
          "n 1 query", "query performance", "performance error",
          "느린 쿼리", "슬로우 쿼리", "쿼리 성능", "쿼리 지연") },
    { .label = "api-timeout",
      .title = "API Timeout",
      .severity = "high",
      .resource = "ECS task: its calls to another service",
      .diagnosis_en = "raise the timeout",
      .diagnosis_ko = "타임아웃 설정 증가",
      .types = LIST("API TIMEOUT ERROR"),
      .patterns = LIST("ETIMEDOUT"),
      .names = LIST(
          "api timeout", "api timeouts", "upstream timeout",
          "upstream service", "external api", "external service",
          "external service timeout", "gateway timeout", "api 타임아웃",
          "외부 api", "외부 서비스") },
    { .label = "jwt-expiry",
      .title = "JWT Expiry",
      .severity = "medium",
      .resource = "ECS task: the lifetime of tokens",
      .diagnosis_en = "raise expiresIn to 24h",
      .diagnosis_ko = "expiresIn 24h로 증가",
      .types = LIST("JWT ERROR"),
      .patterns = LIST("TokenExpiredError"),
      .names = LIST(
          "jwt expiry", "jwt expiration", "jwt expired", "jwt error",
          "jwt token expiry", "jwt token expiration", "jwt token expired",
          "token expiry", "token expiration", "token expired",
          "expired token", "expired tokens", "expired jwt", "jwt 만료",
          "토큰 만료") },
    { .label = "high-cpu",
      .title = "High CPU",
      .severity = "high",
      .resource = "ECS task: CPU",
      .diagnosis_en = "optimise the code",
      .diagnosis_ko = "코드 최적화 필요",
      .types = LIST("CPU ERROR"),
      .patterns = LIST("CPU usage: "),
      .names = LIST(
          "high cpu", "cpu usage", "cpu error", "cpu overload",
          "cpu saturation", "cpu exhaustion", "cpu spike", "cpu utilization",
          "cpu 과부하", "cpu 사용", "높은 cpu") },
    { .label = NULL }
};

/* ---- lines ---- */

/* Strings of JSON may hold NUL bytes: strstr() would miss what follows. */
static int holds(const json_t *value, const char *words)
{
    return json_is_string(value)
        && memmem(json_string_value(value), json_string_length(value), words,
                  strlen(words)) != NULL;
}

/* A field that is text, or the object that an error becomes when somebody
 * logs it whole. */
static int field_holds(const json_t *line, const char *key,
                       const char *words)
{
    const json_t *value = json_object_get(line, key);

    return holds(value, words)
        || holds(json_object_get(value, "name"), words)
        || holds(json_object_get(value, "message"), words);
}

static int is_one_of(const char *text, const char *const *list)
{
    while (*list != NULL && strcmp(text, *list) != 0) {
        list++;
    }
    return *list != NULL;
}

/* Lines that may quote what a visitor sent: words prove nothing there. */
static int is_hearsay(const json_t *line, const char *type)
{
    const char *level = json_string_value(json_object_get(line, "level"));

    return (type != NULL && strcmp(type, "HTTPD") == 0)
        || (level != NULL && is_one_of(level, LIST("debug", "info")));
}

const rule_t *rule_of_line(const json_t *line)
{
    const char *type = json_string_value(json_object_get(line, "type"));
    const char *const *words;
    const rule_t *rule;

    for (rule = rules; type != NULL && rule->label != NULL; rule++) {
        if (is_one_of(type, rule->types)) {
            return rule;
        }
    }
    if (is_hearsay(line, type)) {
        return NULL;
    }
    for (rule = rules; rule->label != NULL; rule++) {
        for (words = rule->patterns; *words != NULL; words++) {
            if (field_holds(line, "error", *words)
                || field_holds(line, "message", *words)
                || field_holds(line, "parent", *words)) {
                return rule;
            }
        }
    }
    return NULL;
}

/* ---- names ---- */

/* Lower case, single spaces, one at each end; what is not ASCII stays. */
static void simplify(char *to, const char *text)
{
    char *start = to;
    int count = 0;

    *to++ = ' ';
    for (; *text != '\0' && count < NAME_MAX_BYTES; text++, count++) {
        if (apr_isalnum(*text) || (*text & 0x80) != 0) {
            *to++ = (char)apr_tolower(*text);
        }
        else if (to[-1] != ' ') {
            *to++ = ' ';
        }
    }
    if (to[-1] != ' ' || to == start + 1) {
        *to++ = ' ';
    }
    *to = '\0';
}

/* Where a name may end: at a space, or where a Korean particle follows. */
static int is_edge(char c)
{
    return c == ' ' || (c & 0x80) != 0;
}

static int has_name(const char *simple, const char *name)
{
    size_t len = strlen(name);
    const char *at = simple;

    while ((at = strstr(at, name)) != NULL) {
        if ((is_edge(at[-1]) || (*name & 0x80) != 0)
            && (is_edge(at[len]) || (name[len - 1] & 0x80) != 0)) {
            return 1;
        }
        at++;
    }
    return 0;
}

static int has_name_of(const char *simple, const rule_t *rule)
{
    char own[NAME_MAX_BYTES + 3];
    const char *const *name;

    simplify(own, rule->label);
    if (strcmp(own, simple) == 0) {
        return 1;
    }
    for (name = rule->names; *name != NULL; name++) {
        if (has_name(simple, *name)) {
            return 1;
        }
    }
    return 0;
}

const rule_t *rule_named(const char *text)
{
    char simple[NAME_MAX_BYTES + 3];
    const rule_t *rule;
    const char *const *words;

    simplify(simple, text);
    for (rule = rules; rule->label != NULL; rule++) {
        if (has_name_of(simple, rule)) {
            return rule;
        }
    }
    for (rule = rules; rule->label != NULL; rule++) {
        for (words = rule->patterns; *words != NULL; words++) {
            if (strstr(text, *words) != NULL) {
                return rule;
            }
        }
    }
    return NULL;
}

int rule_rank(const char *severity)
{
    static const char *const ranks[] = { "none", "medium", "high",
                                         "critical" };
    int rank = 3;

    while (rank > 0 && strcmp(ranks[rank], severity) != 0) {
        rank--;
    }
    return rank;
}
