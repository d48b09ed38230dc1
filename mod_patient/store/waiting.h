/*
 * waiting.h - the wait for a connection: counted, and told when it is long.
 *
 * For store/ alone.
 */
#ifndef PATIENT_STORE_WAITING_H
#define PATIENT_STORE_WAITING_H

#include "gate.h"

/**
 * Takes a permit, as gate_enter_while() does; blocks.  Who waits is counted
 * on the board, and by an incident that holds the pool.  POOL WARNING is
 * logged once in a stretch in which somebody waits, by the first whose wait
 * has become long, on its own thread.
 */
apr_status_t waiting_enter(gate_t *gate, const gate_entry_t *entry);

#endif
