/*
 * doctor_page.c - of a log in any shape, the page holds exactly what
 * CloudWatch's FilterLogEvents would give.
 */
#include "doctor/page.h"

#include <apr_strings.h>

#include "doctor/lines.h"
#include "doctor_text.h"
#include "tap.h"

#define NOON "2024-12-10T12:00:00.000Z"

static apr_pool_t *pool;

static apr_time_t at(const char *text)
{
    return moment_parse(text);
}

/* ---- times ---- */

static void times(void)
{
    static const char *const wrong[] = {
        "", "2024", "2024-12-10", "2024-12-10T12:00:00",
        "2024-13-10T12:00:00Z", "2024-02-30T12:00:00Z",
        "2024-12-32T12:00:00Z", "2024-12-10T24:00:00Z", "2024-12-10T12:60:00Z",
        "2024-12-10T12:00:00Zx", "2024-12-10T12:00:00+9:00",
        "1969-12-10T12:00:00Z",
        "2024-12-10T12:00:00+25:00", "20241210T120000Z", "now",
        "2024-12-10T12:00:00.", "1970-01-01T00:00:00+01:00"
    };
    json_t *ms = json_integer(1733832000123);
    json_t *far = json_real(1e300);
    size_t i;

    tap_is(at("1970-01-01T00:00:01.5Z"), 1500000, "a time is read");
    tap_is(at(NOON), APR_TIME_C(1733832000000000), "... and another");
    tap_is(at("2024-12-10 21:00:00+09:00"), at(NOON),
           "an offset and a space are understood");
    tap_is(at("2024-12-10T12:00:00.123456789Z") - at(NOON), 123456,
           "what is finer than a microsecond is left out");
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        tap_ok(at(wrong[i]) == MOMENT_NONE, "no time: '%s'", wrong[i]);
    }
    tap_is(moment_read(ms), at("2024-12-10T12:00:00.123Z"),
           "a number is milliseconds");
    tap_is(moment_read(far), MOMENT_NONE, "but one beyond all time is none");
    tap_is(moment_read(NULL), MOMENT_NONE, "nor is nothing");
    tap_is_str(moment_text(at("2024-12-10T12:00:00.123Z"), pool),
               "2024-12-10T12:00:00.123Z", "it is written as it is read");
    tap_is_str(moment_text(at("9999-12-31T23:59:59-23:59"), pool),
               "10000-01-01T23:58:59.000Z", "... also the last there is");
    json_decref(ms);
    json_decref(far);
}

/* ---- what is on the page ---- */

static page_t *page_of(page_query_t query, const char *const *words)
{
    if (words != NULL) {
        query.words = words;
    }
    return page_create(&query, pool);
}

static void offer(page_t *page, apr_time_t time, const char *text)
{
    page_offer(page, time, text, strlen(text));
}

static void words(void)
{
    static const char *const good[] = {
        "ERROR", "an Error", "error", "CRITICAL", "FATAL", "WARNING",
        "Warning", "xxerrorxx"
    };
    static const char *const bad[] = {
        "", "warning", "Fatal", "critical", "eRROR", "WARN", "\\u0065rror"
    };
    const char *const *own = page_words("?slow  ?timed", pool);
    page_t *page = page_of(text_query(pool), NULL);
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        offer(page, at(NOON), bad[i]);
    }
    tap_is(page->count, 0, "upper and lower case are kept apart");
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        offer(page, at(NOON), good[i]);
    }
    page_close(page);
    tap_is(page->count, sizeof(good) / sizeof(good[0]),
           "each of the words is enough, anywhere in the line");
    tap_ok(own != NULL && strcmp(own[0], "slow") == 0
           && strcmp(own[1], "timed") == 0 && own[2] == NULL,
           "a filter is read as CloudWatch writes it");
    tap_ok(page_words(" ? ", pool) == NULL, "one without words is none");
    page = page_of(text_query(pool), own);
    offer(page, at(NOON), "ERROR");
    offer(page, at(NOON), "timed out");
    page_close(page);
    tap_is(page->count, 1, "other words can be asked for");
    page = page_of(text_query(pool), NULL);
    page_offer(page, at(NOON), "a\0error", 7);
    page_close(page);
    tap_is(page->count, 1, "a NUL hides nothing");
}

static void window(void)
{
    page_query_t query = text_query(pool);
    page_t *page = page_of(query, NULL);

    offer(page, at("2024-12-10T11:29:59.999Z"), "error 1");
    offer(page, at("2024-12-10T11:30:00.000Z"), "error 2");
    offer(page, at(NOON), "no such word");
    page_close(page);
    tap_is(page->count, 1, "half an hour up to the newest line of all");
    tap_is_str(page->events[0]->text, "error 2", "... both ends included");
    tap_is(page->from, at("2024-12-10T11:30:00.000Z"), "... the page says so");
    tap_is(page->until, at(NOON), "... of both");

    query.until = at("2024-12-10T11:45:00.000Z");
    query.window = apr_time_from_sec(600);
    page = page_of(query, NULL);
    offer(page, at("2024-12-10T11:34:59.999Z"), "error 1");
    offer(page, at("2024-12-10T11:35:00.000Z"), "error 2");
    offer(page, at("2024-12-10T11:45:00.000Z"), "error 3");
    offer(page, at("2024-12-10T11:45:00.001Z"), "error 4");
    page_close(page);
    tap_is(page->count, 2, "another span can be asked for");
    tap_is_str(page->events[1]->text, "error 3", "... up to its end");
    tap_is(page->until, query.until, "... whatever comes after it");

    page = page_of(text_query(pool), NULL);
    page_close(page);
    tap_ok(page->count == 0 && page->until == MOMENT_NONE,
           "a log without lines has an empty page");
}

static void order(void)
{
    page_query_t query = text_query(pool);
    page_t *page;
    int i;

    page = page_of(query, NULL);
    offer(page, at("2024-12-10T11:50:00Z"), "error b");
    offer(page, at("2024-12-10T11:50:00Z"), "error c");
    offer(page, at("2024-12-10T11:40:00Z"), "error a");
    page_close(page);
    tap_ok(page->events[0]->text[6] == 'a' && page->events[1]->text[6] == 'b'
           && page->events[2]->text[6] == 'c',
           "oldest first; what is as old stays in its order");

    page = page_of(query, NULL);
    for (i = 149; i >= 0; i--) {
        offer(page, at(NOON) + apr_time_from_sec(i),
              apr_psprintf(pool, "error %d", i));
    }
    page_close(page);
    tap_is(page->count, 100, "a hundred events at most");
    tap_is_str(page->events[99]->text, "error 99", "... the first of them");
    tap_is(page->more, 50, "... and how many there are besides");

    page = page_of(query, NULL);
    for (i = 0; i < 20000; i++) {
        offer(page, at(NOON) + apr_time_from_sec(i),
              apr_psprintf(pool, "error %d", i));
    }
    tap_ok(page->count < 6000, "what is out of the window is not kept");
    page_close(page);
    tap_is(page->count + (int)page->more, 1801,
           "but all is counted that is in it");
    tap_is_str(page->events[0]->text, "error 18199", "from its first event");
}

/* ---- in which shape ---- */

#define LINE(time, words) \
    "{\"timestamp\":\"" time "\",\"level\":\"error\",\"error\":\"" words "\"}"

static page_t *read_log(const char *text, input_count_t *count)
{
    memset(count, 0, sizeof(*count));
    return text_page(text, strlen(text), count, pool);
}

static void shapes(void)
{
    static const char events[] =
        "[ {\"timestamp\": 1733832000123, \"message\": \"an error\\n\"},\n"
        "  {\"timestamp\": 1733832000124, \"message\": \"{\\\"x\\\":"
        "\\\"Error\\\"}\", \"ingestionTime\": 5} ]";
    input_count_t count;
    page_t *page;

    page = read_log(LINE(NOON, "one") "\n\n" LINE(NOON, "two") "\r\n  \n"
                    LINE(NOON, "three"), &count);
    tap_ok(page->count == 3 && count.lines == 3 && count.not_json == 0,
           "lines of JSON: blank ones do not count, the last may be open");
    page = read_log("an error\n" LINE(NOON, "one") "\n[1]\n\"error\"\n"
                    "{\"error\":1}\n{\"timestamp\":\"soon\",\"error\":1}\n"
                    "{\"timestamp\":[],\"error\":{}}\n"
                    "[Tue Dec 10 12:00:00 2024] [error] plain\n", &count);
    tap_ok(page->count == 1 && count.lines == 8,
           "what is no line of a log is left out");
    tap_is(count.not_json, 4, "... and counted: no JSON object");
    tap_is(count.timeless, 3, "... no time");
    page = read_log(events, &count);
    tap_ok(page->count == 2 && count.lines == 2,
           "a list of CloudWatch's events");
    tap_is_str(page->events[0]->text, "an error\n", "... as they came");
    tap_is(count.not_json, 1, "... where what is no JSON is counted, too");
    tap_is(page->events[1]->time, at("2024-12-10T12:00:00.124Z"),
           "... with CloudWatch's time");
    page = read_log(apr_pstrcat(pool, "\n{\n \"events\": ", events,
                                ", \"nextToken\": \"x\"}", NULL), &count);
    tap_is(page->count, 2, "what aws prints, on many lines");
    page = read_log(apr_pstrcat(pool, "{\"events\":", events, "}\n"
                                "{\"events\":[]}\n", NULL), &count);
    tap_is(page->count, 2, "on one, and more than one of these");
    page = read_log("{\"timestamp\":1733832000123,\"message\":\"error\"}\n"
                    "{\"timestamp\":-1,\"message\":\"error\"}\n", &count);
    tap_ok(page->count == 1 && count.timeless == 1, "an event a line");
}

/* A line of so many bytes, its newline besides. */
static const char *long_line(apr_size_t len)
{
    static const char head[] = "{\"timestamp\":\"" NOON "\",\"error\":\"";
    char *text = apr_palloc(pool, len + 2);

    memset(text, 'x', len);
    memcpy(text, head, sizeof(head) - 1);
    memcpy(text + len - 2, "\"}\n", 4);
    return text;
}

static void limits(void)
{
    input_count_t count;
    char *deep = apr_palloc(pool, LINES_MAX);
    page_t *page;

    page = read_log(apr_pstrcat(pool, long_line(LINES_MAX),
                                long_line(LINES_MAX + 1),
                                long_line(3 * LINES_MAX),
                                LINE(NOON, "one"), NULL), &count);
    tap_ok(page->count == 2 && page->events[0]->len == LINES_MAX,
           "a line may be long");
    tap_is((int)count.too_long, 2,
           "but what is longer is left out, and counted");
    tap_is_str(page->events[1]->text, LINE(NOON, "one"),
               "the next one is read again");
    page = read_log(long_line(LINES_MAX + 1), &count);
    tap_ok(page->count == 0 && count.too_long == 1, "also as the last one");
    memset(deep, '[', LINES_MAX);
    memcpy(deep + LINES_MAX - 100, "\n" LINE(NOON, "one"),
           1 + sizeof(LINE(NOON, "one")));
    page = read_log(deep, &count);
    tap_ok(page->count == 1 && count.not_json == 1, "depth does no harm");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    times();
    words();
    window();
    order();
    shapes();
    limits();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
