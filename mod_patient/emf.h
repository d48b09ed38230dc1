/*
 * emf.h - the figures of the last minute, as a line that CloudWatch reads as
 * metrics (Embedded Metric Format).
 */
#ifndef PATIENT_EMF_H
#define PATIENT_EMF_H

#include <httpd.h>

#include "board.h"

/** Maps what all children know of the last line. In the parent, in
 * post_config. */
apr_status_t emf_open(server_rec *s);

/** Whether it is time for a line. Whoever watches asks so often, whatever
 * else there is to do, that a line comes no sooner while somebody makes the
 * patient ill. */
int emf_is_due(apr_interval_time_t every);

/**
 * Writes the line if it is time for it.  In the one child that watches; if
 * that ends, the next one that watches goes on where it was.
 * @param every how often; 0: never
 */
void emf_round(const board_sums_t *board, apr_interval_time_t every);

#endif
