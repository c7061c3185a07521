#pragma once
/* Kernel objects as values: what a daemon wants, what it saw, and what it must do about it.
 *
 * Each kind is described once, by a table of fields. Printing, decoding from JSON (--model),
 * identity and equality all walk that table, so that a new attribute is one line. Pure: nothing
 * here touches a descriptor.
 *
 * Ownership: an object that the kernel shows is ours when it carries our mark: link alias
 * "byway…", protocol OBJECT_PROTOCOL of routes, rules and (from Linux 5.18) addresses, permanent
 * FDB entries on a link of ours, an IPVS service at an address of ours (net_own_services()) with its
 * destinations. What is not ours is never changed: where it stands in the way of a wanted object, the plan says `foreign`. So an address
 * that keepalived put on a link of ours stays, and one that is wanted is satisfied by anybody's.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "config.h"
#include "err.h"
#include "strbuf.h"

/* rtm_protocol, FRA_PROTOCOL, IFA_PROTO of all that is Byway's (rtnetlink.h leaves it free). */
#define OBJECT_PROTOCOL 187

#define OBJECT_ALIAS_MAX 256

enum object_kind {
	OBJECT_LINK,
	OBJECT_ADDRESS,
	OBJECT_ROUTE,
	OBJECT_RULE,
	OBJECT_FDB,
	OBJECT_IPVS_SERVICE,
	OBJECT_IPVS_DESTINATION,
};

enum link_kind {
	LINK_ANY, /* exists already (a pod's net1, lo): MTU and "up" are managed, never deleted */
	LINK_BRIDGE,
	LINK_VXLAN,
	LINK_MACVLAN,
	LINK_WIREGUARD,
};

struct link_object {
	char name[IFNAMSIZ]; /* identity */
	enum link_kind kind;
	struct mac mac;	       /* zero: the kernel's */
	unsigned int mtu;      /* bytes, 0: the kernel's */
	bool up;	       /* false means down; for LINK_ANY: as it is */
	char master[IFNAMSIZ]; /* bridge it is a port of, or "" */
	char parent[IFNAMSIZ]; /* macvlan: the lower device (mode private) */
	char alias[OBJECT_ALIAS_MAX];
	unsigned int vni;  /* vxlan */
	unsigned int port; /* vxlan, UDP */
	struct addr local; /* vxlan: underlay address of this node */
};

struct address_object {
	char dev[IFNAMSIZ];   /* identity */
	struct prefix prefix; /* identity */
};

/* THROW: the lookup goes on with the next rule. */
enum route_type { ROUTE_UNICAST, ROUTE_LOCAL, ROUTE_UNREACHABLE, ROUTE_THROW };

struct route_object {
	unsigned int table;  /* identity */
	struct prefix dst;   /* identity; 0.0.0.0/0 is the default route */
	unsigned int metric; /* identity; not 0 with IPv6, where the kernel makes it 1024 */
	enum route_type type;
	struct addr via; /* none: on-link */
	char dev[IFNAMSIZ];
	struct addr src; /* preferred source, none: the kernel's */
	bool onlink;	 /* RTNH_F_ONLINK: the gateway is taken as reachable on dev */
};

struct rule_object {
	unsigned int pref; /* identity, together with the family: rule_family() */
	char iif[IFNAMSIZ], oif[IFNAMSIZ];
	struct prefix from, to; /* family AF_UNSPEC: any; `from ::/0` makes a rule an IPv6 one */
	unsigned int fwmark;	/* 0: any */
	unsigned int table;
};

struct fdb_object {
	char dev[IFNAMSIZ]; /* identity: a vxlan */
	struct mac mac;	    /* identity; zero: head-end replication */
	struct addr dst;    /* identity: underlay address of the peer */
};

enum ipvs_protocol { IPVS_TCP, IPVS_UDP };

/* Where a service is reached; its identity. */
struct ipvs_place {
	enum ipvs_protocol protocol;
	struct addr addr;
	unsigned int port;
};

struct ipvs_service_object {
	struct ipvs_place at; /* identity */
	char scheduler[16];   /* "mh", "wlc", "rr": a module of the kernel each */
	unsigned int flags;   /* IP_VS_SVC_F_… of linux/ip_vs.h */
};

struct ipvs_destination_object {
	struct ipvs_place at;	 /* identity: its service */
	struct addr addr;	 /* identity; of the service's family */
	unsigned int port;	 /* identity */
	unsigned int weight;	 /* 0: no new connections */
	unsigned int forwarding; /* IP_VS_CONN_F_FWD_MASK: 0 is masquerading, and all we use */
};

struct object {
	enum object_kind kind;
	bool ours; /* observed objects only: carries our mark */
	union {
		struct link_object link;
		struct address_object address;
		struct route_object route;
		struct rule_object rule;
		struct fdb_object fdb;
		struct ipvs_service_object service;
		struct ipvs_destination_object destination;
	};
};

/* A growing list, in the order in which things must be created. */
struct object_list {
	struct object *items;
	size_t n, cap;
};

void object_list_free(struct object_list *list);
#define auto_object_list __attribute__((cleanup(object_list_free)))

/* Appends a zeroed object of that kind and returns it; valid until the next append. */
struct object *object_list_add(struct object_list *list, enum object_kind kind);
void object_list_append(struct object_list *list, const struct object *object);

/* The object of the same kind and identity, or NULL. */
const struct object *object_list_find(const struct object_list *list, const struct object *like);

/* Finds objects of a list by identity without going through it. The list must not change while the
 * index is used. */
struct object_index {
	const struct object_list *list;
	size_t *heads, *next; /* positions + 1, 0: none; owned */
	size_t n_heads;
};

void object_index_build(struct object_index *index, const struct object_list *list);
void object_index_free(struct object_index *index);
#define auto_object_index __attribute__((cleanup(object_index_free)))

/* The first object of the same kind and identity behind `after` (NULL: of all), or NULL. */
const struct object *object_index_find(const struct object_index *index, const struct object *like,
				       const struct object *after);

bool object_same(const struct object *a, const struct object *b); /* kind and identity */

/* AF_INET6 where one of the prefixes is IPv6, otherwise AF_INET. */
sa_family_t rule_family(const struct rule_object *rule);

/* The interface that an address, a route or an FDB entry is on; "" for others and for routes to
 * nowhere. */
const char *object_dev(const struct object *object);

/* Does `actual` satisfy `wanted`? Attributes that `wanted` leaves to the kernel (zero) match any.
 */
bool object_satisfies(const struct object *actual, const struct object *wanted);

/* May the kernel change `actual` into `wanted` in place? Otherwise it is deleted and created. */
bool object_updatable(const struct object *actual, const struct object *wanted);

/* One line: "link br-vpn kind bridge mac 02:… mtu 1420 up"; attributes that are zero are left out.
 */
void object_print(const struct object *object, struct strbuf *b);

/* config_decode_fn for a JSON object {"object":"route","table":100,"dst":"0.0.0.0/0",…} into a
 * struct object, with the keys that object_print() shows and "ours" (default true). */
int object_decode(const struct config_value *v, void *out, const void *arg, struct err *err);

/* config_decode_fn for a list of them into a struct object_list. */
int object_list_decode(const struct config_value *v, void *out, const void *arg, struct err *err);
