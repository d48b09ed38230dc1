/*
 * twins.h - posts that look the same: same user, same words, same second.
 *
 * After a write whose outcome is not known, the row is looked for by what it
 * holds, and one that another request has written would look the same.  So
 * each write is noted here while it goes on, for all children to see, and with
 * its row afterwards: of the rows that are found, those of others are not
 * ours.  Only writes of the last moment are kept.  For store/ alone.
 */
#ifndef PATIENT_STORE_TWINS_H
#define PATIENT_STORE_TWINS_H

#include <httpd.h>
#include <apr_tables.h>

/** One write. */
typedef struct twin_t {
    apr_uint64_t key;
    apr_uint32_t ticket;        /* in the order of their beginning */
} twin_t;

/** Makes the shared memory. In post_config. */
apr_status_t twins_open(server_rec *s);

/** A write begins. @param second of the clock */
void twins_begin(twin_t *twin, apr_int64_t user, apr_int64_t second,
                 const char *title, const char *content);

/** It has ended. @param row its id, or 0: there is none */
void twins_end(const twin_t *twin, apr_int64_t row);

/** It does not go on any more, and its outcome is in doubt. */
void twins_doubt(const twin_t *twin);

/** Waits until no other that looks the same goes on; not for ever.
 * @return whether one did */
int twins_await(const twin_t *twin);

/**
 * Which of these rows is this write's, which is in doubt; then it has ended.
 * @param rows ids (apr_int64_t) of all that look the same, in their order
 * @return 0: none
 */
apr_int64_t twins_choose(const twin_t *twin, const apr_array_header_t *rows);

#endif
