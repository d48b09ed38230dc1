/*
 * datetime.c - the text of a DATETIME, and the zone that it is told in.
 */
#include "datetime.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DIGITS "0123456789"

#define ZONE_MIN (-(13 * 3600 + 59 * 60))
#define ZONE_MAX (14 * 3600)

/* 0000-01-01 and 10000-01-01, in seconds since 1970. */
#define SECONDS_MIN APR_INT64_C(-62167219200)
#define SECONDS_END APR_INT64_C(253402300800)

int datetime_zone(int *seconds, const char *text)
{
    int hours, minutes;

    if (strlen(text) != 6 || strspn(text, "+-") != 1
        || strspn(text + 1, DIGITS) != 2 || text[3] != ':'
        || strspn(text + 4, DIGITS) != 2
        || sscanf(text + 1, "%2d:%2d", &hours, &minutes) != 2
        || minutes > 59) {
        return 0;
    }
    *seconds = (hours * 60 + minutes) * 60;
    if (text[0] == '-') {
        *seconds = -*seconds;
    }
    return *seconds >= ZONE_MIN && *seconds <= ZONE_MAX;
}

/* ".5" is 500,000 microseconds. */
static apr_time_t read_fraction(const char *text)
{
    apr_time_t fraction = 0, unit = APR_USEC_PER_SEC;

    if (*text != '.') {
        return 0;
    }
    while (*++text >= '0' && *text <= '9' && (unit /= 10) > 0) {
        fraction += (*text - '0') * unit;
    }
    return fraction;
}

apr_time_t datetime_read(const char *text, int zone)
{
    struct tm day = { .tm_isdst = 0 }, real;
    apr_int64_t seconds;
    int end = 0;

    if (text == NULL || sscanf(text, "%4d-%2d-%2d%n", &day.tm_year,
                               &day.tm_mon, &day.tm_mday, &end) != 3) {
        return DATETIME_NONE;
    }
    text += end;
    if (sscanf(text, " %2d:%2d:%2d%n", &day.tm_hour, &day.tm_min,
               &day.tm_sec, &end) == 3) {
        text += end;
    }
    day.tm_year -= 1900;
    day.tm_mon--;
    real = day;
    /* It makes the 2nd of March of the 31st of February, and the last of
     * November of the 0th of December. */
    seconds = timegm(&real) - zone;
    if (real.tm_mon != day.tm_mon || real.tm_mday != day.tm_mday
        || seconds < SECONDS_MIN || seconds >= SECONDS_END) {
        return DATETIME_NONE;
    }
    return apr_time_from_sec(seconds) + read_fraction(text);
}
