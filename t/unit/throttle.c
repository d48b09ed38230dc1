/*
 * throttle.c - a failure that goes on for half an hour, at any traffic, fits
 * the page that its reader looks at, and hides no other.
 */
#include "throttle.h"

#include <string.h>

#include "tap.h"

/* Lines that match a reader's filter, on the page that he looks at. */
#define PAGE 100

#define START apr_time_from_sec(1000000)
#define HALF_HOUR apr_time_from_sec(30 * 60)

static throttle_t throttle;
static apr_uint64_t suppressed;

static void begin(void)
{
    memset(&throttle, 0, sizeof(throttle));
}

static int pass(const char *code, apr_time_t now)
{
    return throttle_pass(&throttle, "DB CONNECTION ERROR", code, now,
                         &suppressed);
}

static void test_one(void)
{
    int told = 0, held = 0, counted = 0;
    apr_time_t now;

    begin();
    tap_ok(pass("A", START), "the first one is told at once");
    tap_is((long long)suppressed, 0, "and none was held back before it");
    tap_ok(!pass("A", START + 1000), "the next one is not");
    held = 1;
    for (now = START; now < START + HALF_HOUR; now += 10000) {
        if (pass("A", now)) {
            told++;
            counted += (int)suppressed;
        }
        else {
            held++;
        }
    }
    tap_ok(told >= 10 && told <= 30,
           "in half an hour it is told now and then (%d)", told);
    tap_ok(counted <= held && counted > held - 13000,
           "each line says how many were held back since the last");
}

static void test_spacing(void)
{
    begin();
    pass("A", START);
    tap_ok(!pass("A", START + apr_time_from_sec(4)), "silent for 5 s");
    tap_ok(pass("A", START + apr_time_from_sec(5)), "told again after 5 s");
    tap_is((long long)suppressed, 1, "it says that one was held back");
    tap_ok(!pass("A", START + apr_time_from_sec(14)), "silent for 10 s more");
    tap_ok(pass("A", START + apr_time_from_sec(15)), "then told");
    tap_ok(pass("A", START + apr_time_from_sec(80)),
           "told at once when it comes back after a minute");
    tap_ok(pass("A", START + apr_time_from_sec(85)), "and after 5 s anew");
}

static void test_other_kinds(void)
{
    begin();
    pass("A", START);
    tap_ok(pass("B", START), "another code is another failure");
    tap_ok(throttle_pass(&throttle, "POOL ERROR", "A", START, &suppressed),
           "and so is another type");
    tap_ok(pass(NULL, START), "no code is a code of its own");
    tap_ok(!pass("A", START), "the first is still known");
}

/* Whatever goes wrong together, for half an hour, all the time. */
static void test_page(int kinds, apr_interval_time_t every)
{
    char code[] = "A";
    int told = 0, first = 0, i;
    apr_time_t now;

    begin();
    for (now = START; now < START + HALF_HOUR; now += every) {
        for (i = 0; i < kinds; i++) {
            code[0] = (char)('A' + i);
            if (pass(code, now)) {
                told++;
                first += now == START;
            }
        }
    }
    tap_is(first, kinds, "each of them is told at once");
    tap_ok(told < PAGE, "%d kinds, each every %d ms: one page (%d lines)",
           kinds, (int)apr_time_as_msec(every), told);
}

/* One failure has used up all that may be told of what goes on. */
static void test_second(void)
{
    char code[] = "A";
    apr_time_t now;
    int i;

    begin();
    for (now = START; now < START + apr_time_from_sec(25 * 60);
         now += apr_time_from_sec(1)) {
        for (i = 0; i < 20; i++) {
            code[0] = (char)('A' + i);
            pass(code, now);
        }
    }
    tap_ok(!pass("A", now + apr_time_from_sec(121)),
           "the page is full of what goes on");
    tap_ok(pass("z", now), "and yet what is new is told");
}

static void test_forget(void)
{
    begin();
    pass("A", START);
    pass("A", START + 1);
    throttle_forget(&throttle);
    tap_ok(pass("A", START + 2), "after it is forgotten it is a first one");
    tap_is((long long)suppressed, 1, "that knows what was held back before");
    tap_ok(!pass("A", START + 3), "and only once");
}

/* Kinds that nobody could foresee, more than there is room for. */
static void test_crowd(void)
{
    char code[24];
    int i, told = 0;

    begin();
    for (i = 0; i < 1000; i++) {
        snprintf(code, sizeof(code), "kind %d", i);
        told += pass(code, START + i);
    }
    tap_is(told, 1000, "nothing first of its kind is ever dropped");
    snprintf(code, sizeof(code), "kind %d", 999);
    tap_ok(!pass(code, START + 1001), "and the last is known");
}

int main(void)
{
    test_one();
    test_spacing();
    test_other_kinds();
    test_page(1, 1000);
    test_page(4, apr_time_from_msec(1));
    test_page(8, apr_time_from_msec(100));
    test_page(30, apr_time_from_sec(1));
    test_page(8, apr_time_from_sec(61));
    test_second();
    test_forget();
    test_crowd();
    return tap_done();
}
