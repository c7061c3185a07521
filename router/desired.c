#include "desired.h"

#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "maglev.h"

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

static void add_links(const struct router_config *config, struct object_list *ret)
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
	link->up = true;
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
	add_links(config, ret);
	for (size_t i = 0; i < model->n_exits; i++)
		add_exit_routes(config, model, i, ret);
	add_rule(PREF_SUBNET, 0, &config->network.subnet, RT_TABLE_MAIN, ret);
	for (size_t i = 0; i < model->n_exits; i++)
		add_rule(PREF_EXIT(i), EXIT_MARK(i), NULL, TABLE_EXIT(i), ret);
}

/* --- ruleset --- */

/* What becomes of a packet by its flow's mark. */
static void ruleset_exits(const struct model *model, struct strbuf *b)
{
	strbuf_add(b, "\tmap flows {\n\t\ttype mark : verdict\n\t\telements = {");
	for (size_t i = 0; i < model->n_exits; i++)
		strbuf_add(b, "%s %u : goto %s", i ? "," : "", EXIT_MARK(i),
			   model->exits[i].state == EXIT_DOWN ? "refused" : "established");
	strbuf_add(b, " }\n\t}\n");
}

/* The exit of each slot, where any takes new flows. */
static void ruleset_slots(const struct model *model, struct strbuf *b)
{
	uint8_t table[MAGLEV_SLOTS];

	if (!maglev_fill(model->exits, model->n_exits, table))
		return;
	strbuf_add(b, "\tmap slots {\n\t\ttype mark : mark\n\t\telements = {");
	for (size_t i = 0; i < MAGLEV_SLOTS; i++)
		strbuf_add(b, "%s %zu : %u", i ? "," : "", i, EXIT_MARK(table[i]));
	strbuf_add(b, " }\n\t}\n");
}

/* What never leaves by an exit: the intranet, the network itself, what the internet does not route.
 */
static void ruleset_inside(const struct router_config *config, struct strbuf *b)
{
	const struct prefix *intranet = config->intranet.items;
	char text[PREFIX_STRLEN];

	strbuf_add(b,
		   "\tset inside {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\tauto-merge\n"
		   "\t\telements = { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3, %s",
		   prefix_format(&config->network.subnet, text));
	if (config->network.identities.addr.family != AF_UNSPEC)
		strbuf_add(b, ", %s", prefix_format(&config->network.identities, text));
	for (size_t i = 0; i < config->intranet.n; i++)
		strbuf_add(b, ", %s", prefix_format(&intranet[i], text));
	strbuf_add(b, " }\n\t}\n");
}

#define GATE_SHUT "iifname \"" VIP_DEVICE "\" drop\n"

void desired_gate(const struct model *model, struct strbuf *b)
{
	strbuf_add(b, "flush chain ip byway_router gate\n");
	if (!model->promoted)
		strbuf_add(b, "add rule ip byway_router gate " GATE_SHUT);
}

/* The gate stands before connection tracking: a packet that comes too early leaves no entry.
 * Tracked is only what comes by the VIP, so that conntrackd carries flows and not the router's own
 * traffic. */
static void ruleset_gate(const struct model *model, struct strbuf *b)
{
	strbuf_add(b, "\tchain gate {\n\t\ttype filter hook prerouting priority -350\n");
	if (!model->promoted)
		strbuf_add(b, "\t\t" GATE_SHUT);
	strbuf_add(b, "\t}\n"
		      "\tchain raw_in {\n"
		      "\t\ttype filter hook prerouting priority raw\n"
		      "\t\tiifname != \"" VIP_DEVICE "\" notrack\n"
		      "\t}\n"
		      "\tchain raw_out {\n"
		      "\t\ttype filter hook output priority raw\n"
		      "\t\tnotrack\n"
		      "\t}\n");
}

/* Refusals: of the ICMP codes that mean ENETUNREACH and EHOSTUNREACH these two reach UDP sockets as
 * well; the plain ones are hints that only TCP heeds (net/ipv4/icmp.c, icmp_err_convert). */
#define REJECT_NO_EXIT	 "reject with icmp type net-prohibited"
#define REJECT_DEAD_EXIT "reject with icmp type host-prohibited"

/* A flow's slot, and so its exit, is a hash over what identifies it. The seed is the same on all
 * routers: one that knows nothing of a flow finds the same exit. */
#define HASH "mod %u seed 0x62797761\n"

/* What becomes of a new flow. Where no exit takes any, it is refused at once, unless a pair of
 * gateways is just taking over from one another: then its packet is dropped, and what the client
 * sends again a second later finds the exit up, or down. */
static void ruleset_new(const struct model *model, struct strbuf *b)
{
	strbuf_add(b, "\tchain new {\n");
	if (model_exits_up(model))
		strbuf_add(b,
			   "\t\tmeta mark set jhash ip saddr . ip daddr " HASH
			   "\t\tmeta l4proto { tcp, udp, sctp } meta mark set jhash "
			   "ip saddr . ip daddr . th sport . th dport " HASH
			   "\t\tct mark set meta mark map @slots\n"
			   "\t\tmeta mark set ct mark\n",
			   MAGLEV_SLOTS, MAGLEV_SLOTS);
	else if (model_exit_hoped_for(model))
		strbuf_add(b, "\t\tdrop\n");
	else
		strbuf_add(b, "\t\t" REJECT_NO_EXIT "\n");
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
static void ruleset_prerouting(const struct router_config *config, struct strbuf *b)
{
	char clients[RANGE_STRLEN], vip[ADDR_STRLEN];

	addr_range_format(&config->network.clients, clients);
	strbuf_add(b,
		   "\tchain prerouting {\n"
		   "\t\ttype filter hook prerouting priority mangle\n"
		   "\t\tiifname != \"" VIP_DEVICE "\" accept\n"
		   "\t\tmeta pkttype != host drop\n"
		   "\t\tip daddr %s accept\n"
		   "\t\tct state invalid drop\n"
		   "\t\tip saddr != %s ct direction original drop\n"
		   "\t\tip saddr != %s accept\n"
		   "\t\tip daddr @inside reject with icmp type admin-prohibited\n"
		   "\t\tct mark vmap @flows\n"
		   "\t\tct mark != 0 drop\n"
		   "\t\tgoto new\n"
		   "\t}\n",
		   addr_format(&config->vip, vip), clients, clients);
}

/* Forwarding is for the VIP's packets alone. */
static void ruleset_forward(const struct router_config *config, struct strbuf *b)
{
	strbuf_add(b,
		   "\tchain forward {\n"
		   "\t\ttype filter hook forward priority filter; policy drop\n"
		   "\t\tiifname \"" VIP_DEVICE "\" oifname \"%s\" accept\n"
		   "\t}\n",
		   config->network.interface);
}

void desired_ruleset(const struct router_config *config, const struct model *model,
		     struct strbuf *b)
{
	strbuf_add(b, "table ip byway_router\n"
		      "delete table ip byway_router\n"
		      "table ip byway_router {\n");
	ruleset_exits(model, b);
	ruleset_slots(model, b);
	ruleset_inside(config, b);
	ruleset_gate(model, b);
	ruleset_new(model, b);
	ruleset_flows(b);
	ruleset_prerouting(config, b);
	ruleset_forward(config, b);
	strbuf_add(b, "}\n"
		      "table ip6 byway_router\n"
		      "delete table ip6 byway_router\n"
		      "table ip6 byway_router {\n"
		      "\tchain forward {\n"
		      "\t\ttype filter hook forward priority filter; policy drop\n"
		      "\t}\n"
		      "}\n");
}
