#pragma once
/* The address leases of one network on one node: a table in shared memory under /run.
 *
 * Writers are short-lived processes (the CNI plugin) and the node agent, each under an OFD lock
 * (fcntl F_OFD_SETLKW), which the kernel releases when its holder dies. A slot is written in an
 * order that leaves a usable table after kill -9 at any instruction.
 */

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "err.h"

#define LEASE_OWNER_MAX 129 /* container id */
#define LEASE_ROLE_MAX	16
#define LEASE_DIR	"/run/byway/leases"

enum lease_state { LEASE_FREE, LEASE_PENDING, LEASE_ACTIVE };

/* A range of addresses that this node may hand out for a role. */
struct lease_range {
	char role[LEASE_ROLE_MAX];
	struct addr_range range;
};

struct lease {
	struct addr addr;
	enum lease_state state;
	char role[LEASE_ROLE_MAX];
	char container_id[LEASE_OWNER_MAX];
	char ifname[16];
	char pod_uid[64]; /* "" where the runtime did not say */
	int64_t since;	  /* lease_now() when it was taken */
};

/* Seconds since boot (CLOCK_BOOTTIME): a table lives no longer, and nobody sets that clock. The
 * `now` of all that follows. */
int64_t lease_now(void);

struct lease_table;

/* Opens the table of a network and takes its lock; -ENOENT where the node agent has made none.
 * lease_close() gives the lock back. */
int lease_open(const char *dir, const char *network, struct lease_table **ret, struct err *err);
void lease_close(struct lease_table *table);
static inline void lease_closep(struct lease_table **table)
{
	if (*table)
		lease_close(*table);
}
#define auto_lease_table __attribute__((cleanup(lease_closep)))

/* Node agent: makes the table, or changes the ranges of an existing one; leases outside the new
 * ranges stay until they are released, and are never handed out again. */
int lease_ensure(const char *dir, const char *network, const struct lease_range *ranges, size_t n,
		 struct err *err);

/* Hands out an address of the role: the one this (pod uid, interface) had, else the next free one
 * in round-robin order; with `requested` (family set) exactly that one. The slot is PENDING until
 * lease_activate(). -ENOSPC names network, used and total; -EADDRINUSE; -ERANGE where the requested
 * address is not this node's; -EEXIST where (container id, interface) holds one; -ENOMEM where the
 * file system of the table is full. */
int lease_take(struct lease_table *table, const char *role, const char *container_id,
	       const char *ifname, const char *pod_uid, const struct addr *requested, int64_t now,
	       struct addr *ret, struct err *err);

/* The interface is up: the lease stays until somebody releases it. -ENOENT where (container id,
 * interface) holds none any more, because it took so long that the node agent gave it up. */
int lease_activate(struct lease_table *table, const char *container_id, const char *ifname,
		   struct err *err);

/* 0 where lease_take() would find an address for the role, else -ENOSPC and its words. */
int lease_available(const struct lease_table *table, const char *role, struct err *err);

/* Frees what (container id, interface) holds; 0 also where it holds nothing. */
int lease_release(struct lease_table *table, const char *container_id, const char *ifname,
		  int64_t now, struct err *err);

/* What (container id, interface) holds; -ENOENT where it holds nothing. */
int lease_find(struct lease_table *table, const char *container_id, const char *ifname,
	       struct lease *ret, struct err *err);

/* Frees each lease that `stale` says is one; the address rests as after a release. Returns how
 * many. */
size_t lease_collect(struct lease_table *table, int64_t now,
		     bool (*stale)(const struct lease *lease, void *data), void *data);

/* Calls `fn` for each lease that is not free. */
void lease_each(struct lease_table *table, void (*fn)(const struct lease *lease, void *data),
		void *data);
