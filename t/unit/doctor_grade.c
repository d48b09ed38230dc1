/*
 * doctor_grade.c - what counts as found, missed and a false alarm, for our
 * own answers and for those of an AI.
 */
#include "doctor/grade.h"

#include <apr_strings.h>

#include "doctor_text.h"
#include "tap.h"

#define DAY "2024-12-10T"

static apr_pool_t *pool;

#define INCIDENT(label, start, end) \
    "{\"id\":\"1\",\"label\":\"" label "\",\"kind\":\"incident\"," \
    "\"state\":\"recovered\",\"start\":\"" DAY start "Z\"," \
    "\"end\":\"" DAY end "Z\",\"evidence\":{}}\n"
#define INVALID(label, start, end) \
    "{\"id\":\"2\",\"label\":\"" label "\",\"state\":\"invalid\"," \
    "\"start\":\"" DAY start "Z\",\"end\":\"" DAY end "Z\"}\n"
#define TOLD(label, start, end, told) \
    "{\"id\":\"3\",\"label\":\"" label "\",\"state\":\"recovered\"," \
    "\"start\":\"" DAY start "Z\",\"end\":\"" DAY end "Z\"," \
    "\"toldAt\":" told "}\n"
#define ISSUE(label, since, until) \
    "{\"label\":\"" label "\",\"since\":\"" DAY since "Z\"," \
    "\"until\":\"" DAY until "Z\"}"
#define ANSWER(...) "{\"detected_issues\":[" __VA_ARGS__ "]}\n"

static apr_array_header_t *truths(const char *ledger)
{
    apr_file_t *file = text_file(ledger, strlen(ledger), pool);
    apr_array_header_t *all;
    const char *why;

    if (truth_read(&all, file, &why, pool) != APR_SUCCESS) {
        printf("# the ledger %s\n", why);
        all = NULL;
    }
    apr_file_close(file);
    return all;
}

static const char *wrong_ledger(const char *ledger)
{
    apr_file_t *file = text_file(ledger, strlen(ledger), pool);
    apr_array_header_t *all;
    const char *why = NULL;

    if (truth_read(&all, file, &why, pool) == APR_SUCCESS) {
        why = NULL;
    }
    apr_file_close(file);
    return why;
}

static apr_status_t add(claims_t *claims, const char *answer)
{
    apr_file_t *file = text_file(answer, strlen(answer), pool);
    const char *why;
    apr_status_t rv = claims_read(claims, file, "a file", &why, pool);

    apr_file_close(file);
    return rv;
}

static grade_terms_t terms(void)
{
    grade_terms_t standard = { apr_time_from_sec(GRADE_TOLERANCE),
                               MOMENT_NONE, MOMENT_NONE };

    return standard;
}

static grade_t *grade_by(grade_terms_t how, const char *ledger,
                         const char *answers)
{
    claims_t *claims = claims_create(pool);

    if (add(claims, answers) != APR_SUCCESS) {
        printf("# unreadable: %s\n", answers);
    }
    return grade_make(truths(ledger), claims, &how, pool);
}

static grade_t *grade(const char *ledger, const char *answers)
{
    return grade_by(terms(), ledger, answers);
}

static int is(const grade_t *grade, int found, int missed, int false_alarms)
{
    if (grade->found == found && grade->missed == missed
        && grade->false_alarms->nelts == false_alarms) {
        return 1;
    }
    printf("# found %d, missed %d, false alarms %d\n", grade->found,
           grade->missed, grade->false_alarms->nelts);
    return 0;
}

static const grade_case_t *that(const grade_t *grade, int i)
{
    return &APR_ARRAY_IDX(grade->cases, i, grade_case_t);
}

/* ---- the definition ---- */

static void matches(void)
{
    static const char ledger[] = INCIDENT("db-failure", "12:00:00",
                                          "12:01:00");
    grade_t *marks = grade(ledger, ANSWER(ISSUE("db-failure", "12:00:02",
                                                "12:00:40")));

    tap_ok(is(marks, 1, 0, 0), "label and time: found");
    tap_is(that(marks, 0)->onset, apr_time_from_sec(2), "two seconds off");
    tap_ok(!that(marks, 0)->has_delay, "when it was told, nobody said");
    tap_ok(is(grade(ledger, ANSWER(ISSUE("high-cpu", "12:00:02",
                                         "12:00:40"))), 0, 1, 1),
           "another label: missed, and a false alarm");
    tap_ok(is(grade(ledger, ANSWER(ISSUE("db-failure", "12:01:10",
                                         "12:01:20"))), 1, 0, 0),
           "just within the tolerance after its end");
    tap_ok(is(grade(ledger, ANSWER(ISSUE("db-failure", "12:01:10.001",
                                         "12:01:20"))), 0, 1, 1),
           "just not");
    tap_ok(is(grade(ledger, ANSWER(ISSUE("db-failure", "11:50:00",
                                         "11:59:50"))), 1, 0, 0),
           "just within it before its start");
    tap_ok(is(grade(ledger, ANSWER(ISSUE("db-failure", "11:50:00",
                                         "11:59:49.999"))), 0, 1, 1),
           "just not");
    marks = grade(ledger, ANSWER("\"db-failure\""));
    tap_ok(is(marks, 1, 0, 0) && !that(marks, 0)->has_onset,
           "an issue without times is of any time");
    tap_ok(is(grade(ledger, ANSWER("{\"label\":\"db-failure\",\"since\":\""
                                   DAY "12:00:30Z\"}")), 1, 0, 0),
           "one of the times is enough");
}

/* What no line of the log told of, nobody could find. */
static void untold(void)
{
    static const char never[] = TOLD("pool-exhaustion", "12:00:00",
                                     "12:00:03", "null");
    static const char once[] = TOLD("pool-exhaustion", "12:00:00",
                                    "12:00:03", "\"" DAY "12:00:02Z\"");
    const char *issue = ANSWER(ISSUE("pool-exhaustion", "12:00:00",
                                     "12:00:03"));

    tap_ok(is(grade(never, ANSWER()), 0, 0, 0),
           "an incident that was never told is not asked for");
    tap_ok(is(grade(never, issue), 0, 0, 0),
           "who names it all the same is neither right nor wrong");
    tap_ok(is(grade(once, ANSWER()), 0, 1, 0),
           "one that was told is missed");
    tap_ok(is(grade(once, issue), 1, 0, 0), "or found");
}

static void several(void)
{
    static const char twice[] =
        INCIDENT("db-failure", "12:00:00", "12:01:00")
        INCIDENT("db-failure", "12:10:00", "12:11:00");
    grade_t *marks;

    marks = grade(twice, ANSWER(ISSUE("db-failure", "12:00:01",
                                      "12:10:30")));
    tap_ok(is(marks, 2, 0, 0), "one issue finds all that it spans");
    tap_is(that(marks, 1)->onset, -apr_time_from_sec(599),
           "... and is dated by each of them");
    marks = grade(twice,
                  ANSWER(ISSUE("db-failure", "12:00:01", "12:00:30"))
                  "{\"detected_issues\":[{\"label\":\"db-failure\","
                  "\"since\":\"" DAY "12:00:01Z\",\"until\":\"" DAY
                  "12:10:30Z\",\"detected_at\":\"" DAY "12:10:31Z\"}]}"
                  "{\"detected_issues\":[{\"label\":\"db-failure\","
                  "\"since\":\"" DAY "12:10:04Z\",\"until\":\"" DAY
                  "12:10:30Z\",\"detected_at\":\"" DAY "12:11:00Z\"}]}");
    tap_ok(is(marks, 2, 0, 0), "who says it again says the same");
    tap_is(that(marks, 1)->onset, apr_time_from_sec(4),
           "the best date counts");
    tap_is(that(marks, 1)->delay, apr_time_from_sec(31),
           "and the first time that it was told");
    tap_ok(is(grade(twice, ANSWER(ISSUE("db-failure", "12:10:01",
                                        "12:10:30"))), 1, 1, 0),
           "one of two");
    tap_ok(is(grade("", ANSWER(ISSUE("jwt-expiry", "12:00:00", "12:01:00"))
                    ANSWER(ISSUE("jwt-expiry", "12:01:05", "12:02:00"))
                    ANSWER(ISSUE("jwt-expiry", "12:05:00", "12:06:00"))
                    ANSWER(ISSUE("high-cpu", "12:05:00", "12:06:00"))
                    ANSWER("\"disk full\"") ANSWER("\"disk full\"")),
              0, 0, 4),
           "false alarms of one label and time are one");
}

static void not_asked(void)
{
    static const char ledger[] =
        INVALID("high-cpu", "12:00:00", "12:01:00")
        INCIDENT("db-failure", "12:00:00", "12:01:00")
        INCIDENT("jwt-expiry", "13:00:00", "13:01:00");
    static const char page[] =
        "{\"detected_issues\":[" ISSUE("db-failure", "12:00:01", "12:00:02")
        "],\"page\":{\"from\":\"" DAY "11:45:00Z\",\"until\":\"" DAY
        "12:15:00Z\"}}";
    grade_terms_t how = terms();

    tap_ok(is(grade(ledger, ANSWER(ISSUE("db-failure", "12:00:00",
                                         "12:01:00"))), 1, 1, 0),
           "an invalid incident is not asked for");
    tap_ok(is(grade(ledger, ANSWER(ISSUE("high-cpu", "12:00:00",
                                         "12:01:00"))), 0, 2, 0),
           "... and naming it is neither right nor wrong");
    tap_ok(is(grade(ledger, page), 1, 0, 0),
           "nor is what no page could show");
    tap_ok(is(grade(ledger, apr_pstrcat(pool, page, ANSWER(""), NULL)),
              1, 1, 0), "unless some answer does not tell its page");
    how.since = moment_parse(DAY "12:30:00Z");
    tap_ok(is(grade_by(how, ledger, ANSWER("")), 0, 1, 0),
           "a period can be set: from");
    how.since = MOMENT_NONE;
    how.until = moment_parse(DAY "12:30:00Z");
    tap_ok(is(grade_by(how, ledger, ANSWER("")), 0, 1, 0), "... to");
    how.tolerance = apr_time_from_sec(3600);
    tap_ok(is(grade_by(how, ledger, ANSWER(ISSUE("db-failure", "12:50:00",
                                                 "12:51:00"))), 1, 0, 0),
           "and so can the tolerance");
}

static int near(double got, double expected)
{
    return got > expected - 1e-9 && got < expected + 1e-9;
}

static void marks(void)
{
    static const char ledger[] =
        INCIDENT("db-failure", "12:00:00", "12:01:00")
        INCIDENT("jwt-expiry", "12:00:00", "12:01:00")
        INCIDENT("high-cpu", "12:00:00", "12:01:00");
    grade_t *all = grade("", ANSWER(""));

    tap_ok(near(all->precision, 1) && near(all->recall, 1)
           && near(all->f1, 1), "nothing to find and nothing claimed: 1, 1, 1");
    all = grade("", ANSWER("\"high-cpu\""));
    tap_ok(near(all->precision, 0) && near(all->recall, 1)
           && near(all->f1, 0), "nothing to find, but claimed: 0, 1, 0");
    all = grade(ledger, ANSWER(""));
    tap_ok(near(all->precision, 1) && near(all->recall, 0)
           && near(all->f1, 0), "all missed: 1, 0, 0");
    all = grade(ledger, ANSWER("\"high-cpu\",\"slow-query\""));
    tap_ok(near(all->precision, 1.0 / 2) && near(all->recall, 1.0 / 3)
           && near(all->f1, 2.0 / 5), "something of everything");
}

/* ---- reading ---- */

static void lenient(void)
{
    static const char ledger[] =
        INCIDENT("db-failure", "12:00:00", "12:01:00")
        INCIDENT("high-cpu", "12:00:00", "12:01:00");
    static const char *const answers[] = {
        ANSWER("\"Database connection failure\",\"High CPU usage\""),
        ANSWER("{\"type\":\"DB CONNECTION ERROR\",\"confidence\":0.9},"
               "{\"name\":\"x\",\"description\":\"CPU usage: 98%\"}"),
        "Sure! {Here} is my [analysis]:\n```json\n"
        ANSWER("\"db_failure\",\"high_cpu\"") "```\nAnything else?",
        "[" ANSWER("\"db-failure\"") "," ANSWER("\"high-cpu\"") "]",
        "{\"analysis\":" ANSWER("\"db-failure\",\"high-cpu\"")
        ",\"model\":\"x\"}",
        "{\"detected_issues\":\"DB connection failure\"}"
        ANSWER("\"high-cpu\"") ANSWER("") "{\"detected_issues\":null}",
        ANSWER("{\"issue\":\"DB Connection Failure\",\"first_seen\":"
               "1733832001000,\"last_seen\":\"nonsense\"},{\"id\":\"high-cpu\""
               ",\"from\":{},\"to\":[]}")
    };
    static const char *const wrong[] = {
        "", "no", "{}", "[]", "{\"detected_issues\":7}", "[{}]",
        "{\"detected_issues\":[}", "[1,2,3]", "{{{{{{[[[["
    };
    char *deep = apr_palloc(pool, 100001);
    size_t i;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        tap_ok(is(grade(ledger, answers[i]), 2, 0, 0),
               "an AI is understood (%d)", (int)i);
    }
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        tap_ok(add(claims_create(pool), wrong[i]) != APR_SUCCESS,
               "it is no diagnosis: %s", wrong[i]);
    }
    memset(deep, '[', 100000);
    deep[100000] = '\0';
    tap_ok(add(claims_create(pool), deep) != APR_SUCCESS, "nor is depth");
    tap_ok(is(grade("", ANSWER("7,null,{},[],\"\"")), 0, 0, 2),
           "an issue without a name is one, and no name is another");
}

static void ledgers(void)
{
    tap_ok(wrong_ledger("") == NULL, "a ledger may be empty");
    tap_is_str(wrong_ledger(INCIDENT("x", "12:00:00", "12:00:00") "{\n"),
               "line 2 is no JSON object", "a broken line is told");
    tap_is_str(wrong_ledger("{}"), "line 1 has no \"label\"", "... no label");
    tap_is_str(wrong_ledger(INCIDENT("x", "12:00:01", "12:00:00")),
               "line 1 has no \"start\" and \"end\" that are times",
               "... no times");
    tap_is(truths(INCIDENT("x", "12:00:00", "12:00:00")
                  INVALID("x", "12:00:00", "12:00:00"))->nelts, 2,
           "a sound one is read");
}

static void shown(void)
{
    json_t *answer = grade_json(grade(
        INCIDENT("db-failure", "12:00:00", "12:01:00"),
        "{\"detected_issues\":[{\"label\":\"db-failure\",\"since\":\"" DAY
        "12:00:01.5Z\",\"detected_at\":\"" DAY "12:00:30Z\"},\"\\u001b\"]}"));
    const json_t *first = json_array_get(
        json_object_get(answer, "incidents"), 0);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    tap_ok(json_is_true(json_object_get(first, "detected"))
           && near(json_real_value(json_object_get(first, "onset_error_s")),
                   1.5)
           && near(json_real_value(json_object_get(first,
                                                   "time_to_detect_s")), 30),
           "as JSON: each incident");
    tap_ok(near(json_real_value(json_object_get(answer, "precision")), 0.5)
           && json_array_size(json_object_get(answer, "false_alarms")) == 1,
           "... and the marks");
    grade_print(grade(INCIDENT("db-failure", "12:00:00", "12:01:00"),
                      ANSWER(ISSUE("db-failure", "12:00:02", "12:00:40")
                             ",\"\\u001b[2J\"")), out, pool);
    fclose(out);
    tap_ok(strstr(text, "found, dated +2.0 s") != NULL
           && strstr(text, "?[2J: false alarm in a file") != NULL
           && strstr(text, "precision 0.500, recall 1.000, F1 0.667")
              != NULL, "as text, without a control character");
    free(text);
    json_decref(answer);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    matches();
    untold();
    several();
    not_asked();
    marks();
    lenient();
    ledgers();
    shown();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
