#pragma once
/* Connection tracking entries over ctnetlink (net/netfilter/nf_conntrack_netlink.c). */

#include "net.h"

/* One side of a flow. */
struct flow_end {
	struct addr addr;
	uint16_t port;
};

/* A flow that somebody else has established, and whose destination is translated without conntrack's
 * NAT knowing: IPVS changes the reply tuple itself. */
struct conntrack_flow {
	uint8_t protocol;	 /* IPPROTO_TCP, IPPROTO_UDP */
	struct flow_end client;	 /* who sent the first packet; where replies go */
	struct flow_end service; /* where it sent it */
	struct flow_end server;	 /* who replies */
	uint32_t mark;
	uint32_t timeout; /* s, at least 1 */
};

/* Makes each flow an entry as if its packets had been seen in both directions: assured, TCP
 * established, and its windows, which nobody here has seen, not checked. An entry that is there is
 * given mark, timeout and state; its reply tuple cannot be changed and stays. So this is for a router
 * that does not forward the flows at this moment.
 *
 * All are tried. *refused counts those that the kernel would not have (its table is full, another
 * flow has the same reply tuple), `err` has the first one's reason. Returns 0 also then; -errno where
 * the kernel could not be asked. Three system calls for NET_BATCH_MAX flows. */
int net_conntrack_ensure(struct net *net, const struct conntrack_flow *flows, size_t n,
			 size_t *refused, struct err *err);

/* Deletes all IPv4 connection tracking entries of that mark: one request, for which the kernel goes
 * through its table. */
int net_conntrack_forget(struct net *net, uint32_t mark, struct err *err);
