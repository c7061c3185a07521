#include "maglev.h"

#include <assert.h>
#include <stdbool.h>

static_assert(EXITS_MAX <= UINT8_MAX, "an exit's index fits a slot, and one value means none");

#define SLOT_FREE UINT8_MAX

/* An exit's order of preference over the slots: offset, offset + skip, offset + 2 * skip … Of a prime
 * number of slots each is met once. */
struct preference {
	uint8_t exit;
	unsigned int weight;
	uint32_t next, skip;
};

/* FNV-1a of the address, begun with a seed. */
static uint32_t hash_addr(const struct addr *addr, uint32_t seed)
{
	uint32_t h = 2166136261U ^ seed;

	for (size_t i = 0; i < addr_size(addr); i++)
		h = (h ^ addr->bytes[i]) * 16777619U;
	/* Addresses differ in their last byte alone, which so far has moved the low bits. */
	h ^= h >> 15;
	h *= 0x2c1b3c6dU;
	return h ^ h >> 12;
}

static struct preference preference_of(const struct model_exit *exit, uint8_t index)
{
	return (struct preference){
		.exit = index,
		.weight = exit->weight,
		.next = hash_addr(&exit->addr, 0) % MAGLEV_SLOTS,
		.skip = hash_addr(&exit->addr, 0x9e3779b9U) % (MAGLEV_SLOTS - 1) + 1,
	};
}

/* The exit takes the first slot of its order that is free. */
static void take_slot(struct preference *p, uint8_t table[static MAGLEV_SLOTS])
{
	while (table[p->next] != SLOT_FREE)
		p->next = (p->next + p->skip) % MAGLEV_SLOTS;
	table[p->next] = p->exit;
}

static unsigned int greatest_weight(const struct preference *p, size_t n)
{
	unsigned int greatest = 0;

	for (size_t i = 0; i < n; i++)
		greatest = p[i].weight > greatest ? p[i].weight : greatest;
	return greatest;
}

/* In turns, one slot each; an exit of half the greatest weight has its turn every second round. */
static void fill(struct preference *p, size_t n, uint8_t table[static MAGLEV_SLOTS])
{
	unsigned int greatest = greatest_weight(p, n);
	size_t filled = 0;

	for (uint64_t round = 1;; round++) {
		for (size_t i = 0; i < n; i++) {
			if (round * p[i].weight / greatest == (round - 1) * p[i].weight / greatest)
				continue;
			take_slot(&p[i], table);
			if (++filled == MAGLEV_SLOTS)
				return;
		}
	}
}

size_t maglev_fill(const struct model_exit *exits, size_t n, uint8_t table[static MAGLEV_SLOTS])
{
	struct preference preferences[EXITS_MAX];
	size_t n_preferences = 0;

	assert(n <= EXITS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (model_exit_takes_flows(&exits[i]))
			preferences[n_preferences++] = preference_of(&exits[i], (uint8_t)i);
	}
	if (!n_preferences)
		return 0;
	for (size_t i = 0; i < MAGLEV_SLOTS; i++)
		table[i] = SLOT_FREE;
	fill(preferences, n_preferences, table);
	return n_preferences;
}
