#pragma once
/* A pod's interface on a bridge of ours: a veth pair from the pod's network namespace to the
 * namespace of the bridge, with its address, routes and sysctls. What the CNI plugin does, once a
 * pod, without looking at any other pod or listing any links: a batch of requests for each end, one for
 * the FDB and one for nftables.
 */

#include "object.h"

/* A route in the pod. A unicast route goes by the interface; the others are nobody's and outlive
 * it. */
struct attach_route {
	struct prefix dst;
	enum route_type type; /* not ROUTE_LOCAL */
	struct addr via;      /* unicast; none: on-link */
	unsigned int table;   /* 0: main */
	unsigned int metric;  /* 0: the kernel's */
	bool way_out;	      /* beyond the network itself: of one interface of ours a pod */
	bool made;	      /* by attach_configure(), hence to be undone */
};

/* What decides over a packet before the pod's main table, and whatever that says: a rule of
 * preference `pref`, which leads to `table`, and the seal (seal.h), which stops what would leave by
 * a link that is not ours for elsewhere than the `allowed` prefixes. Outlives the interface. */
struct attach_guard {
	unsigned int table; /* 0: no guard */
	unsigned int pref;
	struct prefix *allowed; /* owned */
	size_t n_allowed;
	bool made[2], sealed; /* rules of IPv4 and IPv6; by attach_configure() */
};

/* IFLA_GROUP of our interfaces in pods: the seal knows them by it. */
#define ATTACH_POD_GROUP 187

struct attachment {
	int bridge_netns; /* descriptors, not owned */
	int pod_netns;
	char bridge[IFNAMSIZ];
	char port[IFNAMSIZ];	      /* the bridge's end; attach_port_name() */
	char alias[OBJECT_ALIAS_MAX]; /* "byway CONTAINER/INTERFACE"; a client's port says more */
	char ifname[IFNAMSIZ];	      /* the pod's end */
	struct mac mac;		      /* of the pod's end */
	unsigned int mtu;	      /* bytes; 0: the bridge's, filled in by attach_create() */
	struct prefix addr;	      /* family AF_UNSPEC: none */
	bool client;		      /* its port is isolated and entered (isolation.h) */
	struct attach_route *routes;  /* owned; attachment_clear() */
	size_t n_routes;
	struct attach_guard guard;
	bool created;
};

void attachment_clear(struct attachment *a);
#define auto_attachment __attribute__((cleanup(attachment_clear)))

/* Fills port name and alias for the interface of a container. The name is a hash, since it has 15
 * bytes; the alias says all and proves that a port is ours. */
void attach_name(struct attachment *a, const char *container_id, const char *ifname);

/* Is a link with that alias the port of this attachment? */
bool attach_owns(const struct attachment *a, const char *alias);

/* Makes the pair with one request: the bridge's end is named, up and a port at once, the pod's has
 * its final name, MAC address and MTU and is down. Then the alias and a client's port flags, in the
 * same system call, a client's FDB entry, and its entry in the table that isolates it. -EEXIST where
 * either name is taken, -ENODEV where the bridge or that table is missing, -EMSGSIZE where the MTU
 * is more than the bridge's, whose VXLAN would drop what is larger. On failure nothing is left. */
int attach_create(struct attachment *a, struct err *err);

/* Drops the guard and the routes of the way out where another living interface of ours in the pod
 * has that already: the first one keeps it. */
int attach_adapt(struct attachment *a, struct err *err);

/* Adapts `a`; then address, guard, routes to nowhere, link up, unicast routes, in this order. What
 * lasts (rules, routes to nowhere) and exists already is as good as made, and such routes of ours
 * that are not wanted any more are deleted; where the kernel has no IPv6 all of IPv6 is left out.
 * On failure attach_undo() takes back what was made. */
int attach_configure(struct attachment *a, struct err *err);

/* Deletes all that was made so far: the routes that would stay, and the pair. As much as can be. */
void attach_undo(struct attachment *a);

/* Deletes the pair by its port where that carries our alias; 0 also where it is gone already. */
int attach_delete(const struct attachment *a, struct err *err);

/* 0 where the namespace has no interface of that name, else -EEXIST. */
int attach_absent(int netns_fd, const char *name, struct err *err);

/* 1 where its port is there and carries our alias, else 0. The pair lives as long as the pod's
 * namespace: without a port there is nobody behind it. */
int attach_exists(const struct attachment *a, struct err *err);

/* 0 where both ends are there as wanted: the port up and on its bridge, a client's isolated and
 * entered; the pod's end its other end, up, with MAC, MTU (of both, zero: any), address, every
 * route, guard and seal. The first thing that is not so is told, with a negative errno. What
 * somebody added is no concern. */
int attach_check(const struct attachment *want, struct err *err);

/* 0 where the bridge is there and up and has the VXLAN device as a port that is up. -ENODEV: there
 * is no bridge. -ENETDOWN: there is one, and its pods are cut off from those of other nodes. */
int attach_network_ready(int netns_fd, const char *bridge, const char *vxlan, struct err *err);

/* A key as sysctl(8) writes it with slashes: "net/ipv4/ip_forward". */
struct attach_sysctl {
	char key[64];
	char value[8];
};

/* Writes them in the namespace, in order, to the first failure. */
int attach_sysctls(int netns_fd, const struct attach_sysctl *list, size_t n, struct err *err);
