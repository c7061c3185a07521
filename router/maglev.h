#pragma once
/* Which exit a new flow takes: Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software
 * Network Load Balancer", NSDI 2016, section 3.4). A flow's hash is a slot, and each slot is an
 * exit's. The table follows from addresses and weights alone, so that both routers of a pair have the
 * same; every exit gets its share to within one slot, and where one goes, nearly all slots of the
 * others stay theirs. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "model.h"

/* A prime, as the method wants it, and a hundred times what is usual for exits. */
#define MAGLEV_SLOTS 1021U

/* Fills the table with indexes of `exits`, of those that take new flows; returns how many these are.
 * Where there is none, the table is left as it is. */
size_t maglev_fill(const struct model_exit *exits, size_t n, uint8_t table[static MAGLEV_SLOTS]);
