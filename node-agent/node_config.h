#pragma once
/* byway-node's configuration. */

#include "addr.h"
#include "config.h"
#include "err.h"
#include "lease.h"

/* What VXLAN puts around a frame: outer IPv4 or IPv6, UDP, VXLAN and the inner Ethernet header. */
#define VXLAN_OVERHEAD_V4 50
#define VXLAN_OVERHEAD_V6 70

struct node_peer {
	char *name;
	struct addr address; /* on the underlay */
};

struct node_lease {
	int role; /* index of node_role_names */
	struct addr_range range;
};

/* What a lease may be for, as the CNI plugin asks for it. A gateway pod has no address of its own.
 */
extern const char *const node_role_names[];

struct node_network {
	char *name;
	unsigned int vni;
	unsigned int port; /* UDP, of the VXLAN */
	unsigned int mtu;  /* bytes, 0: what the underlay leaves */
	struct prefix subnet;
	struct addr vip;	    /* none: a network without routers */
	struct config_array leases; /* struct node_lease */
};

struct node_config {
	struct config_text text;   /* kept for messages about what shows only at run time */
	char *node;		   /* the name of this node */
	struct config_array nodes; /* struct node_peer, with this node */
	char *netns;
	char *lease_dir;
	char *socket;
	struct {
		struct addr address; /* none: no TCP listener */
		unsigned int port;
	} metrics;
	struct config_array networks; /* struct node_network */
};

void node_config_free(struct node_config *config);
#define auto_node_config __attribute__((cleanup(node_config_free)))

/* Reads, decodes and checks; fills the zeroed `ret`. -EINVAL with file, line and path. */
int node_config_load(const char *file, struct node_config *ret, struct err *err);

/* Decodes and checks `text`, which it takes over, also on failure. */
int node_config_decode(struct config_text *text, struct node_config *ret, struct err *err);

/* Does every network fit an underlay of that MTU (bytes)? -EINVAL with file, line and path. */
int node_config_check_underlay(const struct node_config *config, unsigned int underlay_mtu,
			       struct err *err);

/* This node's entry. */
const struct node_peer *node_config_self(const struct node_config *config);

/* The MTU of a network: as configured, or what an underlay of `underlay_mtu` bytes leaves. */
unsigned int node_network_mtu(const struct node_config *config, const struct node_network *network,
			      unsigned int underlay_mtu);

static inline const struct node_peer *node_config_peers(const struct node_config *config)
{
	return config->nodes.items;
}

static inline const struct node_network *node_config_networks(const struct node_config *config)
{
	return config->networks.items;
}

static inline const struct node_lease *node_network_leases(const struct node_network *network)
{
	return network->leases.items;
}
