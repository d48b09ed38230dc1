/*
 * tap.h - what a unit test says, in the Test Anything Protocol.
 *
 * Header only, so that a test is one C file: print as many results as there
 * are, then the plan, and exit with tap_done().
 */
#ifndef T_UNIT_TAP_H
#define T_UNIT_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failures;

/** One result; the name says the behaviour as a sentence. @return ok */
__attribute__((format(printf, 2, 3), unused))
static int tap_ok(int ok, const char *name, ...)
{
    va_list values;

    tap_count++;
    tap_failures += !ok;
    printf("%sok %d - ", ok ? "" : "not ", tap_count);
    va_start(values, name);
    vprintf(name, values);
    va_end(values);
    putchar('\n');
    fflush(stdout);
    return ok;
}

/** Two integers are equal. */
__attribute__((unused))
static int tap_is(long long got, long long expected, const char *name)
{
    if (!tap_ok(got == expected, "%s", name)) {
        printf("#      got: %lld\n# expected: %lld\n", got, expected);
        return 0;
    }
    return 1;
}

/** Two strings are equal; NULL equals only NULL. */
__attribute__((unused))
static int tap_is_str(const char *got, const char *expected, const char *name)
{
    int same = got == NULL || expected == NULL ? got == expected
                                               : strcmp(got, expected) == 0;

    if (!tap_ok(same, "%s", name)) {
        printf("#      got: %s\n# expected: %s\n", got ? got : "(null)",
               expected ? expected : "(null)");
    }
    return same;
}

/** A behaviour that cannot be shown here, and why. */
__attribute__((unused))
static void tap_skip(const char *name, const char *why)
{
    printf("ok %d - %s # SKIP %s\n", ++tap_count, name, why);
}

/** The plan. @return the exit status */
__attribute__((unused))
static int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failures != 0;
}

#endif
