/*
 * datetime.h - the text of a DATETIME, and the zone that it is told in.
 *
 * A DATETIME has no zone: whoever wrote it knew.  Zones here are fixed
 * offsets from UTC, as Sequelize's "timezone" option has them; in a zone with
 * daylight saving an hour a year would be there twice.  Any thread may call.
 * No httpd in here.
 */
#ifndef PATIENT_DATETIME_H
#define PATIENT_DATETIME_H

#include <apr_time.h>

/** No moment at all: NULL, a zero date, a day that no calendar has. */
#define DATETIME_NONE APR_INT64_MIN

/**
 * Reads "+09:00" or "-03:30".
 * @param seconds east of UTC
 * @return 0: it is not of that form, or beyond what MySQL takes, which is
 *         -13:59 to +14:00
 */
int datetime_zone(int *seconds, const char *text);

/**
 * Reads "2024-12-10 10:30:45.123456", the time of day and the fraction
 * optional.
 * @param zone seconds east of UTC
 * @return microseconds since 1970, negative before that; DATETIME_NONE also
 *         for NULL, and outside of the years 0 to 9999
 */
apr_time_t datetime_read(const char *text, int zone);

#endif
