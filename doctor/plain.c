/*
 * plain.c - text of strangers, for a terminal.
 */
#include "plain.h"

/* Bytes of the control character at text, or 0: those of ASCII, and those
 * that UTF-8 writes as C2 80 to C2 9F. */
static size_t control(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f) {
        return 1;
    }
    return text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f ? 2 : 0;
}

void plain_print(const char *text, size_t len, FILE *out)
{
    size_t i = 0;

    while (i < len) {
        size_t skip = control((const unsigned char *)text + i);

        putc(skip ? '?' : text[i], out);
        i += skip ? skip : 1;
    }
}
