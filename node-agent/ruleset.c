/* Theory of operation
 *
 * A client's port is known by its link group, which it is born with, so that what is not entered for
 * it (isolation.h) or not named here gets nothing through. The filter is on the bridge and before it
 * learns (prerouting), where no pod can reach it.
 *
 * From a client goes: IPv4 from its own MAC and address to the VIP's MAC, and to no address of our
 * networks but the VIP; an ARP request for the VIP; an ARP reply to somebody who asked this client a
 * moment ago, which the active router does with its own address. The network whose VIP it is follows
 * from the client's address, which has been checked before, since subnets do not overlap. All else,
 * which includes every frame with a VLAN tag (`ether type` is the tag's), is dropped.
 *
 * To a client goes, from whoever is none: IPv4 and ARP replies for its own MAC and address, and an ARP
 * request for its address. Gratuitous ARP for the VIP does not, for its MAC never changes.
 *
 * All conditions are positive: one that cannot be evaluated, since the frame is too short, does not
 * hold, and what is left over is dropped.
 */
#include "ruleset.h"

#include "isolation.h"

/* How long a client may answer. The kernel's does at once; those who ask, ask every second. */
#define ASKED_SECONDS 5

/* Those who asked at one time: the routers of this node's networks, for each client. */
#define ASKED_MAX 65536

static bool has_vip(const struct node_network *network)
{
	return network->vip.family != AF_UNSPEC;
}

static bool any_vip(const struct node_config *config)
{
	for (size_t i = 0; i < config->networks.n; i++) {
		if (has_vip(&node_config_networks(config)[i]))
			return true;
	}
	return false;
}

/* What stands behind a client's address in a concatenation. */
enum behind { BEHIND_MAC, BEHIND_VIP, BEHIND_REQUEST };

static void add_element(const struct node_network *network, enum behind behind, struct strbuf *b)
{
	const struct mac vip_mac = mac_from_addr(&network->vip);
	char subnet[PREFIX_STRLEN], vip[ADDR_STRLEN], mac[MAC_STRLEN];

	prefix_format(&network->subnet, subnet);
	addr_format(&network->vip, vip);
	mac_format(&vip_mac, mac);
	switch (behind) {
	case BEHIND_MAC:
		strbuf_add(b, "%s . %s", subnet, mac);
		return;
	case BEHIND_VIP:
		strbuf_add(b, "%s . %s", subnet, vip);
		return;
	case BEHIND_REQUEST:
		strbuf_add(b, "%s . ff:ff:ff:ff:ff:ff . %s, %s . %s . %s", subnet, vip, subnet, mac,
			   vip);
		return;
	}
}

/* An element or two of each network with a VIP, in braces. */
static void add_elements(const struct node_config *config, enum behind behind, struct strbuf *b)
{
	const char *separator = "{ ";

	for (size_t i = 0; i < config->networks.n; i++) {
		const struct node_network *network = &node_config_networks(config)[i];

		if (!has_vip(network))
			continue;
		strbuf_add(b, "%s", separator);
		add_element(network, behind, b);
		separator = ", ";
	}
	strbuf_add(b, " }");
}

/* The networks themselves, in braces. */
static void add_subnets(const struct node_config *config, struct strbuf *b)
{
	char subnet[PREFIX_STRLEN];

	for (size_t i = 0; i < config->networks.n; i++)
		strbuf_add(b, "%s%s", i ? ", " : "{ ",
			   prefix_format(&node_config_networks(config)[i].subnet, subnet));
	strbuf_add(b, " }");
}

static void add_sets(struct strbuf *b)
{
	strbuf_add(b,
		   "\tset " ISOLATION_MACS " {\n\t\ttype ifname . ether_addr\n\t}\n"
		   "\tset " ISOLATION_ADDRESSES " {\n\t\ttype ifname . ipv4_addr\n\t}\n"
		   "\tset asked {\n\t\ttype ifname . ether_addr\n\t\tsize %d\n"
		   "\t\tflags dynamic,timeout\n\t\ttimeout %ds\n\t}\n",
		   ASKED_MAX, ASKED_SECONDS);
}

static void add_from_client(const struct node_config *config, struct strbuf *b)
{
	strbuf_add(b, "\tchain from_client {\n");
	if (any_vip(config)) {
		strbuf_add(b, "\t\tether type ip iifname . ether saddr @macs"
			      " iifname . ip saddr @addresses ip saddr . ether daddr ");
		add_elements(config, BEHIND_MAC, b);
		strbuf_add(b, " goto ip_from_client\n"
			      "\t\tether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4"
			      " iifname . ether saddr @macs iifname . arp saddr ether @macs"
			      " iifname . arp saddr ip @addresses goto arp_from_client\n");
	}
	strbuf_add(b, "\t\tdrop\n\t}\n");
}

static void add_ip_from_client(const struct node_config *config, struct strbuf *b)
{
	strbuf_add(b, "\tchain ip_from_client {\n"
		      "\t\tudp dport { 67, 68 } drop\n"
		      "\t\tip saddr . ip daddr ");
	add_elements(config, BEHIND_VIP, b);
	/* Nor to multicast or the broadcast address. */
	strbuf_add(b, " accept\n\t\tip daddr != 224.0.0.0/3 ip daddr != ");
	add_subnets(config, b);
	strbuf_add(b, " accept\n\t\tdrop\n\t}\n");
}

static void add_arp_from_client(const struct node_config *config, struct strbuf *b)
{
	strbuf_add(b, "\tchain arp_from_client {\n"
		      "\t\tarp operation request arp saddr ip . ether daddr . arp daddr ip ");
	add_elements(config, BEHIND_REQUEST, b);
	strbuf_add(b, " accept\n"
		      "\t\tarp operation reply iifname . ether daddr @asked"
		      " iifname . arp daddr ether @asked accept\n"
		      "\t\tdrop\n\t}\n");
}

static void add_to_client(struct strbuf *b)
{
	strbuf_add(b,
		   "\tchain to_client {\n"
		   "\t\tiifgroup %d drop\n"
		   "\t\tudp dport { 67, 68 } drop\n"
		   "\t\tether type ip oifname . ether daddr @macs"
		   " oifname . ip daddr @addresses accept\n"
		   "\t\tether type arp arp operation request oifname . arp daddr ip @addresses"
		   " update @asked { oifname . ether saddr } accept\n"
		   "\t\tether type arp arp operation reply oifname . ether daddr @macs"
		   " oifname . arp daddr ip @addresses accept\n"
		   "\t\tdrop\n\t}\n",
		   ISOLATION_GROUP);
}

static void add_hooks(struct strbuf *b)
{
	strbuf_add(b,
		   "\tchain prerouting {\n"
		   "\t\ttype filter hook prerouting priority filter; policy accept;\n"
		   "\t\tiifgroup %d goto from_client\n\t}\n"
		   "\tchain forward {\n"
		   "\t\ttype filter hook forward priority filter; policy accept;\n"
		   "\t\toifgroup %d goto to_client\n\t}\n",
		   ISOLATION_GROUP, ISOLATION_GROUP);
}

void node_ruleset(const struct node_config *config, struct strbuf *ret)
{
	strbuf_add(ret, "table bridge " ISOLATION_TABLE " {\n");
	add_sets(ret);
	/* The flush takes the rules alone. */
	strbuf_add(ret, "}\nflush table bridge " ISOLATION_TABLE "\ntable bridge " ISOLATION_TABLE
			" {\n");
	add_from_client(config, ret);
	if (any_vip(config)) {
		add_ip_from_client(config, ret);
		add_arp_from_client(config, ret);
	}
	add_to_client(ret);
	add_hooks(ret);
	strbuf_add(ret, "}\n");
}
