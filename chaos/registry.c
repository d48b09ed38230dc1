/*
 * registry.c - finds scenarios by name; the list itself is scenarios.def.
 */
#include "chaos.h"

#include <string.h>

#define CHAOS_SCENARIO(symbol) &symbol,
static const chaos_scenario_t *const scenarios[] = {
#include "scenarios.def"
    NULL
};
#undef CHAOS_SCENARIO

const chaos_scenario_t *const *chaos_all(void)
{
    return scenarios;
}

const chaos_scenario_t *chaos_find(const char *name)
{
    const chaos_scenario_t *const *each;

    for (each = scenarios; *each != NULL; each++) {
        if (strcmp((*each)->name, name) == 0) {
            return *each;
        }
    }
    return NULL;
}
