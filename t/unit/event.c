/*
 * event.c - a log line is valid JSON, bounded and quiet, whatever went in.
 */
#include "log/event.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_general.h>
#include <jansson.h>

#include "tap.h"

#define NOON APR_INT64_C(1733826645123456)      /* 2024-12-10T10:30:45.123 */

static const char *const alarm_words[] = {
    "ERROR", "Error", "error", "CRITICAL", "FATAL", "Exception", "WARNING",
    "Warning", "warning", "WARN"
};

#define ALARM_WORDS (sizeof(alarm_words) / sizeof(alarm_words[0]))

/* A generator of its own, so that a failure can be run again. */
static uint32_t random_state = 20241210;

static unsigned int draw(unsigned int below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % below;
}

/* Closes the event and reads it as a log's reader would: NULL unless it is
 * one line of valid JSON within the bounds. */
static json_t *read_line(event_t *event)
{
    const char *line = event_close(event);
    apr_size_t len = strlen(line);

    if (len != event->len || len > EVENT_LINE_MAX - 1
        || strpbrk(line, "\r\n") != NULL) {
        return NULL;
    }
    return json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

/* What stands on the line behind the fields that event_open() writes. */
static const char *close_fields(event_t *event)
{
    return strchr(strstr(event_close(event), "\"pid\":"), ',');
}

static const char *get_str(const json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

static int is_truncated(const json_t *line)
{
    return json_is_true(json_object_get(line, "truncated"));
}

static int holds_alarm_word(const char *line)
{
    apr_size_t i;

    for (i = 0; i < ALARM_WORDS; i++) {
        if (strstr(line, alarm_words[i]) != NULL) {
            return 1;
        }
    }
    return 0;
}

static void test_head(void)
{
    event_t event;
    json_t *line;

    event_open(&event, EVENT_ERROR, "DB CONNECTION ERROR", NOON);
    line = read_line(&event);
    tap_is_str(get_str(line, "timestamp"), "2024-12-10T10:30:45.123Z",
               "the time stamp is ISO 8601 in UTC with milliseconds");
    tap_is_str(get_str(line, "level"), "error", "the level has its name");
    tap_is_str(get_str(line, "type"), "DB CONNECTION ERROR",
               "the type stands as given");
    tap_is(json_integer_value(json_object_get(line, "pid")), getpid(),
           "the line tells the process");
    tap_ok(json_object_get(line, "truncated") == NULL,
           "a line that is whole does not speak of truncation");
    json_decref(line);
}

static int same_time(apr_time_t when)
{
    event_t event;
    apr_time_exp_t t;
    char expected[64];

    apr_time_exp_gmt(&t, when);
    snprintf(expected, sizeof(expected),
             "{\"timestamp\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"",
             t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
             t.tm_sec, (int)t.tm_usec / 1000);
    event_open(&event, EVENT_INFO, "X", when);
    return strncmp(event.line, expected, strlen(expected)) == 0;
}

static void test_calendar(void)
{
    apr_int64_t day;
    int wrong = 0;

    for (day = 0; day < 91500; day++) {
        apr_time_t midnight = day * 86400 * APR_USEC_PER_SEC;

        wrong += !same_time(midnight);
        wrong += !same_time(midnight + 86400 * APR_USEC_PER_SEC - 1);
        wrong += !same_time(midnight + draw(86400) * APR_USEC_PER_SEC);
    }
    tap_is(wrong, 0, "every day until the year 2219 has its right date");
}

static void test_numbers(void)
{
    event_t event;

    event_open(&event, EVENT_INFO, "X", NOON);
    event_int(&event, "a", INT64_MIN);
    event_int(&event, "b", INT64_MAX);
    event_int(&event, "c", 0);
    event_bool(&event, "d", 7);
    event_bool(&event, "e", 0);
    tap_is_str(close_fields(&event), ",\"a\":-9223372036854775808,"
               "\"b\":9223372036854775807,\"c\":0,\"d\":true,\"e\":false}",
               "integers and booleans are exact");

    event_open(&event, EVENT_INFO, "X", NOON);
    event_real(&event, "a", 12.3456);
    event_real(&event, "b", -0.5);
    event_real(&event, "c", -0.0001);
    event_real(&event, "d", 100);
    event_real(&event, "e", 0.05);
    event_real(&event, "f", NAN);
    event_real(&event, "g", -INFINITY);
    event_real(&event, "h", 999.9996);
    tap_is_str(close_fields(&event), ",\"a\":12.346,\"b\":-0.5,\"c\":0,"
               "\"d\":100,\"e\":0.05,\"f\":0,\"g\":0,\"h\":1000}",
               "reals have at most three decimals, and none for nothing");
}

static void test_huge_numbers(void)
{
    static const double values[] = {
        999999999999999.0, 1e15, -1e15, 1e100, 1.7976931348623157e308,
        -1.7976931348623157e308
    };
    apr_size_t i;
    int wrong = 0;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        event_t event;
        json_t *line;

        event_open(&event, EVENT_INFO, "X", NOON);
        event_real(&event, "v", values[i]);
        event_close(&event);
        line = json_loads(event.line, JSON_DECODE_INT_AS_REAL, NULL);
        wrong += json_real_value(json_object_get(line, "v")) != values[i];
        json_decref(line);
    }
    tap_is(wrong, 0, "reals as large as they come keep their value");
}

static void test_absent_values(void)
{
    event_t event;
    apr_size_t before;

    event_open(&event, EVENT_INFO, "X", NOON);
    before = event.len;
    event_str(&event, "a", NULL);
    event_strn(&event, "b", NULL, 0);
    event_code(&event, NULL);
    event_json(&event, "d", NULL);
    tap_is(event.len, before, "a NULL value adds nothing");
    tap_ok(event.code == NULL, "no code is remembered");
    event_code(&event, "ETIMEDOUT");
    tap_is_str(event.code, "ETIMEDOUT", "a code is remembered");
    tap_ok(strstr(event_close(&event), "\"code\":\"ETIMEDOUT\"") != NULL,
           "a code is a field too");
}

static void test_json_values(void)
{
    event_t event;
    json_t *line;
    char *large = malloc(EVENT_LINE_MAX + 1);

    event_open(&event, EVENT_INFO, "X", NOON);
    event_json(&event, "list", "[1,\n\t{\"a\":\r\n2}]");
    line = read_line(&event);
    tap_is(json_array_size(json_object_get(line, "list")), 2,
           "JSON over several lines stays on one");
    json_decref(line);

    memset(large, '1', EVENT_LINE_MAX);
    large[EVENT_LINE_MAX] = '\0';
    event_open(&event, EVENT_INFO, "X", NOON);
    event_json(&event, "large", large);
    event_str(&event, "after", "here");
    line = read_line(&event);
    tap_ok(json_object_get(line, "large") == NULL && is_truncated(line),
           "JSON that does not fit is left out, and the line says so");
    tap_is_str(get_str(line, "after"), "here",
               "what comes after it still fits");
    json_decref(line);
    free(large);
}

/* One UTF-8 character of any width, control bytes included. */
static int draw_character(char *out)
{
    static const unsigned int first[] = { 0, 0x80, 0x800, 0x10000 };
    static const unsigned int end[] = { 0x80, 0x800, 0x10000, 0x110000 };
    unsigned int width = draw(4);
    unsigned int c;
    int i;

    do {
        c = first[width] + draw(end[width] - first[width]);
    } while (c >= 0xd800 && c <= 0xdfff);
    if (width == 0) {
        out[0] = (char)c;
        return 1;
    }
    for (i = (int)width; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)(((0xff00 >> (width + 1)) & 0xff) | c);
    return (int)width + 1;
}

static void test_round_trip(void)
{
    int wrong = 0;
    int run;

    for (run = 0; run < 20000; run++) {
        char value[200];
        apr_size_t len = 0;
        apr_size_t wanted = draw(190);
        event_t event;
        json_t *line, *got;

        while (len < wanted) {
            len += draw_character(value + len);
        }
        event_open(&event, (event_level_e)draw(5), "X", NOON);
        event_strn(&event, "v", value, len);
        line = read_line(&event);
        got = json_object_get(line, "v");
        wrong += !json_is_string(got) || json_string_length(got) != len
                 || memcmp(json_string_value(got), value, len) != 0;
        json_decref(line);
    }
    tap_is(wrong, 0, "any text of valid UTF-8 comes out as it went in");
}

static void test_invalid_utf8(void)
{
    static const char *const broken[] = {
        "\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\xaf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff", "\xc3",
        "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2(\xa1", "\xf0\x28\x8c\xbc"
    };
    apr_size_t i;
    int wrong = 0;

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        event_t event;
        json_t *line;
        const char *got;

        event_open(&event, EVENT_INFO, "X", NOON);
        event_str(&event, "v", broken[i]);
        line = read_line(&event);
        got = get_str(line, "v");
        wrong += got == NULL || strncmp(got, "\xef\xbf\xbd", 3) != 0;
        json_decref(line);
    }
    tap_is(wrong, 0, "what is no UTF-8 becomes U+FFFD");
}

/* Any bytes at all, as values and as keys, of any length, until well after
 * the line is full. */
static void test_random_bytes(void)
{
    int wrong = 0;
    int run;

    for (run = 0; run < 5000; run++) {
        event_t event;
        json_t *line;
        unsigned int fields = 1 + draw(8);
        unsigned int i, k;

        event_open(&event, (event_level_e)draw(5), "X", NOON);
        for (i = 0; i < fields; i++) {
            char key[24], value[2000];
            apr_size_t len = draw(sizeof(value));

            snprintf(key, sizeof(key), "%c\"%c%u", (int)(1 + draw(255)),
                     (int)(1 + draw(255)), i);
            for (k = 0; k < len; k++) {
                value[k] = (char)draw(256);
            }
            event_strn(&event, key, value, len);
            event_int(&event, "n", i);
            event_json(&event, "j", "[]");
        }
        line = json_loads(event_close(&event), JSON_ALLOW_NUL, NULL);
        wrong += line == NULL || event.len > EVENT_LINE_MAX - 1
                 || strlen(event.line) != event.len
                 || strpbrk(event.line, "\r\n") != NULL;
        json_decref(line);
    }
    tap_is(wrong, 0, "random bytes always make one line of valid JSON");
}

/* Whether got is the begin of value (lead bytes, then units of size bytes),
 * and ends where a unit does. */
static int is_clean_cut(const char *got, const char *value, apr_size_t lead,
                        apr_size_t size)
{
    apr_size_t len = got == NULL ? 0 : strlen(got);

    return len > 0 && len < strlen(value) && memcmp(got, value, len) == 0
           && (len <= lead || (len - lead) % size == 0);
}

static const char *const units[] = {
    "a", "\xc3\xa9", "\xed\x95\x9c", "\xf0\x9f\x98\x80", "\n", "\x01", "\"",
    "error"
};

#define UNITS (sizeof(units) / sizeof(units[0]))

/* A value of lead bytes "x" and then one unit over and over, so that the cut
 * falls on each byte of the unit in turn. */
static void make_value(char *value, apr_size_t lead, const char *unit,
                       apr_size_t len)
{
    apr_size_t size = strlen(unit);

    memset(value, 'x', lead);
    for (; lead + size < len; lead += size) {
        memcpy(value + lead, unit, size);
    }
    value[lead] = '\0';
}

static void test_value_bound(void)
{
    char value[3000];
    apr_size_t u, lead;
    int wrong = 0, large = 0;

    for (u = 0; u < UNITS; u++) {
        for (lead = 0; lead < 8; lead++) {
            event_t event;
            json_t *line;
            const char *start;

            make_value(value, lead, units[u], sizeof(value));
            event_open(&event, EVENT_INFO, "X", NOON);
            event_str(&event, "v", value);
            event_str(&event, "after", "here");
            line = read_line(&event);
            wrong += !is_truncated(line) || get_str(line, "after") == NULL
                     || !is_clean_cut(get_str(line, "v"), value, lead,
                                      u == UNITS - 1 ? 1 : strlen(units[u]));
            start = strstr(event.line, "\"v\":\"") + 5;
            large += strstr(start, "\",\"after") - start > EVENT_VALUE_MAX;
            json_decref(line);
        }
    }
    tap_is(wrong, 0, "a long value is cut between two characters");
    tap_is(large, 0, "and takes no more than its share of the line");
}

static void test_value_that_just_fits(void)
{
    char value[EVENT_VALUE_MAX + 2];
    event_t event;
    json_t *line;

    memset(value, 'a', sizeof(value));
    value[EVENT_VALUE_MAX] = '\0';
    event_open(&event, EVENT_INFO, "X", NOON);
    event_str(&event, "v", value);
    line = read_line(&event);
    tap_ok(json_object_get(line, "truncated") == NULL
           && strcmp(get_str(line, "v"), value) == 0,
           "a value of exactly the bound is whole");
    json_decref(line);

    value[EVENT_VALUE_MAX] = 'a';
    value[EVENT_VALUE_MAX + 1] = '\0';
    event_open(&event, EVENT_INFO, "X", NOON);
    event_str(&event, "v", value);
    line = read_line(&event);
    tap_ok(is_truncated(line)
           && strlen(get_str(line, "v")) == EVENT_VALUE_MAX,
           "a byte more is cut off");
    json_decref(line);
}

/* Fills the line up to left bytes before the end of what fields may use,
 * which is what the longest end of a line leaves of it. */
static void fill_line(event_t *event, int left)
{
    static const char end[] = ",\"truncated\":true}";
    const int overhead = 7;             /* ,"a":"" */
    char key[2] = "a";
    char value[1000];
    int room;

    memset(value, 'f', sizeof(value));
    event_open(event, EVENT_INFO, "X", NOON);
    do {
        room = EVENT_LINE_MAX - (int)sizeof(end) - left - (int)event->len
               - overhead;
        event_strn(event, key, value, room > (int)sizeof(value) ? 900 : room);
        key[0]++;
    } while (room > (int)sizeof(value));
}

static void add_field(event_t *event, int kind)
{
    if (kind < (int)UNITS) {
        char value[64];

        make_value(value, 0, units[kind], sizeof(value));
        event_str(event, "v", value);
        return;
    }
    switch (kind - (int)UNITS) {
    case 0:
        event_int(event, "v", 1234567);
        break;
    case 1:
        event_real(event, "v", 1234.567);
        break;
    case 2:
        event_bool(event, "v", 1);
        break;
    case 3:
        event_json(event, "v", "{\"a\":[1,2,3]}");
        break;
    default:
        event_str(event, "a key of \"more\" than a few letters", "");
        break;
    }
}

/* Every kind of field, at every distance from the end of the line. */
static void test_line_bound(void)
{
    int wrong = 0, unsaid = 0;
    int kind, left;

    for (kind = 0; kind < (int)UNITS + 5; kind++) {
        event_t alone;
        apr_size_t start, size;

        event_open(&alone, EVENT_INFO, "X", NOON);
        start = alone.len;
        add_field(&alone, kind);
        size = alone.len - start;
        for (left = -8; left < 200; left++) {
            event_t event;
            json_t *line;

            fill_line(&event, left);
            add_field(&event, kind);
            line = read_line(&event);
            wrong += line == NULL;
            unsaid += is_truncated(line) != (left < (int)size);
            json_decref(line);
        }
    }
    tap_is(wrong, 0, "a full line is valid JSON of less than 4,000 bytes");
    tap_is(unsaid, 0, "and says that something is missing exactly if so");
}

static void test_quiet_words(void)
{
    event_level_e level;
    apr_size_t i;
    int loud = 0, changed = 0, hidden = 0;

    for (level = EVENT_DEBUG; level <= EVENT_FATAL; level++) {
        for (i = 0; i < ALARM_WORDS; i++) {
            event_t event;
            json_t *line;
            char value[64];

            snprintf(value, sizeof(value), "/a/%s%s?%s=\xed\x95\x9c",
                     alarm_words[i], alarm_words[i], alarm_words[i]);
            event_open(&event, level, "REQUEST", NOON);
            event_str(&event, "path", value);
            event_str(&event, alarm_words[i], "x");
            line = read_line(&event);
            if (level < EVENT_WARNING) {
                loud += holds_alarm_word(event.line);
            }
            else {
                hidden += strstr(event.line, value) == NULL;
            }
            changed += get_str(line, "path") == NULL
                       || strcmp(get_str(line, "path"), value) != 0
                       || get_str(line, alarm_words[i]) == NULL;
            json_decref(line);
        }
    }
    tap_is(loud, 0, "a healthy line has none of the words of a failure");
    tap_is(hidden, 0, "a failure's line has them in plain letters");
    tap_is(changed, 0, "the value is the same either way");
}

/* Pieces that may make such a word where they meet, or by their escapes. */
static void test_quiet_soup(void)
{
    static const char *const pieces[] = {
        "ERR", "OR", "err", "or", "e", "E", "r", "W", "w", "ARN", "arning",
        "WARN", "ING", "\x0e", "\x1e", "\x0f", "\x1f", "\\", "\"", "u00",
        "\\u0045", "rror", "xception", "Exc", "eption", "CRIT", "ICAL", "F",
        "ATAL", "C", "error", "Error", "ERROR", "\xff", "\xed\x95\x9c", "\r"
    };
    int loud = 0, wrong = 0;
    int run;

    for (run = 0; run < 200000; run++) {
        char value[200] = "";
        event_t event;
        int count = 1 + (int)draw(12);

        while (count-- > 0) {
            const char *piece =
                pieces[draw(sizeof(pieces) / sizeof(pieces[0]))];

            strncat(value, piece, sizeof(value) - strlen(value) - 1);
        }
        event_open(&event, EVENT_INFO, "X", NOON);
        event_str(&event, "v", value);
        if (run % 10 == 0) {
            json_t *line = read_line(&event);

            wrong += line == NULL;
            json_decref(line);
        }
        loud += holds_alarm_word(event.line);
    }
    tap_is(loud, 0, "no mixture of pieces makes such a word");
    tap_is(wrong, 0, "and the line stays valid");
}

int main(void)
{
    apr_initialize();
    test_head();
    test_calendar();
    test_numbers();
    test_huge_numbers();
    test_absent_values();
    test_json_values();
    test_round_trip();
    test_invalid_utf8();
    test_random_bytes();
    test_value_bound();
    test_value_that_just_fits();
    test_line_bound();
    test_quiet_words();
    test_quiet_soup();
    apr_terminate();
    return tap_done();
}
