/*
 * symptom.c - each failure has the type, the words and the fields that the
 * log's readers know it by.
 */
#include "log/symptom.h"

#include <jansson.h>

#include "gate.h"
#include "tap.h"

static event_t event;

static void open_event(event_level_e level, const char *type)
{
    event_open(&event, level, type, apr_time_now());
}

/* The line as an object; until the next call. */
static json_t *line(void)
{
    static json_t *parsed;

    json_decref(parsed);
    parsed = json_loads(event_close(&event), 0, NULL);
    if (parsed == NULL) {
        printf("# no JSON: %s\n", event.line);
    }
    return parsed;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static long long int_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static double real_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : -1;
}

static int is_near(double got, double expected)
{
    return got > expected - 0.051 && got < expected + 0.051;
}

static void pool(void)
{
    const gate_stats_t stats = { .permits = 10, .in_use = 9, .waiting = 40 };
    const json_t *object;

    open_event(EVENT_ERROR, SYMPTOM_POOL);
    symptom_pool(&event, APR_TIMEUP, &stats, apr_time_from_msec(30001));
    object = line();
    tap_is_str(text_of(object, "type"), "POOL ERROR", "the pool's type");
    tap_is_str(text_of(object, "error"),
               "SequelizeConnectionAcquireTimeoutError: ResourceRequest "
               "timed out", "a deadline in Sequelize's words");
    tap_is_str(text_of(object, "code"), "POOL_TIMEOUT", "... and its code");
    tap_ok(int_of(object, "poolMax") == 10 && int_of(object, "inUse") == 9
           && int_of(object, "waiting") == 40
           && int_of(object, "waitedMs") == 30001,
           "... with the pool's figures");
    tap_is_str(symptom_pool_error(APR_TIMEUP), text_of(object, "error"),
               "others can say the same");

    open_event(EVENT_ERROR, SYMPTOM_POOL);
    symptom_pool(&event, APR_EBUSY, &stats, 0);
    object = line();
    tap_ok(strcmp(text_of(object, "code"), "POOL_FULL") == 0
           && strstr(text_of(object, "error"), "refused") != NULL,
           "a line that is too long already is another failure");

    open_event(EVENT_WARNING, SYMPTOM_WAITING);
    symptom_waiting(&event, &stats, apr_time_from_msec(5003));
    object = line();
    tap_is_str(text_of(object, "type"), "POOL WARNING",
               "a long wait that goes on is a warning");
    tap_is_str(text_of(object, "message"), "waiting for a connection",
               "... in its own words");
    tap_ok(int_of(object, "poolMax") == 10 && int_of(object, "inUse") == 9
           && int_of(object, "waiting") == 40
           && int_of(object, "waitedMs") == 5003
           && json_object_get(object, "error") == NULL,
           "... with the pool's figures");
}

static void slow(void)
{
    const json_t *object;

    tap_ok(symptom_is_slow(1, apr_time_from_sec(1))
           && !symptom_is_slow(1, apr_time_from_sec(1) - 1),
           "one query is slow from a second on");
    tap_ok(symptom_is_slow(2, apr_time_from_sec(1))
           && !symptom_is_slow(2, apr_time_from_sec(1) - 1),
           "and so is a second one, that looks why the first did nothing");
    tap_ok(symptom_is_slow(101, apr_time_from_msec(100))
           && !symptom_is_slow(101, apr_time_from_msec(100) - 1)
           && symptom_is_slow(3, apr_time_from_msec(100)),
           "rows one by one, from a tenth of that on");
    open_event(EVENT_ERROR, SYMPTOM_SLOW);
    symptom_slow(&event, 101, apr_time_from_msec(1234) + 999);
    object = line();
    tap_is_str(text_of(object, "type"), "PERFORMANCE ERROR", "its type");
    tap_is_str(text_of(object, "error"), "Query execution time: 1234ms",
               "... its words");
    tap_is(int_of(object, "totalQueries"), 101, "... how many queries");
    tap_is_str(text_of(object, "totalTime"), "1234ms", "... and how long");
}

/* The field "url" that comes of one. */
static const char *shown(const char *url)
{
    open_event(EVENT_ERROR, SYMPTOM_UPSTREAM);
    symptom_upstream(&event, "Error: connect ETIMEDOUT", "ETIMEDOUT", url,
                     apr_time_from_sec(3), apr_time_from_msec(3004));
    return text_of(line(), "url");
}

static void upstream(void)
{
    const json_t *object;
    char long_url[3000];

    open_event(EVENT_ERROR, SYMPTOM_UPSTREAM);
    symptom_upstream(&event, "Error: connect ETIMEDOUT", "ETIMEDOUT",
                     "http://127.0.0.1:8080/pay", apr_time_from_sec(3),
                     apr_time_from_msec(3004));
    object = line();
    tap_ok(strcmp(text_of(object, "type"), "API TIMEOUT ERROR") == 0
           && strcmp(text_of(object, "error"),
                     "Error: connect ETIMEDOUT") == 0
           && strcmp(text_of(object, "code"), "ETIMEDOUT") == 0,
           "a service that does not answer: type, words, code");
    tap_ok(strcmp(text_of(object, "url"), "http://127.0.0.1:8080/pay") == 0
           && strcmp(text_of(object, "timeout"), "3000ms") == 0
           && strcmp(text_of(object, "elapsed"), "3004ms") == 0,
           "... where, how long it had, how long it took");

    tap_is_str(shown("https://me:secret@pay.example/v1?key=secret#x"),
               "https://pay.example/v1", "a secret in a URL is left out");
    tap_is_str(shown("https://me:p@ss@pay.example"), "https://pay.example",
               "... also one with an @");
    tap_is_str(shown("http://pay.example/@me"), "http://pay.example/@me",
               "an @ in the path is none");
    tap_is_str(shown("pay.example"), "pay.example",
               "a URL without a scheme is shown");
    tap_is_str(shown(""), "", "... and an empty one");
    memset(long_url, 'a', sizeof(long_url) - 1);
    long_url[sizeof(long_url) - 1] = '\0';
    tap_ok(shown(long_url) != NULL, "... and one that is too long, in part");
}

static void token(void)
{
    const json_t *object;

    open_event(EVENT_ERROR, SYMPTOM_EXPIRED);
    symptom_expired(&event, 1733826645);
    object = line();
    tap_ok(strcmp(text_of(object, "type"), "JWT ERROR") == 0
           && strcmp(text_of(object, "error"),
                     "TokenExpiredError: jwt expired") == 0,
           "an expired token: type, words");
    tap_is_str(text_of(object, "expiredAt"), "2024-12-10T10:30:45.000Z",
               "... and since when");
    open_event(EVENT_ERROR, SYMPTOM_EXPIRED);
    symptom_expired(&event, APR_INT64_MIN);
    tap_is_str(text_of(line(), "expiredAt"), "1970-01-01T00:00:00.000Z",
               "a time that nobody can write is the nearest one");
}

static const json_t *memory_line(symptom_memory_e mark, apr_uint64_t used_mb)
{
    open_event(symptom_memory_level(mark), symptom_memory_type(mark));
    symptom_memory(&event, mark, 432013312, used_mb << 20,
                   APR_UINT64_C(512) << 20);
    return line();
}

static void memory(void)
{
    const json_t *object = memory_line(SYMPTOM_MEMORY_WARNING, 410);

    tap_ok(strcmp(text_of(object, "level"), "warning") == 0
           && strcmp(text_of(object, "type"), "MEMORY WARNING") == 0,
           "memory fills up: a warning");
    tap_ok(is_near(real_of(object, "rssMB"), 412)
           && is_near(real_of(object, "limitMB"), 512)
           && is_near(real_of(object, "usedMB"), 410)
           && int_of(object, "usagePercent") == 80,
           "... with the process's figures");
    tap_ok(real_of(object, "grantedMB") > 0, "... and the kernel's");
    object = memory_line(SYMPTOM_MEMORY_CRITICAL, 461);
    tap_ok(strcmp(text_of(object, "level"), "error") == 0
           && strcmp(text_of(object, "type"), "MEMORY CRITICAL") == 0
           && int_of(object, "usagePercent") == 90,
           "it is nearly full: critical");
    object = memory_line(SYMPTOM_MEMORY_FULL, 512);
    tap_ok(strcmp(text_of(object, "level"), "fatal") == 0
           && strcmp(text_of(object, "type"), "MEMORY ERROR") == 0
           && int_of(object, "usagePercent") == 100, "it is full: fatal");
    tap_is_str(text_of(object, "error"),
               "FATAL ERROR: Reached heap limit Allocation failed - "
               "JavaScript heap out of memory", "... in V8's words");
}

static void cpu(void)
{
    const json_t *object;

    open_event(EVENT_ERROR, SYMPTOM_CPU);
    symptom_cpu(&event, 96.25, 1.5, 2);
    object = line();
    tap_ok(strcmp(text_of(object, "type"), "CPU ERROR") == 0
           && strcmp(text_of(object, "error"), "CPU usage: 98%") == 0,
           "the CPUs are busy: type, words");
    tap_ok(is_near(real_of(object, "userCPU"), 96.25)
           && is_near(real_of(object, "systemCPU"), 1.5)
           && is_near(real_of(object, "cpus"), 2), "... and the figures");
}

int main(void)
{
    pool();
    slow();
    upstream();
    token();
    memory();
    cpu();
    return tap_done();
}
