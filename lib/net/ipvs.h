#pragma once
/* IPVS over generic netlink (linux/ip_vs.h, net/netfilter/ipvs/ip_vs_ctl.c): services by protocol,
 * address and port, their destinations, and the daemons that carry connections to another router. */

#include <net/if.h>

#include "net.h"

/* Appends to `ret` the services that are ours (net_own_services()) and their destinations. Returns 0
 * also where IPVS is not there and nothing was said to be ours. */
int ipvs_observe(struct net *net, struct object_list *ret, struct err *err);

/* Carries out one step on an OBJECT_IPVS_SERVICE or OBJECT_IPVS_DESTINATION. Creating what is there
 * (it is made equal to the object) and deleting what is gone are success. */
int ipvs_apply_step(struct net *net, const struct plan_step *step, struct err *err);

/* The connections of one router's table reach the other's by a daemon of the kernel, over UDP
 * multicast (224.0.0.81, port 8848) on an interface that is up and has an IPv4 address. */
struct ipvs_sync {
	char interface[IFNAMSIZ];
	unsigned int id; /* tells pairs on one network apart, 1 to IPVS_SYNC_ID_MAX; 0 hears all */
};

#define IPVS_SYNC_ID_MAX 255

/* Has the namespace send and receive by `sync`, and sets what ipvs_sysctls[] says; with NULL it does
 * neither. A daemon that runs as wanted is left alone. It does not notice that its interface has been
 * replaced by another of the same name: whoever does that stops it first.
 *
 * An established connection has reached the peer within three seconds, the kernel's own delay on a
 * quiet router; from then on the peer keeps it as long as there is a packet of the client within its
 * timeout (15 minutes; UDP: 5). */
int ipvs_sync_ensure(struct net *net, const struct ipvs_sync *sync, struct err *err);

/* What a router's namespace needs for masqueraded services that survive a failover. They exist once
 * the module ip_vs is loaded; a container cannot write them itself. */
struct ipvs_sysctl {
	const char *key, *value;
};
#define IPVS_SYSCTLS 5
extern const struct ipvs_sysctl ipvs_sysctls[IPVS_SYSCTLS];
