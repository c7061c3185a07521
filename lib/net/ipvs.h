#pragma once
/* IPVS over generic netlink (linux/ip_vs.h, net/netfilter/ipvs/ip_vs_ctl.c): services by firewall
 * mark and their destinations. */

#include "net.h"

/* Appends to `ret` the services that have the mark of a service in `wanted`, and their
 * destinations. Returns 0 also where IPVS is not there and `wanted` has nothing for it. */
int ipvs_observe(struct net *net, const struct object_list *wanted, struct object_list *ret,
		 struct err *err);

/* Carries out one step on an OBJECT_IPVS_SERVICE or OBJECT_IPVS_DESTINATION. Creating what is there
 * (it is made equal to the object) and deleting what is gone are success. */
int ipvs_apply_step(struct net *net, const struct plan_step *step, struct err *err);
