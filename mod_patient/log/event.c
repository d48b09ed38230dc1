/*
 * event.c - writes the JSON of one event into its fixed buffer.
 */
#include "log/event.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What event_close() may still have to write.  No field goes beyond
 * FIELDS_END, so this always fits, and the terminating NUL after it. */
#define TAIL ",\"truncated\":true}"
#define FIELDS_END ((apr_size_t)(EVENT_LINE_MAX - sizeof(TAIL)))

/* From here on a real number has no fraction worth writing, and soon its
 * thousandths would overflow an apr_int64_t. */
#define REAL_PLAIN_MAX 1e15

/* What a byte needs on its way into a JSON string.  One look-up a byte keeps
 * the common case, plain ASCII, close to the speed of a copy. */
typedef enum { PLAIN, SUSPECT, ESCAPE, WIDE } byte_class_e;

static const unsigned char byte_class[256] = {
    [0x00 ... 0x1f] = ESCAPE, ['"'] = ESCAPE, ['\\'] = ESCAPE,
    [0x7f] = ESCAPE, [0x80 ... 0xff] = WIDE,
    ['C'] = SUSPECT, ['E'] = SUSPECT, ['F'] = SUSPECT, ['W'] = SUSPECT,
    ['e'] = SUSPECT, ['r'] = SUSPECT, ['w'] = SUSPECT
};

typedef struct source_t {
    const unsigned char *begin;
    const unsigned char *at;
    const unsigned char *end;
} source_t;

static int starts_with(const source_t *source, const char *word)
{
    apr_size_t len = strlen(word);

    return (apr_size_t)(source->end - source->at) >= len
           && memcmp(source->at, word, len) == 0;
}

/* Whether the line would hold an alarm word if the byte here were copied as
 * it is.  "WARN" stands for "WARNING" too.  An 'r' matters since the escapes
 * of 0x0e and 0x1e end in an 'e', which "rror" would complete. */
static int starts_alarm_word(const source_t *source)
{
    switch (*source->at) {
    case 'C':
        return starts_with(source, "CRITICAL");
    case 'E':
        return starts_with(source, "ERROR") || starts_with(source, "Error")
               || starts_with(source, "Exception");
    case 'F':
        return starts_with(source, "FATAL");
    case 'W':
        return starts_with(source, "WARN") || starts_with(source, "Warning");
    case 'e':
        return starts_with(source, "error");
    case 'r':
        return source->at > source->begin
               && (source->at[-1] == 0x0e || source->at[-1] == 0x1e)
               && starts_with(source, "rror");
    case 'w':
        return starts_with(source, "warning");
    default:
        return 0;
    }
}

/* How many bytes follow the first one of a UTF-8 sequence; 0 for a byte that
 * cannot be the first.  lowest and highest bound the second byte, which is
 * how overlong forms, surrogates and what lies above U+10FFFF are kept out. */
static int sequence_rest(unsigned char first, unsigned char *lowest,
                         unsigned char *highest)
{
    *lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
        return 1;
    }
    if (first >= 0xe0 && first <= 0xef) {
        return 2;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        return 3;
    }
    return 0;
}

/* The length of the well-formed UTF-8 sequence that begins here, or 0. */
static int sequence_length(const source_t *source)
{
    unsigned char lowest, highest;
    int rest = sequence_rest(*source->at, &lowest, &highest);
    int i;

    if (rest == 0 || source->end - source->at <= rest
        || source->at[1] < lowest || source->at[1] > highest) {
        return 0;
    }
    for (i = 2; i <= rest; i++) {
        if ((source->at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return rest + 1;
}

static int put_hex_escape(char *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";

    memcpy(out, "\\u00", 4);
    out[4] = digits[c >> 4];
    out[5] = digits[c & 0xf];
    return 6;
}

static int put_escape(char *out, unsigned char c)
{
    static const char letters[256] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'
    };

    if (letters[c] == 0) {
        return put_hex_escape(out, c);
    }
    out[0] = '\\';
    out[1] = letters[c];
    return 2;
}

/* Writes a byte of ASCII, or of no valid UTF-8.
 * @return how many bytes it became, at most six */
static int put_byte(char *out, const source_t *source, int quiet)
{
    unsigned char c = *source->at;

    switch (byte_class[c]) {
    case ESCAPE:
        return put_escape(out, c);
    case WIDE:
        memcpy(out, "\xef\xbf\xbd", 3);
        return 3;
    case SUSPECT:
        if (quiet && starts_alarm_word(source)) {
            return put_hex_escape(out, c);
        }
        break;
    default:
        break;
    }
    *out = (char)c;
    return 1;
}

/* Takes the next character from the source and writes it as JSON.
 * @return how many bytes it became, at most six */
static int put_character(char *out, source_t *source, int quiet)
{
    int taken = 1;
    int size;

    if (byte_class[*source->at] == WIDE && (size = sequence_length(source))) {
        memcpy(out, source->at, size);
        taken = size;
    }
    else {
        size = put_byte(out, source, quiet);
    }
    source->at += taken;
    return size;
}

/* Writes a string, quoted, of at most max bytes between the quotes.  There
 * must be room for both quotes below FIELDS_END.  A character is written
 * before it is known to fit: the room that is kept for the tail is larger
 * than any character.
 * @return 1 if all of it fitted */
static int put_string(event_t *event, const char *value, apr_size_t len,
                      apr_size_t max)
{
    const unsigned char *bytes = (const unsigned char *)value;
    source_t source = { bytes, bytes, bytes + len };
    int quiet = event->level < EVENT_WARNING;
    char *out = event->line + event->len;
    char *end = event->line + FIELDS_END - 1;
    int whole = 1;

    *out++ = '"';
    if ((apr_size_t)(end - out) > max) {
        end = out + max;
    }
    while (source.at < source.end) {
        int size;

        if (byte_class[*source.at] == PLAIN && out < end) {
            *out++ = (char)*source.at++;
            continue;
        }
        size = put_character(out, &source, quiet);
        if (size > end - out) {
            whole = 0;
            break;
        }
        out += size;
    }
    *out++ = '"';
    *out = '\0';
    event->len = out - event->line;
    return whole;
}

static apr_size_t room(const event_t *event)
{
    return FIELDS_END - event->len;
}

/* Takes a field back of which only a part could be written. */
static void drop_field(event_t *event, apr_size_t start)
{
    event->len = start;
    event->line[start] = '\0';
    event->truncated = 1;
}

/* Writes ,"key": if that and at least needed more bytes fit. */
static int open_field(event_t *event, const char *key, apr_size_t needed)
{
    apr_size_t start = event->len;

    if (room(event) < 4) {
        event->truncated = 1;
        return 0;
    }
    if (start > 1) {
        event->line[event->len++] = ',';
    }
    if (!put_string(event, key, strlen(key), EVENT_LINE_MAX)
        || room(event) < needed + 1) {
        drop_field(event, start);
        return 0;
    }
    event->line[event->len++] = ':';
    event->line[event->len] = '\0';
    return 1;
}

/* Adds a value that makes sense only as a whole, such as a number. */
static void put_token(event_t *event, const char *key, const char *token,
                      apr_size_t len)
{
    if (!open_field(event, key, len)) {
        return;
    }
    memcpy(event->line + event->len, token, len);
    event->len += len;
    event->line[event->len] = '\0';
}

static char *put_digits(char *out, unsigned int value, int count)
{
    int i;

    for (i = count - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + count;
}

/* ISO 8601, UTC, milliseconds.  By hand, after Hinnant's "days_from_civil"
 * turned round (years that begin in March have their leap day at the end):
 * every request writes a line, and apr_time_exp_gmt() plus a formatter would
 * be the largest part of it. */
static void format_time(char out[24], apr_time_t when)
{
    apr_int64_t ms = when < 0 ? 0 : when / 1000;
    unsigned int of_day = (unsigned int)(ms % 86400000);
    apr_int64_t days = ms / 86400000 + 719468;
    apr_int64_t era = days / 146097;
    unsigned int doe = (unsigned int)(days % 146097);
    unsigned int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned int month_of_march = (5 * doy + 2) / 153;
    unsigned int month = month_of_march < 10 ? month_of_march + 3
                                             : month_of_march - 9;
    unsigned int year = (unsigned int)(yoe + era * 400 + (month <= 2));

    out = put_digits(out, year, 4);
    *out++ = '-';
    out = put_digits(out, month, 2);
    *out++ = '-';
    out = put_digits(out, doy - (153 * month_of_march + 2) / 5 + 1, 2);
    *out++ = 'T';
    out = put_digits(out, of_day / 3600000, 2);
    *out++ = ':';
    out = put_digits(out, of_day / 60000 % 60, 2);
    *out++ = ':';
    out = put_digits(out, of_day / 1000 % 60, 2);
    *out++ = '.';
    out = put_digits(out, of_day % 1000, 3);
    *out = 'Z';
}

void event_open(event_t *event, event_level_e level, const char *type,
                apr_time_t now)
{
    char timestamp[24];

    event->level = level;
    event->type = type;
    event->code = NULL;
    event->truncated = 0;
    event->len = 1;
    memcpy(event->line, "{", 2);

    format_time(timestamp, now);
    event_strn(event, "timestamp", timestamp, sizeof(timestamp));
    event_str(event, "level", event_level_name(level));
    event_str(event, "type", type);
    event_int(event, "pid", getpid());
}

void event_str(event_t *event, const char *key, const char *value)
{
    if (value != NULL) {
        event_strn(event, key, value, strlen(value));
    }
}

void event_strn(event_t *event, const char *key, const char *value,
                apr_size_t len)
{
    if (value == NULL || !open_field(event, key, 2)) {
        return;
    }
    if (!put_string(event, value, len, EVENT_VALUE_MAX)) {
        event->truncated = 1;
    }
}

void event_code(event_t *event, const char *code)
{
    event->code = code;
    event_str(event, "code", code);
}

/* Writes a number's decimal digits so that they end right before end.
 * @return where they begin */
static char *put_decimal(char *end, apr_uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return end;
}

void event_int(event_t *event, const char *key, apr_int64_t value)
{
    char digits[24];
    char *end = digits + sizeof(digits);
    char *at = put_decimal(end, value < 0 ? 0 - (apr_uint64_t)value
                                          : (apr_uint64_t)value);

    if (value < 0) {
        *--at = '-';
    }
    put_token(event, key, at, end - at);
}

/* A number so large that its thousandths fit no integer.  No fraction is
 * asked for, so that no locale's decimal point can get into the JSON. */
static void put_huge(event_t *event, const char *key, double value)
{
    char text[DBL_MAX_10_EXP + 8];
    int len = snprintf(text, sizeof(text), "%.0f", value);

    put_token(event, key, text, len);
}

void event_real(event_t *event, const char *key, double value)
{
    char text[32];
    char *end = text + sizeof(text);
    char *at = end - 4;
    apr_uint64_t thousandths;

    if (!isfinite(value)) {
        value = 0;
    }
    if (fabs(value) >= REAL_PLAIN_MAX) {
        put_huge(event, key, value);
        return;
    }
    thousandths = (apr_uint64_t)llround(fabs(value) * 1000);
    *at = '.';
    put_digits(at + 1, (unsigned int)(thousandths % 1000), 3);
    at = put_decimal(at, thousandths / 1000);
    if (value < 0 && thousandths != 0) {
        *--at = '-';
    }
    while (end[-1] == '0') {
        end--;
    }
    if (end[-1] == '.') {
        end--;
    }
    put_token(event, key, at, end - at);
}

void event_bool(event_t *event, const char *key, int value)
{
    if (value) {
        put_token(event, key, "true", 4);
    }
    else {
        put_token(event, key, "false", 5);
    }
}

/* A raw control byte can only be white space in valid JSON, but the line must
 * not be broken by it. */
void event_json(event_t *event, const char *key, const char *json)
{
    char *at;

    if (json == NULL) {
        return;
    }
    at = event->line + event->len;
    put_token(event, key, json, strlen(json));
    for (; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20) {
            *at = ' ';
        }
    }
}

const char *event_close(event_t *event)
{
    const char *tail = event->truncated ? TAIL : "}";
    apr_size_t len = strlen(tail);

    memcpy(event->line + event->len, tail, len + 1);
    event->len += len;
    return event->line;
}

const char *event_level_name(event_level_e level)
{
    static const char *const names[] = {
        "debug", "info", "warning", "error", "fatal"
    };

    return names[level];
}
