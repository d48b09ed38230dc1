/*
 * doctor_diagnosis.c - from a log to the Doctor's answer.
 */
#include "doctor/diagnosis.h"

#include <apr_strings.h>

#include "doctor_text.h"
#include "tap.h"

#define DAY "2024-12-10T"

static apr_pool_t *pool;

static const char ill[] =
    "{\"timestamp\":\"" DAY "12:00:05.000Z\",\"level\":\"error\","
    "\"type\":\"JWT ERROR\",\"error\":\"TokenExpiredError: jwt expired\"}\n"
    "{\"timestamp\":\"" DAY "12:00:00.000Z\",\"level\":\"info\","
    "\"type\":\"REQUEST\",\"path\":\"/error\"}\n"
    "{\"timestamp\":\"" DAY "12:00:01.500Z\",\"level\":\"error\","
    "\"type\":\"DB CONNECTION ERROR\",\"error\":\"x\\u001b[2J\"}\n"
    "{\"timestamp\":\"" DAY "12:00:09.250Z\",\"level\":\"error\","
    "\"type\":\"DB CONNECTION ERROR\"}\n"
    "no JSON\n"
    "{\"timestamp\":\"" DAY "12:01:00.000Z\",\"level\":\"info\"}\n";

static const char healthy[] =
    "{\"timestamp\":\"" DAY "12:00:00.000Z\",\"level\":\"info\","
    "\"type\":\"REQUEST\"}\n"
    "{\"timestamp\":\"" DAY "12:00:00.000Z\",\"level\":\"warning\","
    "\"type\":\"CONFIGURATION WARNING\"}\n";

static diagnosis_t *diagnose(const char *log, input_count_t *count)
{
    memset(count, 0, sizeof(*count));
    return diagnosis_make(text_page(log, strlen(log), count, pool), pool);
}

static const issue_t *issue(const diagnosis_t *diagnosis, int i)
{
    return &APR_ARRAY_IDX(diagnosis->issues, i, issue_t);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void issues(void)
{
    input_count_t count;
    diagnosis_t *diagnosis = diagnose(ill, &count);

    tap_is(diagnosis->issues->nelts, 2, "each illness is found once");
    tap_is_str(issue(diagnosis, 0)->rule->label, "db-failure",
               "in the order of the rules");
    tap_is_str(issue(diagnosis, 1)->rule->label, "jwt-expiry", "... all");
    tap_is(issue(diagnosis, 0)->since, moment_parse(DAY "12:00:01.5Z"),
           "since its first line");
    tap_is(issue(diagnosis, 0)->until, moment_parse(DAY "12:00:09.25Z"),
           "until its last");
    tap_is(issue(diagnosis, 0)->lines->nelts, 2, "by all of them");
    tap_is_str(diagnosis->severity, "critical", "the worst counts");

    diagnosis = diagnose(healthy, &count);
    tap_is(diagnosis->issues->nelts, 0, "other lines are no illness");
    tap_is(diagnosis->page->count, 1, "... if they are on the page");
    tap_is_str(diagnosis->severity, "none", "nothing is not severe");
}

static void json(void)
{
    input_count_t count;
    diagnosis_t *diagnosis = diagnose(ill, &count);
    json_t *answer = diagnosis_json(diagnosis, &count, pool);
    const json_t *first = json_array_get(
        json_object_get(answer, "detected_issues"), 0);
    const json_t *page = json_object_get(answer, "page");

    tap_ok(answer != NULL && json_array_size(
               json_object_get(answer, "detected_issues")) == 2
           && json_array_size(json_object_get(answer, "recommendations")) == 2
           && json_array_size(
               json_object_get(answer, "affected_resources")) == 2
           && strcmp(text_of(answer, "severity"), "critical") == 0
           && strstr(text_of(answer, "summary"), "2 illnesses") != NULL,
           "the Doctor's shape");
    tap_is_str(text_of(first, "label"), "db-failure", "an issue: its label");
    tap_is_str(text_of(first, "since"), DAY "12:00:01.500Z", "... since");
    tap_is_str(text_of(first, "until"), DAY "12:00:09.250Z", "... until");
    tap_is_str(text_of(first, "detected_at"), DAY "12:01:00.000Z",
               "... told at the end of the page");
    tap_is(json_array_size(json_object_get(first, "evidence")), 2,
           "... and its lines");
    tap_ok(strstr(json_string_value(json_array_get(
               json_object_get(first, "evidence"), 0)),
               "\"error\":\"x\\u001b[2J\"") != NULL,
           "... as they stand in the log");
    tap_ok(strstr(json_string_value(json_array_get(
               json_object_get(answer, "recommendations"), 0)),
               "RDS 엔드포인트 확인 필요") != NULL, "advice in Korean, too");
    tap_ok(json_integer_value(json_object_get(page, "events")) == 4
           && json_integer_value(json_object_get(page, "lines")) == 6,
           "what the page was");
    json_decref(answer);

    answer = diagnosis_json(diagnose(healthy, &count), &count, pool);
    tap_is(json_array_size(json_object_get(answer, "detected_issues")), 0,
           "healthy: no issue");
    tap_is_str(text_of(answer, "severity"), "none", "... and none severe");
    json_decref(answer);
    answer = diagnosis_json(diagnose("", &count), &count, pool);
    tap_ok(json_is_null(json_object_get(json_object_get(answer, "page"),
                                        "until")), "nothing: no page");
    json_decref(answer);
}

static const char *printed(const char *log, int evidence)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    input_count_t count;
    const char *copy;

    diagnosis_print(diagnose(log, &count), &count, evidence, out, pool);
    fclose(out);
    copy = apr_pstrdup(pool, text);
    free(text);
    return copy;
}

static void text(void)
{
    static const char escape[] =
        "{\"timestamp\":\"" DAY "12:00:00Z\",\"type\":\"CPU ERROR\","
        "\"error\":\"a\xc2\x9b" "2J\x7f\"}\r\n";
    const char *all = printed(ill, 3);

    tap_ok(strstr(all, "DB Connection Failure (db-failure), critical")
           && strstr(all, "since " DAY "12:00:01.500Z, last seen "
                     DAY "12:00:09.250Z, 2 lines")
           && strstr(all, "check the RDS endpoint (RDS 엔드포인트")
           && strstr(all, "    {\"timestamp\":\"" DAY "12:00:01.500Z\"")
           && strstr(all, "Left out: 1 that are no JSON object"),
           "all that is to be said");
    tap_ok(strstr(printed(ill, 1), "... and 1 more") != NULL,
           "lines may be left out");
    tap_ok(strstr(printed(healthy, 3), "No illness in 1 event") != NULL,
           "a clean bill of health");
    all = printed(escape, 3);
    tap_ok(strstr(all, "a?2J?\"}?") != NULL && strchr(all, '\r') == NULL,
           "no control character reaches the terminal");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    issues();
    json();
    text();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
