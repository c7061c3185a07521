#pragma once
/* What byway-node wants of the kernel. Pure. */

#include "node_config.h"
#include "object.h"

/* The wanted objects, appended to `ret` in the order in which they must be created: for each
 * network its bridge, its VXLAN as the bridge's port, and a head-end replication entry for each
 * peer. `underlay_mtu` in bytes. */
void node_desired(const struct node_config *config, unsigned int underlay_mtu,
		  struct object_list *ret);

/* The names of a network's devices. */
void node_bridge_name(const struct node_network *network, char name[static IFNAMSIZ]);
void node_vxlan_name(const struct node_network *network, char name[static IFNAMSIZ]);
