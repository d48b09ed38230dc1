/*
 * moment.c - points in time, as logs and diagnoses write them.
 */
#include "moment.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

/* 9999-12-31T23:59:59.999Z, in milliseconds. */
#define LATEST_MS APR_INT64_C(253402300799999)

/* Room for a moment's text; an offset may lead beyond the year 9999. */
#define TEXT_SIZE sizeof("10000-12-31T23:59:59.999Z")

/* Exactly so many digits. @return -1: they are not there */
static int digits(const char **text, int count)
{
    int value = 0;

    for (; count > 0; count--, (*text)++) {
        if (!apr_isdigit(**text)) {
            return -1;
        }
        value = value * 10 + (**text - '0');
    }
    return value;
}

/* The same after a mark. */
static int marked(const char **text, const char *marks, int count)
{
    if (**text == '\0' || strchr(marks, **text) == NULL) {
        return -1;
    }
    (*text)++;
    return digits(text, count);
}

/* ".123456": microseconds; what is finer is left out. */
static apr_int32_t fraction(const char **text)
{
    apr_int32_t value = 0, unit = APR_USEC_PER_SEC;

    if (**text != '.') {
        return 0;
    }
    for ((*text)++; apr_isdigit(**text); (*text)++) {
        unit /= 10;
        value += (**text - '0') * unit;
    }
    return value;
}

/* "Z" or "+09:00" at the end: seconds east. @return whether it is one */
static int offset(const char *text, apr_int32_t *seconds)
{
    int sign = *text == '-' ? -1 : 1;
    int hours, minutes;

    *seconds = 0;
    if (strcmp(text, "Z") == 0) {
        return 1;
    }
    hours = marked(&text, "+-", 2);
    minutes = hours < 0 ? -1 : marked(&text, ":", 2);
    *seconds = sign * (hours * 3600 + minutes * 60);
    return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60
        && *text == '\0';
}

static int is_date(const apr_time_exp_t *t)
{
    static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30,
                                31 };

    return t->tm_year >= 70 && t->tm_mon >= 0 && t->tm_mon < 12
        && t->tm_mday > 0 && t->tm_mday <= days[t->tm_mon]
        && t->tm_hour >= 0 && t->tm_hour < 24 && t->tm_min >= 0
        && t->tm_min < 60 && t->tm_sec >= 0 && t->tm_sec <= 60;
}

apr_time_t moment_parse(const char *text)
{
    apr_time_exp_t t;
    apr_time_t moment;

    memset(&t, 0, sizeof(t));
    t.tm_year = digits(&text, 4) - 1900;
    t.tm_mon = t.tm_year < 0 ? -1 : marked(&text, "-", 2) - 1;
    t.tm_mday = t.tm_mon < 0 ? -1 : marked(&text, "-", 2);
    t.tm_hour = t.tm_mday < 0 ? -1 : marked(&text, "T ", 2);
    t.tm_min = t.tm_hour < 0 ? -1 : marked(&text, ":", 2);
    t.tm_sec = t.tm_min < 0 ? -1 : marked(&text, ":", 2);
    if (!is_date(&t)) {
        return MOMENT_NONE;
    }
    t.tm_usec = fraction(&text);
    if (!offset(text, &t.tm_gmtoff)
        || apr_time_exp_gmt_get(&moment, &t) != APR_SUCCESS || moment < 0) {
        return MOMENT_NONE;
    }
    return moment;
}

apr_time_t moment_read(const json_t *value)
{
    double ms;

    if (json_is_string(value)) {
        return moment_parse(json_string_value(value));
    }
    if (!json_is_number(value)) {
        return MOMENT_NONE;
    }
    ms = json_number_value(value);
    return ms >= 0 && ms <= (double)LATEST_MS
        ? (apr_time_t)(ms * 1000) : MOMENT_NONE;
}

static const char *write_moment(char *text, size_t size, apr_time_t moment)
{
    apr_time_exp_t t;

    apr_time_exp_gmt(&t, moment);
    apr_snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                 t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                 t.tm_min, t.tm_sec, t.tm_usec / 1000);
    return text;
}

const char *moment_text(apr_time_t moment, apr_pool_t *pool)
{
    char text[TEXT_SIZE];

    return apr_pstrdup(pool, write_moment(text, sizeof(text), moment));
}

json_t *moment_json(apr_time_t moment)
{
    char text[TEXT_SIZE];

    return moment == MOMENT_NONE
        ? json_null() : json_string(write_moment(text, sizeof(text), moment));
}
