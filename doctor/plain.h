/*
 * plain.h - text of strangers, for a terminal.
 */
#ifndef DOCTOR_PLAIN_H
#define DOCTOR_PLAIN_H

#include <stddef.h>
#include <stdio.h>

/** Prints it with "?" for each control character, which a terminal would
 * obey. @param len its bytes, without the NUL that must follow */
void plain_print(const char *text, size_t len, FILE *out);

#endif
