#include "desired.h"

#include <linux/ip_vs.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

#define TABLE_NEW     1001U /* FWMARK_NEW: everything is local, where IPVS takes it */
#define TABLE_EXIT(i) (EXIT_MARK(i) + 1000U)

#define PREF_SUBNET  100U
#define PREF_NEW     110U
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

static void add_route_via(const struct router_config *config, struct prefix dst,
			  const struct addr *via, unsigned int table, struct object_list *ret)
{
	struct route_object *route = &object_list_add(ret, OBJECT_ROUTE)->route;

	route->table = table;
	route->dst = dst;
	route->via = *via;
	memcpy(route->dev, config->network.interface, sizeof(route->dev));
	route->onlink = true;
}

/* The route to an exit *via itself* is what makes `rt ip nexthop` say which exit IPVS has chosen.
 */
static void add_exit_routes(const struct router_config *config, const struct model *model, size_t i,
			    struct object_list *ret)
{
	const struct addr *exit = &model->exits[i].addr;
	struct route_object *last;

	add_route_via(config, prefix_host(exit), exit, RT_TABLE_MAIN, ret);
	add_route_via(config, anywhere(), exit, TABLE_EXIT(i), ret);
	last = &object_list_add(ret, OBJECT_ROUTE)->route;
	last->table = TABLE_EXIT(i);
	last->dst = anywhere();
	last->metric = METRIC_LAST;
	last->type = ROUTE_UNREACHABLE;
}

static void add_new_route(struct object_list *ret)
{
	struct route_object *route = &object_list_add(ret, OBJECT_ROUTE)->route;

	route->table = TABLE_NEW;
	route->dst = anywhere();
	route->type = ROUTE_LOCAL;
	snprintf(route->dev, sizeof(route->dev), "lo");
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

/* mh-port, mh-fallback: the exit follows from the 5-tuple, so that another router schedules a flow
 * it knows nothing of to the same exit; one that takes no new flows is passed over, the rest stay.
 */
static void add_service(struct object_list *ret)
{
	struct ipvs_service_object *service = &object_list_add(ret, OBJECT_IPVS_SERVICE)->service;

	service->fwmark = FWMARK_NEW;
	snprintf(service->scheduler, sizeof(service->scheduler), "mh");
	service->flags = IP_VS_SVC_F_SCHED1 | IP_VS_SVC_F_SCHED2;
}

/* An exit that takes no new flows keeps its place with weight 0. Were it taken out, IPVS would expire
 * its connections, and with each its conntrack entry (ip_vs_conn_expire(), ip_vs_nfct.c), which says
 * whose the flow is: the flow's next packet would be a new one's first and leave by another exit. */
static void add_destination(const struct model_exit *exit, struct object_list *ret)
{
	struct ipvs_destination_object *destination;

	if (exit->state == EXIT_UNKNOWN)
		return;
	destination = &object_list_add(ret, OBJECT_IPVS_DESTINATION)->destination;
	destination->fwmark = FWMARK_NEW;
	destination->addr = exit->addr;
	destination->weight = exit->state == EXIT_UP ? exit->weight : 0;
	destination->gatewaying = true;
}

void desired_objects(const struct router_config *config, const struct model *model,
		     struct object_list *ret)
{
	add_links(config, ret);
	for (size_t i = 0; i < model->n_exits; i++)
		add_exit_routes(config, model, i, ret);
	add_new_route(ret);
	add_rule(PREF_SUBNET, 0, &config->network.subnet, RT_TABLE_MAIN, ret);
	add_rule(PREF_NEW, FWMARK_NEW, NULL, TABLE_NEW, ret);
	for (size_t i = 0; i < model->n_exits; i++)
		add_rule(PREF_EXIT(i), EXIT_MARK(i), NULL, TABLE_EXIT(i), ret);
	add_service(ret);
	for (size_t i = 0; i < model->n_exits; i++)
		add_destination(&model->exits[i], ret);
}

/* --- ruleset --- */

/* Which exit an address is, and what becomes of a packet by its flow's mark. */
static void ruleset_exits(const struct model *model, struct strbuf *b)
{
	char text[ADDR_STRLEN];

	strbuf_add(b, "\tmap exits {\n\t\ttype ipv4_addr : mark\n\t\telements = {");
	for (size_t i = 0; i < model->n_exits; i++)
		strbuf_add(b, "%s %s : %u", i ? "," : "", addr_format(&model->exits[i].addr, text),
			   EXIT_MARK(i));
	strbuf_add(b, " }\n\t}\n\tmap flows {\n\t\ttype mark : verdict\n\t\telements = {");
	for (size_t i = 0; i < model->n_exits; i++)
		strbuf_add(b, "%s %u : goto %s", i ? "," : "", EXIT_MARK(i),
			   model->exits[i].state == EXIT_DOWN ? "refused" : "established");
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

/* What IPVS does not schedule gets its exit from a hash over client and destination. */
static void ruleset_other_protocols(const struct model *model, struct strbuf *b)
{
	size_t up = model_exits_up(model), n = 0;

	if (up > 1)
		strbuf_add(b, "\t\tct mark set jhash ip saddr . ip daddr mod %zu map {", up);
	for (size_t i = 0; i < model->n_exits; i++) {
		if (!model_exit_takes_flows(&model->exits[i]))
			continue;
		if (up == 1)
			strbuf_add(b, "\t\tct mark set %u\n", EXIT_MARK(i));
		else
			strbuf_add(b, "%s %zu : %u", n ? "," : "", n, EXIT_MARK(i));
		n++;
	}
	if (up > 1)
		strbuf_add(b, " }\n");
	strbuf_add(b, "\t\tmeta mark set ct mark\n");
}

/* Refusals: of the ICMP codes that mean ENETUNREACH and EHOSTUNREACH these two reach UDP sockets as
 * well; the plain ones are hints that only TCP heeds (net/ipv4/icmp.c, icmp_err_convert). */
#define REJECT_NO_EXIT	 "reject with icmp type net-prohibited"
#define REJECT_DEAD_EXIT "reject with icmp type host-prohibited"

/* What becomes of a new flow. Where no exit takes any, it is refused at once, unless a pair of
 * gateways is just taking over from one another: then its packet is dropped, and what the client
 * sends again a second later finds the exit up, or down. */
static void ruleset_new(const struct model *model, struct strbuf *b)
{
	if (model_exits_up(model)) {
		strbuf_add(b, "\t\tmeta l4proto { tcp, udp, sctp } meta mark set %u accept\n",
			   FWMARK_NEW);
		ruleset_other_protocols(model, b);
	} else if (model_exit_hoped_for(model)) {
		strbuf_add(b, "\t\tdrop\n");
	} else {
		strbuf_add(b, "\t\t" REJECT_NO_EXIT "\n");
	}
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
		   "\t\ttype filter hook prerouting priority mangle\n"
		   "\t\tiifname != \"" VIP_DEVICE "\" accept\n"
		   "\t\tmeta pkttype != host drop\n"
		   "\t\tip daddr %s accept\n"
		   "\t\tct state invalid drop\n"
		   "\t\tip saddr != %s ct direction original drop\n"
		   "\t\tip saddr != %s accept\n"
		   "\t\tip daddr @inside reject with icmp type admin-prohibited\n"
		   "\t\tct mark vmap @flows\n"
		   "\t\tct mark != 0 drop\n",
		   addr_format(&config->vip, vip), clients, clients);
	ruleset_new(model, b);
	strbuf_add(b, "\t}\n"
		      "\tchain established {\n"
		      "\t\tmeta mark set ct mark\n"
		      "\t}\n"
		      "\tchain refused {\n"
		      "\t\tmeta l4proto tcp reject with tcp reset\n"
		      "\t\t" REJECT_DEAD_EXIT "\n"
		      "\t}\n");
}

/* Priority 110 is behind IPVS (net/netfilter/ipvs/ip_vs_core.c): what it has not taken must not
 * reach a socket of this pod. Forwarding is for the VIP's packets alone. */
static void ruleset_ways(const struct router_config *config, struct strbuf *b)
{
	const char *interface = config->network.interface;

	strbuf_add(
		b,
		"\tchain input {\n"
		"\t\ttype filter hook input priority 110\n"
		"\t\tmeta mark %u drop\n"
		"\t}\n"
		"\tchain forward {\n"
		"\t\ttype filter hook forward priority filter; policy drop\n"
		"\t\tiifname \"" VIP_DEVICE "\" oifname \"%s\" accept\n"
		"\t}\n"
		"\tchain postrouting {\n"
		"\t\ttype filter hook postrouting priority mangle\n"
		"\t\toifname \"%s\" meta mark %u ct mark 0 ct mark set rt ip nexthop map @exits\n"
		"\t}\n",
		FWMARK_NEW, interface, interface, FWMARK_NEW);
}

void desired_ruleset(const struct router_config *config, const struct model *model,
		     struct strbuf *b)
{
	strbuf_add(b, "table ip byway_router\n"
		      "delete table ip byway_router\n"
		      "table ip byway_router {\n");
	ruleset_exits(model, b);
	ruleset_inside(config, b);
	ruleset_gate(model, b);
	ruleset_prerouting(config, model, b);
	ruleset_ways(config, b);
	strbuf_add(b, "}\n"
		      "table ip6 byway_router\n"
		      "delete table ip6 byway_router\n"
		      "table ip6 byway_router {\n"
		      "\tchain forward {\n"
		      "\t\ttype filter hook forward priority filter; policy drop\n"
		      "\t}\n"
		      "}\n");
}
