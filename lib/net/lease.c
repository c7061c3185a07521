/* Theory of operation
 *
 * Every search walks the index of the table alone (10,000 slots are 160 kB, a few microseconds),
 * comparing hashes; a record is read only where they match.
 *
 * A slot belongs to somebody when the state in its index says so, and that is one byte, stored last
 * when it is taken and first when it is given back. A process killed in between leaves a free slot
 * with a half-written record, which nobody trusts. The record of a free slot is only a memory: who
 * had it, so that the same pod gets the same address again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "lease_table.h"

/* An address given back rests so long where others are free: caches and connections that still know
 * its last holder (ARP, conntrack) shall not meet the next one. */
#define COOL_DOWN_SECONDS 90

int64_t lease_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

/* FNV-1a over both strings with their terminators; never 0. */
static uint32_t owner_hash(const char *owner, const char *ifname)
{
	const char *parts[] = {owner, ifname};
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < array_len(parts); i++) {
		for (const char *p = parts[i];; p++) {
			h = (h ^ (uint8_t)*p) * 16777619U;
			if (!*p)
				break;
		}
	}
	return h ? h : 1;
}

static void slot_set_state(struct table_index *ix, enum lease_state state)
{
	/* A killed process leaves its stores in program order: only the compiler must keep it. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&ix->state, (uint8_t)state, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void slot_free(struct table_index *ix, int64_t now)
{
	uint32_t stamp = (uint32_t)now;

	ix->freed_at = stamp ? stamp : 1;
	slot_set_state(ix, LEASE_FREE);
}

static uint32_t slot_of_owner(const struct lease_table *t, const char *container_id,
			      const char *ifname)
{
	uint32_t h = owner_hash(container_id, ifname);

	for (uint32_t s = 0; s < t->header->n_slots; s++) {
		const struct lease *l = &t->records[s];

		if (t->index[s].state != LEASE_FREE && t->index[s].owner_hash == h &&
		    !strcmp(l->container_id, container_id) && !strcmp(l->ifname, ifname))
			return s;
	}
	return NO_SLOT;
}

static bool slot_is_of_pod(const struct lease_table *t, uint32_t slot, const char *pod_uid,
			   const char *ifname)
{
	const struct lease *l = &t->records[slot];

	return *pod_uid && t->index[slot].pod_hash == owner_hash(pod_uid, ifname) &&
	       !strncmp(l->pod_uid, pod_uid, sizeof(l->pod_uid)) &&
	       !strncmp(l->ifname, ifname, sizeof(l->ifname));
}

/* The slot of the role that this pod's interface has, else the one it had last. */
static uint32_t slot_of_pod(const struct lease_table *t, uint32_t role, const char *pod_uid,
			    const char *ifname, int64_t now)
{
	uint32_t h = owner_hash(pod_uid, ifname);
	uint32_t latest = NO_SLOT, latest_rest = 0;

	for (uint32_t s = 0; *pod_uid && s < t->header->n_range_slots; s++) {
		const struct table_index *ix = &t->index[s];
		uint32_t rest = (uint32_t)now - ix->freed_at;

		if (ix->pod_hash != h || ix->role != role || !slot_is_of_pod(t, s, pod_uid, ifname))
			continue;
		if (ix->state != LEASE_FREE)
			return s;
		if (latest == NO_SLOT || rest < latest_rest) {
			latest = s;
			latest_rest = rest;
		}
	}
	return latest;
}

/* The next free slot of the role behind its cursor that has rested; where all are tired, the one
 * that rests longest. */
static uint32_t slot_next(const struct lease_table *t, uint32_t role, int64_t now)
{
	uint32_t n = t->header->n_range_slots, start = t->header->ranges[role].cursor;
	uint32_t best = NO_SLOT, best_rest = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t s = (start + i) % n;
		const struct table_index *ix = &t->index[s];
		uint32_t rest = (uint32_t)now - ix->freed_at;

		if (ix->state != LEASE_FREE || ix->role != role)
			continue;
		if (!ix->freed_at || rest >= COOL_DOWN_SECONDS)
			return s;
		if (best == NO_SLOT || rest > best_rest) {
			best = s;
			best_rest = rest;
		}
	}
	return best;
}

static int error_full(const struct lease_table *t, uint32_t role, struct err *err)
{
	unsigned int used = 0, total = 0;

	for (uint32_t s = 0; s < t->header->n_range_slots; s++) {
		if (t->index[s].role != role)
			continue;
		total++;
		used += t->index[s].state != LEASE_FREE;
	}
	return err_set(err, -ENOSPC,
		       "network %s: no free address for role %s on this node: %u of %u in use",
		       t->network, t->header->ranges[role].lease.role, used, total);
}

static int error_no_lease(const struct lease_table *t, const char *container_id, const char *ifname,
			  struct err *err)
{
	return err_set(err, -ENOENT, "network %s: %s of container %.64s has no address", t->network,
		       ifname, container_id);
}

/* The slot of an address that was asked for, where this pod may have it. */
static int slot_requested(const struct lease_table *t, uint32_t role, const struct addr *addr,
			  const char *pod_uid, const char *ifname, uint32_t *ret, struct err *err)
{
	uint32_t s = lease_table_slot(t, addr);
	char text[ADDR_STRLEN];

	if (s == NO_SLOT || s >= t->header->n_range_slots || t->index[s].role != role)
		return err_set(
			err, -ERANGE, "network %s: %s is not an address of role %s on this node",
			t->network, addr_format(addr, text), t->header->ranges[role].lease.role);
	if (t->index[s].state != LEASE_FREE && !slot_is_of_pod(t, s, pod_uid, ifname))
		return err_set(err, -EADDRINUSE, "network %s: %s is held by container %.64s",
			       t->network, addr_format(addr, text), t->records[s].container_id);
	*ret = s;
	return 0;
}

static int slot_choose(const struct lease_table *t, uint32_t role, const char *ifname,
		       const char *pod_uid, const struct addr *requested, int64_t now,
		       uint32_t *ret, struct err *err)
{
	if (requested && addr_size(requested))
		return slot_requested(t, role, requested, pod_uid, ifname, ret, err);
	*ret = slot_of_pod(t, role, pod_uid, ifname, now);
	if (*ret == NO_SLOT)
		*ret = slot_next(t, role, now);
	return *ret == NO_SLOT ? error_full(t, role, err) : 0;
}

static int find_role(const struct lease_table *t, const char *role, uint32_t *ret, struct err *err)
{
	for (uint32_t i = 0; i < t->header->n_ranges; i++) {
		if (!strcmp(t->header->ranges[i].lease.role, role)) {
			*ret = i;
			return 0;
		}
	}
	return err_set(err, -ENOSPC, "network %s: this node has no addresses for role %s",
		       t->network, role);
}

static void slot_take(struct lease_table *t, uint32_t slot, const char *role,
		      const char *container_id, const char *ifname, const char *pod_uid,
		      int64_t now)
{
	struct table_index *ix = &t->index[slot];
	struct lease l = {.addr = lease_table_addr(t, slot), .since = now};

	/* Taken over from a sandbox of the same pod: nobody's while the record changes. */
	slot_free(ix, now);
	snprintf(l.role, sizeof(l.role), "%s", role);
	snprintf(l.container_id, sizeof(l.container_id), "%s", container_id);
	snprintf(l.ifname, sizeof(l.ifname), "%s", ifname);
	snprintf(l.pod_uid, sizeof(l.pod_uid), "%s", pod_uid);
	t->records[slot] = l;
	ix->owner_hash = owner_hash(container_id, ifname);
	ix->pod_hash = *pod_uid ? owner_hash(pod_uid, ifname) : 0;
	slot_set_state(ix, LEASE_PENDING);
}

int lease_take(struct lease_table *t, const char *role, const char *container_id,
	       const char *ifname, const char *pod_uid, const struct addr *requested, int64_t now,
	       struct addr *ret, struct err *err)
{
	uint32_t number = 0, slot = 0;
	int r;

	if (strlen(container_id) >= LEASE_OWNER_MAX ||
	    strlen(ifname) >= sizeof((struct lease){0}.ifname))
		return err_set(err, -ENAMETOOLONG,
			       "network %s: container id or interface name too long", t->network);
	if (strlen(pod_uid) >= sizeof((struct lease){0}.pod_uid))
		pod_uid = "";
	if (slot_of_owner(t, container_id, ifname) != NO_SLOT)
		return err_set(err, -EEXIST,
			       "network %s: %s of container %.64s has an address already",
			       t->network, ifname, container_id);
	r = find_role(t, role, &number, err);
	if (r == 0)
		r = slot_choose(t, number, ifname, pod_uid, requested, now, &slot, err);
	if (r == 0)
		r = lease_table_reserve(t, slot, err);
	if (r < 0)
		return r;
	slot_take(t, slot, role, container_id, ifname, pod_uid, now);
	t->header->ranges[number].cursor = (slot + 1) % t->header->n_range_slots;
	*ret = t->records[slot].addr;
	return 0;
}

int lease_available(const struct lease_table *t, const char *role, struct err *err)
{
	uint32_t number = 0;
	int r = find_role(t, role, &number, err);

	if (r == 0 && slot_next(t, number, 0) == NO_SLOT)
		r = error_full(t, number, err);
	return r;
}

int lease_activate(struct lease_table *t, const char *container_id, const char *ifname,
		   struct err *err)
{
	uint32_t slot = slot_of_owner(t, container_id, ifname);

	if (slot == NO_SLOT)
		return error_no_lease(t, container_id, ifname, err);
	slot_set_state(&t->index[slot], LEASE_ACTIVE);
	return 0;
}

int lease_release(struct lease_table *t, const char *container_id, const char *ifname, int64_t now,
		  struct err *err)
{
	uint32_t slot = slot_of_owner(t, container_id, ifname);

	(void)err;
	if (slot != NO_SLOT)
		slot_free(&t->index[slot], now);
	return 0;
}

/* A copy of a lease that is held. */
static struct lease lease_of_slot(const struct lease_table *t, uint32_t slot)
{
	struct lease l = t->records[slot];

	l.state = t->index[slot].state;
	return l;
}

int lease_find(struct lease_table *t, const char *container_id, const char *ifname,
	       struct lease *ret, struct err *err)
{
	uint32_t slot = slot_of_owner(t, container_id, ifname);

	if (slot == NO_SLOT)
		return error_no_lease(t, container_id, ifname, err);
	*ret = lease_of_slot(t, slot);
	return 0;
}

size_t lease_collect(struct lease_table *t, int64_t now,
		     bool (*stale)(const struct lease *lease, void *data), void *data)
{
	size_t n = 0;

	for (uint32_t s = 0; s < t->header->n_slots; s++) {
		struct lease l;

		if (t->index[s].state == LEASE_FREE)
			continue;
		l = lease_of_slot(t, s);
		if (!stale(&l, data))
			continue;
		slot_free(&t->index[s], now);
		n++;
	}
	return n;
}

void lease_each(struct lease_table *t, void (*fn)(const struct lease *lease, void *data),
		void *data)
{
	for (uint32_t s = 0; s < t->header->n_slots; s++) {
		struct lease l;

		if (t->index[s].state == LEASE_FREE)
			continue;
		l = lease_of_slot(t, s);
		fn(&l, data);
	}
}
