#pragma once
/* Leases whose pod is gone and whose DEL never came. */

#include "lease.h"
#include "net.h"
#include "node_config.h"
#include "object.h"

/* Longer than an ADD takes from reserving an address to making the interface, in seconds. */
#define RECLAIM_PENDING_GRACE 60

/* Is it nobody's: not one of `links` is its port, and no ADD can still be about to make it? Pure.
 */
bool reclaim_orphaned(const struct lease *lease, const struct object_index *links, int64_t now);

/* Frees the orphans of one network; `links` is what was seen in `net` not long ago. Logs each and
 * adds their number to *count. -ENOENT where the network has no table. */
int reclaim_network(struct net *net, const char *lease_dir, const char *network,
		    const struct object_index *links, uint64_t *count, struct err *err);
