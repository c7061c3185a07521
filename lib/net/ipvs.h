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
