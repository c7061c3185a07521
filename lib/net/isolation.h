#pragma once
/* What keeps a client's bridge port to itself: the table `bridge byway` of the node agent's namespace
 * drops what comes from a port of the client group and is not from the MAC and IPv4 address that are
 * entered for it. The agent makes the table (node-agent/ruleset.c); the plugin enters a port in the
 * ADD that makes it, the agent takes it out when it is gone. A port without entry gets nothing through,
 * so that an entry that is lost, or never made because the plugin was killed, closes.
 *
 * The entries can be made again from the kernel alone, because the port's alias repeats them.
 */

#include <net/if.h>
#include <stdbool.h>

#include "addr.h"
#include "err.h"

#define ISOLATION_TABLE "byway"
/* The sets: a port has exactly one MAC and one address, so two pairs bind all three. */
#define ISOLATION_MACS	    "macs"	/* ifname . ether_addr */
#define ISOLATION_ADDRESSES "addresses" /* ifname . ipv4_addr */

/* The link group (IFLA_GROUP) of clients' ports, which they are born with. */
#define ISOLATION_GROUP 187

struct isolation_entry {
	char port[IFNAMSIZ];
	struct mac mac;
	struct addr addr;
};

/* Enters a port in the namespace `netns_fd` (-1: the caller's), in one transaction. -ENOENT where the
 * table is missing. */
int isolation_enter(int netns_fd, const struct isolation_entry *entry, struct err *err);

/* Takes it out again, which waits for the kernel (isolation.c); 0 also where it is not there. */
int isolation_leave(int netns_fd, const struct isolation_entry *entry, struct err *err);

/* Is a port entered? Are there the sets to enter one? 0, or -ENOENT. */
int isolation_check(int netns_fd, const struct isolation_entry *entry, struct err *err);
int isolation_ready(int netns_fd, struct err *err);

/* An alias says "byway CONTAINER/INTERFACE MAC ADDRESS". Appends the part behind the interface to
 * `alias`, of `size` bytes. */
void isolation_alias_append(const struct isolation_entry *entry, char *alias, size_t size);

/* Reads that part back into MAC and address; false where an alias has none. */
bool isolation_alias_parse(const char *alias, struct isolation_entry *ret);

struct net;

/* What a look at the entries changed. */
struct isolation_changes {
	size_t entered, removed; /* elements of both sets */
};

/* Brings the entries in line with the ports that there are, for the node agent: those without are
 * entered, those whose port is gone are taken out. Safe beside a plugin at work. -ENOENT where the
 * table is missing. */
int isolation_restore(struct net *net, struct isolation_changes *ret, struct err *err);
