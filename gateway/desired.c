/* Theory of operation
 *
 * An exit is two devices: x-NAME, a macvlan on the network with the exit's address and MAC, and
 * wg-NAME, its tunnel. Both members of a pair have both at all times, so that a takeover is: both
 * up, and a few routes. Rules by incoming interface tie the two together; each table ends in
 * `unreachable`, hence nothing ever falls through to the pod's own default route.
 *
 * The gate is x-NAME itself, which is down where the exit is not held: both members have the exit's
 * MAC, and a bridge that does not know where it is sends frames to both. It comes up last, and only
 * then the kernel announces the address (arp_notify): until a takeover is complete, bridges go on
 * sending to the old holder, who in a planned one goes on forwarding.
 *
 * The source address is rewritten by `snat to`, not `masquerade`: the kernel forgets a masqueraded
 * flow when its device goes down (nf_nat_masquerade.c, masq_device_event), and conntrackd would
 * tell the peer, who has just taken it over. The tunnel's address is fixed anyway.
 *
 * The set `alive` is a dead man's handle. When the agent dies its tunnels stay up, and WireGuard
 * would go on trying handshakes with the identity that the peer uses by then (the provider believes
 * whoever spoke last). So a tunnel's own packets, known by the device's mark, pass only while their
 * mark is in the set, where it must be put again and again. For the same reason the kernel sends no
 * keepalives: the agent's probes are that.
 *
 * All exits share one table of connections, in which a flow is known by the client's addresses and ports,
 * not by its exit. What is left of the flows of an exit that died would catch the client's next flow
 * from the same port, which has another exit, and translate it to the dead one's address. So flows carry
 * their exit's number as connection mark; where an exit goes down it forwards no more (the set `up`), and
 * then its flows are forgotten. (A zone for each exit would be the kernel's own way, but conntrackd 1.4.7
 * does not know zones.)
 *
 * Marks on what comes in are for what the kernel itself answers (net.ipv4.fwmark_reflect): an ICMP
 * "fragmentation needed" goes out the way the packet came, never by the default route.
 */
#include "desired.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

#define TABLE_OUT   2000
#define TABLE_IN    3000
#define TABLE_OWN   4000
#define PREF_SIDE   200 /* came from the network: into the tunnel */
#define PREF_TUNNEL 300 /* came out of the tunnel */
#define PREF_OWN    400 /* said by the exit's address */
#define PREF_PROBE  500 /* bound to the tunnel */
#define PREF_REPLY  600 /* the kernel's answer to what came out of the tunnel */
#define PREF_ERROR  700 /* the kernel's answer to what came from the network */

/* What `ip route add unreachable default metric 4278198272` has: worse than any other. */
#define METRIC_LAST 4278198272U

/* Mark of a tunnel's own packets ("bw", and the exit's number). */
#define MARK_TUNNEL 0x62770000U

/* Behind those of an exit that is held. */
#define METRIC_LEAVING 100

/* WireGuard's cost on IPv6 underlays, the dearer one (drivers/net/wireguard/device.c). */
#define WG_OVERHEAD    80
#define UNDERLAY_USUAL 1500

#define PRIORITY_PREFERRED 150
#define PRIORITY_OTHER	   100

#define NFT_TABLE "ip byway_gateway"

void desired_side_name(const struct exit_config *exit, char name[static IFNAMSIZ])
{
	snprintf(name, IFNAMSIZ, "x-%.*s", EXIT_NAME_MAX, exit->name);
}

void desired_tunnel_name(const struct exit_config *exit, char name[static IFNAMSIZ])
{
	snprintf(name, IFNAMSIZ, "wg-%.*s", EXIT_NAME_MAX, exit->name);
}

uint32_t desired_flow_mark(size_t i)
{
	return TABLE_OUT + (uint32_t)i;
}

/* An exit with its names and numbers. */
struct exit {
	const struct gateway_config *config;
	const struct exit_config *exit;
	const struct exit_model *model;
	unsigned int i;
	char side[IFNAMSIZ], tunnel[IFNAMSIZ];
};

static struct exit exit_at(const struct gateway_config *config, const struct model *m, size_t i)
{
	struct exit e = {config, config_exit(config, i), &m->exits[i], (unsigned int)i};

	desired_side_name(e.exit, e.side);
	desired_tunnel_name(e.exit, e.tunnel);
	return e;
}

/* --- links, addresses, routes, rules --- */

static unsigned int min_set(unsigned int a, unsigned int b)
{
	return b && b < a ? b : a;
}

/* What the file says, or what the underlay leaves; never more than the network itself carries, so
 * that a packet that came through a tunnel also fits its way to the client. */
static unsigned int tunnel_mtu(const struct exit *e, unsigned int underlay_mtu)
{
	unsigned int underlay = underlay_mtu ? underlay_mtu : UNDERLAY_USUAL;
	unsigned int mtu = e->exit->wg.mtu ? e->exit->wg.mtu : underlay - WG_OVERHEAD;

	return min_set(mtu, e->config->mtu);
}

static struct link_object *add_link(struct object_list *list, const char *name, enum link_kind kind)
{
	struct link_object *link = &object_list_add(list, OBJECT_LINK)->link;

	snprintf(link->name, sizeof(link->name), "%s", name);
	link->kind = kind;
	return link;
}

static void add_address(struct object_list *list, const char *dev, const struct addr *addr)
{
	struct address_object *address = &object_list_add(list, OBJECT_ADDRESS)->address;

	snprintf(address->dev, sizeof(address->dev), "%s", dev);
	address->prefix = prefix_host(addr);
}

static void add_tunnel(const struct exit *e, const struct model *m, struct object_list *list)
{
	struct link_object *tunnel = add_link(list, e->tunnel, LINK_WIREGUARD);

	snprintf(tunnel->alias, sizeof(tunnel->alias), "byway tunnel %s", e->exit->name);
	tunnel->mtu = tunnel_mtu(e, m->underlay_mtu);
	tunnel->up = e->model->held;
	/* A host's address, whatever length the provider wrote: Address = 10.2.0.2/8 must not take
	 * the cluster away from the pod. */
	add_address(list, e->tunnel, wgquick_ipv4(&e->exit->wg));
}

static void add_side(const struct exit *e, struct object_list *list)
{
	struct link_object *side = add_link(list, e->side, LINK_MACVLAN);

	snprintf(side->parent, sizeof(side->parent), "%s", e->config->interface);
	snprintf(side->alias, sizeof(side->alias), "byway exit %s", e->exit->name);
	side->mac = mac_from_addr(&e->exit->address);
	side->mtu = e->config->mtu;
	side->up = e->model->held;
	/* keepalived puts it there too; what is not wanted would be removed. */
	if (e->model->held)
		add_address(list, e->side, &e->exit->address);
}

static struct route_object *add_route(struct object_list *list, unsigned int table,
				      const struct prefix *dst, const char *dev)
{
	struct route_object *route = &object_list_add(list, OBJECT_ROUTE)->route;

	route->table = table;
	route->dst = *dst;
	snprintf(route->dev, sizeof(route->dev), "%s", dev);
	return route;
}

static void add_unreachable(struct object_list *list, unsigned int table)
{
	const struct prefix all = {.addr.family = AF_INET};
	struct route_object *route = add_route(list, table, &all, "");

	route->type = ROUTE_UNREACHABLE;
	route->metric = METRIC_LAST;
}

/* What came out of the tunnel goes to the VIP: of the table's routes, those by `dev`. */
static void add_routes_in(const struct exit *e, struct object_list *list, const char *dev,
			  unsigned int metric)
{
	const struct prefix to[] = {prefix_host(&e->config->vip),
				    prefix_network(&e->config->subnet),
				    prefix_network(&e->config->identities)};

	for (size_t i = 0; i < array_len(to); i++) {
		struct route_object *route;

		if (to[i].addr.family == AF_UNSPEC)
			continue;
		route = add_route(list, TABLE_IN + e->i, &to[i], dev);
		route->metric = metric;
		if (i == 0)
			continue;
		route->via = e->config->vip;
		route->onlink = true;
	}
}

/* Where a tunnel or an interface is gone, the lookup ends here. */
static void add_routes_last(const struct exit *e, struct object_list *list)
{
	add_unreachable(list, TABLE_OUT + e->i);
	add_unreachable(list, TABLE_IN + e->i);
	add_unreachable(list, TABLE_OWN + e->i);
}

static void add_route_out(const struct exit *e, struct object_list *list)
{
	const struct prefix all = {.addr.family = AF_INET};

	if (e->model->held)
		add_route(list, TABLE_OUT + e->i, &all, e->tunnel);
}

/* Routes by x-NAME exist while the exit is held: with its last address, which keepalived takes away at
 * the end, a device loses all its routes (fib_disable_ip(), net/ipv4/fib_frontend.c), and nobody is
 * told. From then on the replies that still come to the old holder leave by the network's own
 * interface; with that one's MAC address, so that no bridge is told that the exit were still here. */
static void add_routes_back(const struct exit *e, struct object_list *list)
{
	const struct prefix subnet = prefix_network(&e->config->subnet);

	add_routes_in(e, list, e->config->interface, METRIC_LEAVING);
	if (!e->model->held)
		return;
	add_routes_in(e, list, e->side, 0);
	add_route(list, TABLE_OWN + e->i, &subnet, e->side);
}

static struct rule_object *add_rule(struct object_list *list, unsigned int pref, unsigned int table,
				    const char *iif)
{
	struct rule_object *rule = &object_list_add(list, OBJECT_RULE)->rule;

	rule->pref = pref;
	rule->table = table;
	snprintf(rule->iif, sizeof(rule->iif), "%s", iif);
	return rule;
}

static void add_rules(const struct exit *e, struct object_list *list)
{
	unsigned int i = e->i;
	struct rule_object *rule;

	add_rule(list, PREF_SIDE + i, TABLE_OUT + i, e->side);
	add_rule(list, PREF_TUNNEL + i, TABLE_IN + i, e->tunnel);
	add_rule(list, PREF_OWN + i, TABLE_OWN + i, "lo")->from = prefix_host(&e->exit->address);
	rule = add_rule(list, PREF_PROBE + i, TABLE_OUT + i, "");
	snprintf(rule->oif, sizeof(rule->oif), "%s", e->tunnel);
	add_rule(list, PREF_REPLY + i, TABLE_OUT + i, "lo")->fwmark = TABLE_OUT + i;
	add_rule(list, PREF_ERROR + i, TABLE_IN + i, "lo")->fwmark = TABLE_IN + i;
}

/* The order is that of a takeover: when x-NAME comes up, and with it the kernel's announcement, the way
 * through the tunnel is there. */
void desired_objects(const struct gateway_config *config, const struct model *m,
		     struct object_list *ret)
{
	add_link(ret, config->interface, LINK_ANY)->up = true;
	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit e = exit_at(config, m, i);

		add_rules(&e, ret);
		add_routes_last(&e, ret);
		add_tunnel(&e, m, ret);
		add_route_out(&e, ret);
		add_side(&e, ret);
		add_routes_back(&e, ret);
	}
}

/* --- nftables --- */

/* The hooks, made once and then kept. A base chain acts from the moment it is made, its rules only from
 * the end of the transaction (nf_tables_addchain(), net/netfilter/nf_tables_api.c): were it made anew
 * each time, its policy alone would drop packets meanwhile. */
#define HOOKS                                                                  \
	"table " NFT_TABLE " {\n"                                              \
	"\tset up {\n\t\ttype ifname\n\t}\n"                                   \
	"\tset alive {\n\t\ttype mark\n\t\tflags timeout\n\t}\n"               \
	"\tchain raw_in {\n"                                                   \
	"\t\ttype filter hook prerouting priority raw; policy accept;\n\t}\n"  \
	"\tchain raw_out {\n"                                                  \
	"\t\ttype filter hook output priority raw; policy accept;\n\t}\n"      \
	"\tchain forward {\n"                                                  \
	"\t\ttype filter hook forward priority filter; policy drop;\n\t}\n"    \
	"\tchain input {\n"                                                    \
	"\t\ttype filter hook input priority filter; policy accept;\n\t}\n"    \
	"\tchain post {\n"                                                     \
	"\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t}\n" \
	"}\n"                                                                  \
	"table ip6 byway_gateway {\n"                                          \
	"\tchain forward {\n"                                                  \
	"\t\ttype filter hook forward priority filter; policy drop;\n\t}\n"    \
	"\tchain input {\n"                                                    \
	"\t\ttype filter hook input priority filter; policy accept;\n\t}\n"    \
	"}\n"

/* Which word of an exit a list is made of. */
enum word {
	WORD_SIDE,
	WORD_TUNNEL,
	WORD_ADDRESS,
	WORD_MARK,
	WORD_PATH_OUT,
	WORD_PATH_BACK,
	WORD_SIDE_FLOWS,
};

static void add_word(const struct exit *e, enum word word, struct strbuf *b)
{
	char addr[ADDR_STRLEN];

	switch (word) {
	case WORD_SIDE:
		strbuf_add(b, "\"%s\"", e->side);
		return;
	case WORD_TUNNEL:
		strbuf_add(b, "\"%s\"", e->tunnel);
		return;
	case WORD_ADDRESS:
		strbuf_add(b, "%s", addr_format(&e->exit->address, addr));
		return;
	case WORD_MARK:
		strbuf_add(b, "0x%08x", MARK_TUNNEL + e->i);
		return;
	case WORD_PATH_OUT:
		strbuf_add(b, "\"%s\" . \"%s\"", e->side, e->tunnel);
		return;
	case WORD_PATH_BACK:
		strbuf_add(b, "\"%s\" . \"%s\", \"%s\" . \"%s\"", e->tunnel, e->side, e->tunnel,
			   e->config->interface);
		return;
	case WORD_SIDE_FLOWS:
		strbuf_add(b, "\"%s\" : %u", e->side, desired_flow_mark(e->i));
		return;
	}
}

/* A word of each exit, in braces; the caller owns the text. */
static char *words(const struct gateway_config *config, const struct model *m, enum word word)
{
	struct strbuf b = {0};

	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit e = exit_at(config, m, i);

		strbuf_add(&b, i ? ", " : "{ ");
		add_word(&e, word, &b);
	}
	strbuf_add(&b, " }");
	return strbuf_steal(&b);
}

/* "{ subnet, identities }": what the network's own addresses are; the caller owns the text. */
static char *inside(const struct gateway_config *config)
{
	const struct prefix subnet = prefix_network(&config->subnet),
			    identities = prefix_network(&config->identities);
	char a[PREFIX_STRLEN], b[PREFIX_STRLEN];

	if (identities.addr.family == AF_UNSPEC)
		return xasprintf("{ %s }", prefix_format(&subnet, a));
	return xasprintf("{ %s, %s }", prefix_format(&subnet, a), prefix_format(&identities, b));
}

static void add_raw_chains(const struct gateway_config *config, const struct model *m,
			   struct strbuf *b)
{
	auto_free char *sides = words(config, m, WORD_SIDE),
		       *tunnels = words(config, m, WORD_TUNNEL),
		       *marks = words(config, m, WORD_MARK),
		       *addresses = words(config, m, WORD_ADDRESS), *own = inside(config);

	strbuf_add(b, "\tchain raw_in {\n");
	strbuf_add(b, "\t\tiifname \"%s\" notrack\n", config->sync_interface);
	strbuf_add(b, "\t\tiifname %s ip saddr != %s drop\n", sides, own);
	strbuf_add(b, "\t\tiifname %s ip saddr %s drop\n", tunnels, own);
	strbuf_add(b, "\t\tiifname %s ip daddr %s tcp dport %u notrack\n", sides, addresses,
		   config->health_port);
	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit e = exit_at(config, m, i);

		strbuf_add(b, "\t\tiifname \"%s\" meta mark set %u\n", e.side, TABLE_IN + e.i);
		strbuf_add(b, "\t\tiifname \"%s\" meta mark set %u\n", e.tunnel, TABLE_OUT + e.i);
	}
	strbuf_add(b, "\t}\n"
		      "\tchain raw_out {\n");
	strbuf_add(b, "\t\tmeta mark %s meta mark != @alive drop\n", marks);
	strbuf_add(b, "\t\toifname \"%s\" notrack\n", config->sync_interface);
	strbuf_add(b, "\t\toifname %s ip saddr %s tcp sport %u notrack\n\t}\n", sides, addresses,
		   config->health_port);
}

static void add_filter_chains(const struct gateway_config *config, const struct model *m,
			      struct strbuf *b)
{
	auto_free char *sides = words(config, m, WORD_SIDE),
		       *tunnels = words(config, m, WORD_TUNNEL),
		       *out = words(config, m, WORD_PATH_OUT),
		       *back = words(config, m, WORD_PATH_BACK),
		       *flows = words(config, m, WORD_SIDE_FLOWS), *own = inside(config);
	char clients[RANGE_STRLEN];

	addr_range_format(&config->clients, clients);
	strbuf_add(b, "\tchain forward {\n"
		      "\t\ttcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
		      "\t\tct state invalid drop\n");
	strbuf_add(b, "\t\tiifname %s iifname != @up drop\n", sides);
	strbuf_add(b, "\t\tct mark set iifname map %s\n", flows);
	strbuf_add(b, "\t\tiifname . oifname %s ip saddr %s ip daddr != %s accept\n", out, clients,
		   own);
	strbuf_add(b, "\t\tiifname . oifname %s ct state established,related accept\n\t}\n", back);
	strbuf_add(b, "\tchain input {\n");
	strbuf_add(b, "\t\tiifname %s ct state established,related accept\n", tunnels);
	strbuf_add(b, "\t\tiifname %s drop\n", tunnels);
	strbuf_add(b, "\t\tiifname %s tcp dport %u accept\n", sides, config->health_port);
	strbuf_add(b, "\t\tiifname %s ip protocol icmp accept\n", sides);
	strbuf_add(b, "\t\tiifname %s drop\n\t}\n", sides);
}

static void add_nat_chain(const struct gateway_config *config, const struct model *m,
			  struct strbuf *b)
{
	strbuf_add(b, "\tchain post {\n");
	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit e = exit_at(config, m, i);
		char addr[ADDR_STRLEN];

		strbuf_add(b, "\t\toifname \"%s\" snat to %s\n", e.tunnel,
			   addr_format(wgquick_ipv4(&e.exit->wg), addr));
	}
	strbuf_add(b, "\t}\n");
}

static void add_ip6_table(const struct gateway_config *config, const struct model *m,
			  struct strbuf *b)
{
	auto_free char *sides = words(config, m, WORD_SIDE),
		       *tunnels = words(config, m, WORD_TUNNEL);

	strbuf_add(b,
		   "table ip6 byway_gateway {\n"
		   "\tchain input {\n"
		   "\t\tiifname %s drop\n"
		   "\t\tiifname %s drop\n"
		   "\t}\n"
		   "}\n",
		   sides, tunnels);
}

void desired_ruleset(const struct gateway_config *config, const struct model *m, struct strbuf *b)
{
	strbuf_add(b, HOOKS "flush table " NFT_TABLE "\n"
			    "flush table ip6 byway_gateway\n"
			    "table " NFT_TABLE " {\n");
	add_raw_chains(config, m, b);
	add_filter_chains(config, m, b);
	add_nat_chain(config, m, b);
	strbuf_add(b, "}\n");
	add_ip6_table(config, m, b);
	desired_signs(config, m, b);
}

void desired_signs(const struct gateway_config *config, const struct model *m, struct strbuf *b)
{
	strbuf_add(b, "flush set " NFT_TABLE " up\n"
		      "flush set " NFT_TABLE " alive\n");
	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit e = exit_at(config, m, i);

		strbuf_add(b, "add element " NFT_TABLE " alive { 0x%08x timeout %ds }\n",
			   MARK_TUNNEL + e.i, ALIVE_SECONDS);
		if (e.model->health != HEALTH_DOWN)
			strbuf_add(b, "add element " NFT_TABLE " up { \"%s\" }\n", e.side);
	}
}

/* --- WireGuard, elections --- */

void desired_device(const struct gateway_config *config, const struct model *m, size_t i,
		    struct wg_device *ret)
{
	const struct exit e = exit_at(config, m, i);
	const struct wgquick *wg = &e.exit->wg;

	*ret = (struct wg_device){.private_key = wg->private_key, .fwmark = MARK_TUNNEL + e.i};
	memcpy(ret->name, e.tunnel, sizeof(ret->name));
	ret->peers = xcalloc(wg->n_peers, sizeof(*ret->peers));
	ret->n_peers = wg->n_peers;
	for (size_t j = 0; j < wg->n_peers; j++) {
		const struct wgquick_peer *from = &wg->peers[j];
		struct wg_peer *to = &ret->peers[j];

		to->public_key = from->public_key;
		to->preshared_key = from->preshared_key;
		to->endpoint = e.model->endpoints[j];
		to->allowed_ips = xcalloc(from->n_allowed_ips, sizeof(struct prefix));
		memcpy(to->allowed_ips, from->allowed_ips,
		       from->n_allowed_ips * sizeof(struct prefix));
		to->n_allowed_ips = from->n_allowed_ips;
	}
}

void desired_holding(const struct gateway_config *config, size_t i, struct ha_holding *ret)
{
	const struct exit_config *exit = config_exit(config, i);

	*ret = (struct ha_holding){
		.priority = exit->prefer == config->member ? PRIORITY_PREFERRED : PRIORITY_OTHER,
		.addr = exit->address,
		.vrid = exit->address.bytes[addr_size(&exit->address) - 1],
	};
	snprintf(ret->name, sizeof(ret->name), "%s", exit->name);
	desired_side_name(exit, ret->dev);
}
