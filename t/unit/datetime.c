/*
 * datetime.c - what a DATETIME column may hold, in whatever zone.
 */
#include "datetime.h"

#include "tap.h"

#define HOUR 3600

static void test_zones(void)
{
    static const struct {
        const char *text;
        int seconds;
    } good[] = {
        { "+00:00", 0 }, { "-00:00", 0 }, { "+09:00", 9 * HOUR },
        { "-03:30", -3 * HOUR - 1800 }, { "+05:45", 5 * HOUR + 2700 },
        { "+14:00", 14 * HOUR }, { "-13:59", -13 * HOUR - 59 * 60 }
    };
    static const char *const bad[] = {
        "", "+", "09:00", "+9:00", "+0900", "+09", "+09:60", "+14:01",
        "-14:00", "+24:00", "+09:00 ", " +09:00", "Asia/Seoul", "UTC", "Z",
        "SYSTEM", "+-9:00", "+09:-1", "++9:00", "+09:00'"
    };
    size_t i;
    int seconds;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        seconds = 1;
        tap_ok(datetime_zone(&seconds, good[i].text), "%s", good[i].text);
        tap_is(seconds, good[i].seconds, "its seconds");
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tap_ok(!datetime_zone(&seconds, bad[i]), "not: %s", bad[i]);
    }
}

static void test_moments(void)
{
    static const struct {
        const char *text;
        int zone;
        apr_time_t moment;
    } is[] = {
        { "1970-01-01 00:00:00", 0, 0 },
        { "1970-01-01 09:00:00", 9 * HOUR, 0 },
        { "2024-12-10 19:30:45", 9 * HOUR,
          APR_TIME_C(1733826645) * APR_USEC_PER_SEC },
        { "2024-12-10 07:00:45", -3 * HOUR - 1800,
          APR_TIME_C(1733826645) * APR_USEC_PER_SEC },
        { "2024-12-10 10:30:45.123", 0, APR_TIME_C(1733826645123000) },
        { "2024-12-10 10:30:45.123456", 0, APR_TIME_C(1733826645123456) },
        { "2024-12-10 10:30:45.5", 0, APR_TIME_C(1733826645500000) },
        { "2024-12-10", 0, APR_TIME_C(1733788800) * APR_USEC_PER_SEC },
        { "2024-02-29 00:00:00", 0,
          APR_TIME_C(1709164800) * APR_USEC_PER_SEC },
        { "1969-12-31 23:59:59.750", 0, APR_TIME_C(-250000) },
        { "1900-01-01 00:00:00", 0,
          APR_TIME_C(-2208988800) * APR_USEC_PER_SEC },
        { "2038-01-19 03:14:08", 0,
          APR_TIME_C(2147483648) * APR_USEC_PER_SEC },
        { "9999-12-31 23:59:59", 0,
          APR_TIME_C(253402300799) * APR_USEC_PER_SEC },
        { "0001-01-01 00:00:00", 0,
          APR_TIME_C(-62135596800) * APR_USEC_PER_SEC },
    };
    static const char *const none[] = {
        "", "0000-00-00 00:00:00", "0000-00-00 00:00:00.000000",
        "0000-00-00", "2024-00-10 00:00:00", "2024-12-00 00:00:00",
        "2023-02-29 00:00:00", "2024-13-01 00:00:00", "yesterday"
    };
    size_t i;

    for (i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        tap_is(datetime_read(is[i].text, is[i].zone), is[i].moment,
               is[i].text);
    }
    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        tap_ok(datetime_read(none[i], 0) == DATETIME_NONE, "none: %s",
               none[i]);
    }
    tap_ok(datetime_read(NULL, 0) == DATETIME_NONE, "NULL");
    tap_ok(datetime_read("9999-12-31 23:59:59", -HOUR) == DATETIME_NONE,
           "beyond the year 9999");
}

int main(void)
{
    test_zones();
    test_moments();
    return tap_done();
}
