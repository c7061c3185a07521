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
 * What accepts rests on conditions that hold: one that cannot be evaluated, since the frame is too
 * short, does not hold, and what is left over is dropped.
 *
 * No rule brings a set of its own. Those with intervals in a concatenation are empty for a moment after
 * the transaction that made them (nf_tables_commit(): the new generation of rules begins before
 * nft_pipapo_commit()), and a reload would lose packets.
 */
#include "ruleset.h"

#include "cleanup.h"
#include "isolation.h"

/* How long a client may answer. The kernel's does at once; those who ask, ask every second. */
#define ASKED_SECONDS 5

/* Those who asked at one time: the routers of this node's networks, for each client. */
#define ASKED_MAX 65536

static void add_sets(struct strbuf *b)
{
	strbuf_add(b,
		   "\tset " ISOLATION_MACS " {\n\t\ttype ifname . ether_addr\n\t}\n"
		   "\tset " ISOLATION_ADDRESSES " {\n\t\ttype ifname . ipv4_addr\n\t}\n"
		   "\tset asked {\n\t\ttype ifname . ether_addr\n\t\tsize %d\n"
		   "\t\tflags dynamic,timeout\n\t\ttimeout %ds\n\t}\n",
		   ASKED_MAX, ASKED_SECONDS);
}

/* What a rule needs of a network, as text. */
struct words {
	char subnet[PREFIX_STRLEN], vip[ADDR_STRLEN], mac[MAC_STRLEN];
};

typedef void network_fn(const struct words *w, struct strbuf *b);

/* A rule or two for each network, or for each that has a VIP. */
static void add_each(const struct node_config *config, bool with_vip, network_fn *fn,
		     struct strbuf *b)
{
	for (size_t i = 0; i < config->networks.n; i++) {
		const struct node_network *network = &node_config_networks(config)[i];
		struct words w = {0};
		struct mac mac;

		prefix_format(&network->subnet, w.subnet);
		if (network->vip.family != AF_UNSPEC) {
			mac = mac_from_addr(&network->vip);
			addr_format(&network->vip, w.vip);
			mac_format(&mac, w.mac);
		}
		if (!with_vip || w.vip[0])
			fn(&w, b);
	}
}

static void add_from_client(struct strbuf *b)
{
	strbuf_add(b, "\tchain from_client {\n"
		      "\t\tether type ip iifname . ether saddr @macs"
		      " iifname . ip saddr @addresses goto ip_from_client\n"
		      "\t\tether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4"
		      " iifname . ether saddr @macs iifname . arp saddr ether @macs"
		      " iifname . arp saddr ip @addresses goto arp_from_client\n"
		      "\t\tdrop\n\t}\n");
}

static void add_gateway(const struct words *w, struct strbuf *b)
{
	strbuf_add(b, "\t\tip saddr %s ether daddr %s goto ip_to_vip\n", w->subnet, w->mac);
}

static void add_vip(const struct words *w, struct strbuf *b)
{
	strbuf_add(b, "\t\tip saddr %s ip daddr %s accept\n", w->subnet, w->vip);
}

static void add_inside(const struct words *w, struct strbuf *b)
{
	strbuf_add(b, "\t\tip daddr %s drop\n", w->subnet);
}

static void add_ip_chains(const struct node_config *config, struct strbuf *b)
{
	strbuf_add(b, "\tchain ip_from_client {\n"
		      "\t\tudp dport 67-68 drop\n");
	add_each(config, true, add_gateway, b);
	strbuf_add(b, "\t\tdrop\n\t}\n"
		      "\tchain ip_to_vip {\n");
	add_each(config, true, add_vip, b);
	add_each(config, false, add_inside, b);
	/* Nor multicast, nor the broadcast address. */
	strbuf_add(b, "\t\tip daddr != 224.0.0.0/3 accept\n"
		      "\t\tdrop\n\t}\n");
}

static void add_request(const struct words *w, struct strbuf *b)
{
	const char *const macs[] = {"ff:ff:ff:ff:ff:ff", w->mac};

	for (size_t i = 0; i < array_len(macs); i++)
		strbuf_add(b,
			   "\t\tarp operation request arp saddr ip %s arp daddr ip %s"
			   " ether daddr %s accept\n",
			   w->subnet, w->vip, macs[i]);
}

static void add_arp_chain(const struct node_config *config, struct strbuf *b)
{
	strbuf_add(b, "\tchain arp_from_client {\n");
	add_each(config, true, add_request, b);
	strbuf_add(b, "\t\tarp operation reply iifname . ether daddr @asked"
		      " iifname . arp daddr ether @asked accept\n"
		      "\t\tdrop\n\t}\n");
}

static void add_to_client(struct strbuf *b)
{
	strbuf_add(b,
		   "\tchain to_client {\n"
		   "\t\tiifgroup %d drop\n"
		   "\t\tudp dport 67-68 drop\n"
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
	add_from_client(ret);
	add_ip_chains(config, ret);
	add_arp_chain(config, ret);
	add_to_client(ret);
	add_hooks(ret);
	strbuf_add(ret, "}\n");
}
