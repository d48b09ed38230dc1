/*
 * version.h - the release, for the module and the command line tool alike.
 */
#ifndef PATIENT_VERSION_H
#define PATIENT_VERSION_H

#define PATIENT_VERSION "1.0.0"

#endif
