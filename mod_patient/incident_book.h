/*
 * incident_book.h - the memory in which incidents are kept; for incident.c and
 * incident_impact.c alone.
 */
#ifndef PATIENT_INCIDENT_BOOK_H
#define PATIENT_INCIDENT_BOOK_H

#include "incident.h"

#define SCENARIOS_MAX 32

typedef struct incident_book_t {
    apr_uint32_t faults[CHAOS_FAULTS];
    apr_uint32_t live[SCENARIOS_MAX];   /* slot's number + 1, or 0 */
    figures_memory_t memory;
    incident_t slots[INCIDENT_SLOTS];
} incident_book_t;

/** NULL until incident_open(). */
extern incident_book_t *incident_book;

/** Notes that a moment has come, unless it had before. */
void incident_stamp(apr_uint64_t *moment);

/** Takes (+1) or frees (-1) one of INCIDENT_WORKERS places for this process.
 * @return 0: there is none */
int incident_take_place(apr_uint32_t *places, int step);

#endif
