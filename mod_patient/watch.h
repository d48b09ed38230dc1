/*
 * watch.h - in one child, whichever it is, somebody watches all incidents,
 * and the CPUs.
 *
 * Sees what was felt, moves incidents on to their states, closes them, and
 * writes the ledger.
 */
#ifndef PATIENT_WATCH_H
#define PATIENT_WATCH_H

#include <httpd.h>

/**
 * Has mod_watchdog make the rounds ten times a second: those of the watch in
 * one child, those of the ward in each. In the parent, in post_config.
 * @return APR_ENOTIMPL: mod_watchdog is not loaded
 */
apr_status_t watch_open(server_rec *s, apr_pool_t *pconf);

#endif
