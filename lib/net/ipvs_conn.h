#pragma once
/* IPVS's own connection table, and its connections made conntrack entries on a router that did not see
 * them begin. */

#include <stdio.h>

#include "conntrack.h"

/* A masqueraded connection of an IPVS service. */
struct ipvs_conn {
	enum ipvs_protocol protocol;
	struct flow_end client, service, server;
	bool open;	  /* carries data: established or half closed; any UDP conversation */
	uint32_t expires; /* s until IPVS forgets it, if nothing comes */
};

/* One line of the table; `line` is taken apart. Returns 1 with *ret filled, 0 for a line that is no TCP
 * or UDP connection within one address family (the heading, SCTP), -EBADMSG. Pure. */
int ipvs_conn_parse(char *line, struct ipvs_conn *ret);

typedef int ipvs_conn_fn(const struct ipvs_conn *conn, void *data, struct err *err);

/* Calls `fn` for each connection of a table as the kernel shows it, a line at a time. Stops where `fn`
 * fails. Lines that are not understood are left out, and an error (-EBADMSG) at the end. */
int ipvs_conn_read(FILE *table, ipvs_conn_fn *fn, void *data, struct err *err);

/* The same for the namespace's table (/proc/net/ip_vs_conn). It is no snapshot: one that comes or goes
 * meanwhile can make the kernel show another twice or not at all. -ENOENT without IPVS. */
int ipvs_conn_each(struct net *net, ipvs_conn_fn *fn, void *data, struct err *err);

/* Is this connection's conntrack entry to be made, and with which mark? */
typedef bool ipvs_mark_fn(const struct ipvs_conn *conn, uint32_t *mark, void *data);

struct ipvs_restored {
	size_t ensured; /* entries that are there now, whether or not they were before */
	size_t refused; /* would be, but for the kernel: net_conntrack_ensure() */
};

/* Makes the conntrack entries of the open connections that `fn` wants: on the standby again and again,
 * and once more on promotion before the service's address answers (from then on the packets keep them
 * up to date, and know better). An entry lives as long as IPVS would keep its connection, and goes with
 * it: ip_vs_conn_expire() deletes it.
 *
 * Returns 0 also where some were refused, `err` having the first reason. */
int ipvs_restore(struct net *net, ipvs_mark_fn *fn, void *data, struct ipvs_restored *ret,
		 struct err *err);
