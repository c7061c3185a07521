#include "desired.h"

#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

#define TABLE_EXIT(i) (EXIT_MARK(i) + 1000U)

#define PREF_SUBNET  100U
#define PREF_EXIT(i) (120U + (unsigned int)(i))

/* Behind every other route of a table: where those are gone, the lookup ends here and does not go
 * on to the main table, whose default route is the node's own internet. */
#define METRIC_LAST 4278198272U

/* --- objects --- */

static struct prefix anywhere(void)
{
	return (struct prefix){.addr.family = AF_INET};
}

/* The gate is the VIP's interface itself: down on the standby, which has the same MAC address and is sent
 * what bridges do not know better; up on the active router when its state is there. Coming up it
 * announces the VIP (arp_notify): until then bridges send to the old holder. */
static void add_links(const struct router_config *config, const struct model *model,
		      struct object_list *ret)
{
	struct link_object *link = &object_list_add(ret, OBJECT_LINK)->link;

	snprintf(link->name, sizeof(link->name), "%s", config->network.interface);
	link->kind = LINK_ANY;
	link->up = true;

	link = &object_list_add(ret, OBJECT_LINK)->link;
	snprintf(link->name, sizeof(link->name), "%s", VIP_DEVICE);
	link->kind = LINK_MACVLAN;
	link->mac = mac_from_addr(&config->vip);
	link->mtu = config->mtu;
	link->up = model->promoted;
	memcpy(link->parent, config->network.interface, sizeof(link->parent));
	snprintf(link->alias, sizeof(link->alias), "byway vip");
}

/* The way to an exit, and what is behind it where the interface is gone. */
static void add_exit_routes(const struct router_config *config, const struct model *model, size_t i,
			    struct object_list *ret)
{
	struct route_object *route = &object_list_add(ret, OBJECT_ROUTE)->route;

	route->table = TABLE_EXIT(i);
	route->dst = anywhere();
	route->via = model->exits[i].addr;
	memcpy(route->dev, config->network.interface, sizeof(route->dev));
	route->onlink = true;
	route = &object_list_add(ret, OBJECT_ROUTE)->route;
	route->table = TABLE_EXIT(i);
	route->dst = anywhere();
	route->metric = METRIC_LAST;
	route->type = ROUTE_UNREACHABLE;
}

static void add_rule(unsigned int pref, unsigned int fwmark, const struct prefix *to,
		     unsigned int table, struct object_list *ret)
{
	struct rule_object *rule = &object_list_add(ret, OBJECT_RULE)->rule;

	rule->pref = pref;
	rule->fwmark = fwmark;
	if (to)
		rule->to = *to;
	rule->table = table;
}

void desired_objects(const struct router_config *config, const struct model *model,
		     struct object_list *ret)
{
	add_links(config, model, ret);
	for (size_t i = 0; i < model->n_exits; i++)
		add_exit_routes(config, model, i, ret);
	add_rule(PREF_SUBNET, 0, &config->network.subnet, RT_TABLE_MAIN, ret);
	for (size_t i = 0; i < model->n_exits; i++)
		add_rule(PREF_EXIT(i), EXIT_MARK(i), NULL, TABLE_EXIT(i), ret);
}

/* --- ruleset --- */

/* The hooks, made once and then kept. A base chain acts from the moment it is made, its rules only from
 * the end of the transaction (nf_tables_addchain(), net/netfilter/nf_tables_api.c): were it made anew
 * each time, its policy alone would drop packets meanwhile. */
#define CHAINS                                                        \
	"table ip byway_router {\n"                                   \
	"\tchain raw_in {\n"                                          \
	"\t\ttype filter hook prerouting priority raw\n"              \
	"\t}\n"                                                       \
	"\tchain raw_out {\n"                                         \
	"\t\ttype filter hook output priority raw\n"                  \
	"\t}\n"                                                       \
	"\tchain prerouting {\n"                                      \
	"\t\ttype filter hook prerouting priority mangle\n"           \
	"\t}\n"                                                       \
	"\tchain new {\n"                                             \
	"\t}\n"                                                       \
	"\tchain established {\n"                                     \
	"\t}\n"                                                       \
	"\tchain refused {\n"                                         \
	"\t}\n"                                                       \
	"\tchain forward {\n"                                         \
	"\t\ttype filter hook forward priority filter; policy drop\n" \
	"\t}\n"                                                       \
	"}\n"                                                         \
	"table ip6 byway_router {\n"                                  \
	"\tchain forward {\n"                                         \
	"\t\ttype filter hook forward priority filter; policy drop\n" \
	"\t}\n"                                                       \
	"}\n"

/* Tracked is only what comes by the VIP, so that conntrackd carries flows and not the router's own
 * traffic. */
static void ruleset_raw(struct strbuf *b)
{
	strbuf_add(b, "\tchain raw_in {\n"
		      "\t\tiifname != \"" VIP_DEVICE "\" notrack\n"
		      "\t}\n"
		      "\tchain raw_out {\n"
		      "\t\tnotrack\n"
		      "\t}\n");
}

/* " { 101 : goto established, … }": what becomes of a packet by its flow's mark. */
static void ruleset_verdicts(const struct model *model, struct strbuf *b)
{
	strbuf_add(b, " {");
	for (size_t i = 0; i < model->n_exits; i++)
		strbuf_add(b, "%s %u : goto %s", i ? "," : "", EXIT_MARK(i),
			   model->exits[i].state == EXIT_DOWN ? "refused" : "established");
	strbuf_add(b, " }\n");
}

/* " { … }": what never leaves by an exit: the intranet, the network itself, what the internet does not
 * route. */
static void ruleset_inside(const struct router_config *config, struct strbuf *b)
{
	const struct prefix *intranet = config->intranet.items;
	char text[PREFIX_STRLEN];

	strbuf_add(b, " { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3, %s",
		   prefix_format(&config->network.subnet, text));
	if (config->network.identities.addr.family != AF_UNSPEC)
		strbuf_add(b, ", %s", prefix_format(&config->network.identities, text));
	for (size_t i = 0; i < config->intranet.n; i++)
		strbuf_add(b, ", %s", prefix_format(&intranet[i], text));
	strbuf_add(b, " } ");
}

/* Refusals: of the ICMP codes that mean ENETUNREACH and EHOSTUNREACH these two reach UDP sockets as
 * well; the plain ones are hints that only TCP heeds (net/ipv4/icmp.c, icmp_err_convert). */
#define REJECT_NO_EXIT	 "reject with icmp type net-prohibited"
#define REJECT_DEAD_EXIT "reject with icmp type host-prohibited"

/* How a new flow gets its exit: by a hash over what identifies it, modulo the sum of all shares. Where
 * that is the share of an exit that takes no new flows, another hash decides, and so on; the last one
 * is over those alone that take flows. So an exit that goes or is back moves no new flow of the others
 * (but for the few that come to the last round), and as long as all take flows there is one round.
 *
 * The seeds are the same on all routers: one that knows nothing of a flow finds the same exit. */
#define ROUNDS_MAX 8
#define SEED	   0x62797761U

/* An exit that is being drained keeps the share of the usual weight, so that draining it is no more
 * than what happens when it goes. */
static unsigned int share_of(const struct model_exit *exit)
{
	if (exit->state == EXIT_UNKNOWN)
		return 0;
	return exit->weight ? exit->weight : 1;
}

/* Is there a choice, and an exit that has a share but takes no new flows? */
static bool needs_rounds(const struct model *model)
{
	if (model_exits_up(model) < 2)
		return false;
	for (size_t i = 0; i < model->n_exits; i++) {
		if (share_of(&model->exits[i]) && !model_exit_takes_flows(&model->exits[i]))
			return true;
	}
	return false;
}

static void ruleset_hash(unsigned int total, unsigned int round, struct strbuf *b)
{
	strbuf_add(b,
		   "\t\tmeta mark set jhash ip saddr . ip daddr mod %u seed 0x%08x\n"
		   "\t\tmeta l4proto { tcp, udp, sctp } meta mark set jhash "
		   "ip saddr . ip daddr . th sport . th dport mod %u seed 0x%08x\n",
		   total, SEED + round, total, SEED + round);
}

/* One round: among all that have a share, or (`last`) among those that take flows. */
static void ruleset_round(const struct model *model, bool last, unsigned int round,
			  struct strbuf *b)
{
	auto_strbuf struct strbuf elements = {0};
	unsigned int total = 0;

	for (size_t i = 0; i < model->n_exits; i++) {
		const struct model_exit *exit = &model->exits[i];
		bool takes = model_exit_takes_flows(exit);
		unsigned int first = total;

		if (last && !takes)
			continue;
		total += share_of(exit);
		if (takes)
			strbuf_add(&elements, "%s %u-%u : %u", elements.len ? "," : "", first,
				   total - 1, EXIT_MARK(i));
	}
	ruleset_hash(total, round, b);
	strbuf_add(b, "\t\tct mark set meta mark map {%s } goto established\n",
		   strbuf_text(&elements));
}

/* What becomes of a new flow. Where no exit takes any, it is refused at once, unless a pair of
 * gateways is just taking over from one another: then its packet is dropped, and what the client
 * sends again a second later finds the exit up, or down. */
static void ruleset_new(const struct model *model, struct strbuf *b)
{
	strbuf_add(b, "\tchain new {\n");
	if (model_exits_up(model)) {
		unsigned int round = 0;

		while (needs_rounds(model) && round < ROUNDS_MAX)
			ruleset_round(model, false, round++, b);
		ruleset_round(model, true, round, b);
	} else if (model_exit_hoped_for(model)) {
		strbuf_add(b, "\t\tdrop\n");
	} else {
		strbuf_add(b, "\t\t" REJECT_NO_EXIT "\n");
	}
	strbuf_add(b, "\t}\n");
}

/* Where an exit is down, the next packet of each of its flows is refused, and with it the flow ends. What
 * the client sends from the same port later is a new flow, though the old one's entry is still there,
 * because nobody could close it: of TCP from a SYN on, of others from the next packet on. */
static void ruleset_flows(struct strbuf *b)
{
	strbuf_add(b, "\tchain established {\n"
		      "\t\tmeta mark set ct mark\n"
		      "\t}\n"
		      "\tchain refused {\n"
		      "\t\ttcp flags & (fin | syn | rst | ack) == syn ct mark set 0 goto new\n"
		      "\t\tmeta l4proto tcp reject with tcp reset\n"
		      "\t\tct mark set 0 " REJECT_DEAD_EXIT "\n"
		      "\t}\n");
}

/* A packet that comes by the VIP is a reply for a client, of a known flow, or the first of a new
 * one. `ct mark` of an exit that this router does not have is dropped: main's default route is not
 * an exit. */
static void ruleset_prerouting(const struct router_config *config, const struct model *model,
			       struct strbuf *b)
{
	char clients[RANGE_STRLEN], vip[ADDR_STRLEN];

	addr_range_format(&config->network.clients, clients);
	strbuf_add(b,
		   "\tchain prerouting {\n"
		   "\t\tiifname != \"" VIP_DEVICE "\" accept\n"
		   "\t\tmeta pkttype != host drop\n"
		   "\t\tip daddr %s accept\n"
		   "\t\tct state invalid drop\n"
		   "\t\tip saddr != %s ct direction original drop\n"
		   "\t\tip saddr != %s accept\n"
		   "\t\tip daddr",
		   addr_format(&config->vip, vip), clients, clients);
	ruleset_inside(config, b);
	strbuf_add(b, "reject with icmp type admin-prohibited\n"
		      "\t\tct mark vmap");
	ruleset_verdicts(model, b);
	strbuf_add(b, "\t\tct mark != 0 drop\n"
		      "\t\tgoto new\n"
		      "\t}\n");
}

/* Forwarding is for the VIP's packets alone. */
static void ruleset_forward(const struct router_config *config, struct strbuf *b)
{
	strbuf_add(b,
		   "\tchain forward {\n"
		   "\t\tiifname \"" VIP_DEVICE "\" oifname \"%s\" accept\n"
		   "\t}\n",
		   config->network.interface);
}

void desired_ruleset(const struct router_config *config, const struct model *model,
		     struct strbuf *b)
{
	strbuf_add(b, CHAINS "flush table ip byway_router\n"
			     "table ip byway_router {\n");
	ruleset_raw(b);
	ruleset_new(model, b);
	ruleset_flows(b);
	ruleset_prerouting(config, model, b);
	ruleset_forward(config, b);
	strbuf_add(b, "}\n");
}
