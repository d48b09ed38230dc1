/*
 * status.h - the patient's part of mod_status's page.
 */
#ifndef PATIENT_STATUS_H
#define PATIENT_STATUS_H

#include <httpd.h>

/** Hooks into mod_status, if that is loaded. In register_hooks. */
void status_register(void);

/**
 * Says whose figures are shown; until then there are none. In the parent, in
 * post_config, when the board is open.
 */
void status_open(const server_rec *s);

#endif
