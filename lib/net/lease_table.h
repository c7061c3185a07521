#pragma once
/* The layout of a lease table, shared by lease_table.c (the file) and lease.c (who holds what). Not
 * for others: the interface is lease.h. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lease.h"

/* More addresses than this on one node are a mistake in the configuration. */
#define TABLE_SLOTS_MAX (1U << 20)

/* A node's own part of a role is rarely more than one range. */
#define TABLE_RANGES_MAX 64

#define NO_SLOT UINT32_MAX

/* How a role's first range is numbered is how the role is numbered; its cursor is the role's. */
struct table_range {
	struct lease_range lease;
	uint32_t first_slot;
	uint32_t role;
	uint32_t cursor; /* where the next search begins */
	uint32_t unused;
};

struct table_header {
	uint64_t magic;
	uint32_t record_size; /* another build of this file, another layout */
	uint32_t n_ranges;
	uint32_t n_range_slots; /* slots from here on are retired */
	uint32_t n_slots;
	struct table_range ranges[TABLE_RANGES_MAX];
};

struct table_index {
	uint32_t owner_hash; /* of container id and interface */
	uint32_t pod_hash;   /* of pod uid and interface, 0: none */
	uint32_t freed_at;   /* seconds, modulo 2^32, 0: never held */
	uint8_t state;	     /* enum lease_state */
	uint8_t role;	     /* number of a range */
	uint8_t unused[2];
};

static_assert(sizeof(struct table_index) == 16, "the index is what every search walks");
static_assert(sizeof(struct table_header) % _Alignof(struct lease) == 0, "records are aligned");

struct lease_table {
	int fd;
	size_t size;
	struct table_header *header; /* the mapping */
	struct table_index *index;
	struct lease *records; /* `state` is not used: the index has it */
	char network[64];
};

/* The slot of an address, NO_SLOT where it is none of the table's. */
uint32_t lease_table_slot(const struct lease_table *t, const struct addr *addr);

/* Makes sure that the slot's record can be written: a store into a hole of a tmpfs that is full
 * would kill the process (SIGBUS). -ENOMEM. */
int lease_table_reserve(const struct lease_table *t, uint32_t slot, struct err *err);

struct addr lease_table_addr(const struct lease_table *t, uint32_t slot);
