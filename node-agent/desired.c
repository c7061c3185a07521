#include "desired.h"

#include <stdio.h>
#include <string.h>

void node_bridge_name(const struct node_network *network, char name[static IFNAMSIZ])
{
	snprintf(name, IFNAMSIZ, "br-%.12s", network->name);
}

void node_vxlan_name(const struct node_network *network, char name[static IFNAMSIZ])
{
	snprintf(name, IFNAMSIZ, "vx-%.12s", network->name);
}

/* FNV-1a, 32 bits. */
static uint32_t hash_add(uint32_t hash, const char *s)
{
	for (; *s; s++)
		hash = (hash ^ (uint8_t)*s) * 16777619U;
	return hash;
}

/* A device's own hardware address: no traffic is for it, but it must differ between the nodes of a
 * network and stay the same for the life of the device (a bridge's floats otherwise, facts.md). The
 * second byte keeps it apart from those that belong to addresses (mac_from_addr()). */
static struct mac device_mac(const struct node_config *config, const char *device)
{
	uint32_t h = hash_add(hash_add(hash_add(2166136261U, config->node), "/"), device);

	return (struct mac){{0x02, 0xbd, (uint8_t)(h >> 24), (uint8_t)(h >> 16), (uint8_t)(h >> 8),
			     (uint8_t)h}};
}

static struct link_object *add_link(const struct node_config *config,
				    const struct node_network *network, const char *name,
				    struct object_list *ret)
{
	struct link_object *link = &object_list_add(ret, OBJECT_LINK)->link;

	memcpy(link->name, name, IFNAMSIZ);
	link->mac = device_mac(config, name);
	link->up = true;
	snprintf(link->alias, sizeof(link->alias), "byway network %s", network->name);
	return link;
}

static void desire_network(const struct node_config *config, const struct node_network *network,
			   unsigned int underlay_mtu, struct object_list *ret)
{
	const struct node_peer *self = node_config_self(config);
	unsigned int mtu = node_network_mtu(config, network, underlay_mtu);
	char bridge[IFNAMSIZ], vxlan[IFNAMSIZ];
	struct link_object *link;

	node_bridge_name(network, bridge);
	node_vxlan_name(network, vxlan);
	link = add_link(config, network, bridge, ret);
	link->kind = LINK_BRIDGE;
	link->mtu = mtu;
	link = add_link(config, network, vxlan, ret);
	link->kind = LINK_VXLAN;
	link->mtu = mtu;
	link->vni = network->vni;
	link->port = network->port;
	link->local = self->address;
	memcpy(link->master, bridge, IFNAMSIZ);
	for (size_t i = 0; i < config->nodes.n; i++) {
		const struct node_peer *peer = &node_config_peers(config)[i];
		struct fdb_object *fdb;

		if (peer == self)
			continue;
		fdb = &object_list_add(ret, OBJECT_FDB)->fdb;
		memcpy(fdb->dev, vxlan, IFNAMSIZ);
		fdb->dst = peer->address;
	}
}

void node_desired(const struct node_config *config, unsigned int underlay_mtu,
		  struct object_list *ret)
{
	for (size_t i = 0; i < config->networks.n; i++)
		desire_network(config, &node_config_networks(config)[i], underlay_mtu, ret);
}
