/* Theory of operation
 *
 * A client's default route in the main table stays the primary network's. What must not go there is
 * covered by longer prefixes, the *split*: the complement of the intranet, by the VIP. The split is
 * what users see, what the result reports and what sandboxes with a network stack of their own
 * (gVisor, Kata) copy. IPv6's global space without the intranet is unreachable, because the network
 * carries IPv4 alone.
 *
 * The split is not what keeps the pod's packets in: a longer prefix by another interface would be a
 * hole. That is the guard (attach_pod.c): the same decision once more, in a table of its own before
 * the main one, and the seal (seal.c) behind all tables. Both stay until the namespace ends, so
 * that nothing that outlives the interface finds another way.
 *
 * A pod with a second network of ours keeps the way out by the first; the second is reached, and
 * nothing beyond it (attach_adapt()).
 */
#include "role.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "mem.h"

static void add_route(struct attachment *a, const struct attach_route *route)
{
	a->routes = xreallocarray(a->routes, a->n_routes + 1, sizeof(*a->routes));
	a->routes[a->n_routes++] = *route;
}

/* In the main table, which others may copy, and the guard's, which others do not change. */
static void add_unreachable(struct attachment *a, const struct prefix *dst)
{
	struct attach_route route = {.dst = *dst,
				     .type = ROUTE_UNREACHABLE,
				     .metric = ROLE_UNREACHABLE_METRIC,
				     .way_out = true};

	if (dst->addr.family == AF_INET6)
		add_route(a, &route);
	route.table = ROLE_GUARD_TABLE;
	add_route(a, &route);
}

static void add_guard_route(struct attachment *a, const struct prefix *dst, enum route_type type,
			    const struct addr *via, bool way_out)
{
	add_route(a, &(struct attach_route){.dst = prefix_network(dst),
					    .type = type,
					    .via = via ? *via : (struct addr){0},
					    .table = ROLE_GUARD_TABLE,
					    .way_out = way_out});
}

static void allow(struct attachment *a, const struct prefix *list, size_t n)
{
	struct attach_guard *g = &a->guard;

	g->allowed = xreallocarray(g->allowed, g->n_allowed + n, sizeof(*g->allowed));
	for (size_t i = 0; i < n; i++)
		g->allowed[g->n_allowed++] = list[i];
}

static void add_ipv4(const struct netconf *c, struct attachment *a)
{
	static const struct prefix everything = {.addr.family = AF_INET};
	const struct prefix *intranet = c->intranet.items;
	auto_free struct prefix *split = NULL;
	size_t n = prefix_complement(&everything, intranet, c->intranet.n, &split);

	for (size_t i = 0; i < n; i++)
		add_route(a, &(struct attach_route){.dst = split[i],
						    .type = ROUTE_UNICAST,
						    .via = c->vip,
						    .way_out = true});
	add_guard_route(a, &c->subnet, ROUTE_UNICAST, NULL, false);
	add_guard_route(a, &everything, ROUTE_UNICAST, &c->vip, true);
	add_unreachable(a, &everything);
	for (size_t i = 0; i < c->intranet.n; i++) {
		if (intranet[i].addr.family == AF_INET)
			add_guard_route(a, &intranet[i], ROUTE_THROW, NULL, true);
	}
}

static void add_ipv6(const struct netconf *c, struct attachment *a)
{
	static const struct prefix everything = {.addr.family = AF_INET6};
	auto_free struct prefix *refused = NULL, *local = NULL;
	struct prefix global;
	size_t n;

	if (prefix_parse("2000::/3", &global) < 0)
		abort();
	n = prefix_complement(&global, c->intranet.items, c->intranet.n, &refused);
	for (size_t i = 0; i < n; i++)
		add_unreachable(a, &refused[i]);
	n = prefix_complement(&everything, &global, 1, &local);
	allow(a, local, n);
}

void role_routes(const struct netconf *c, struct attachment *a)
{
	if (c->role != ROLE_CLIENT)
		return;
	a->guard.pref = ROLE_GUARD_PREF;
	a->guard.table = ROLE_GUARD_TABLE;
	add_ipv4(c, a);
	add_ipv6(c, a);
	allow(a, c->intranet.items, c->intranet.n);
}

/* A setting of an interface holds where it, or "all", has the greater value (rp_filter, arp_*), so
 * all three are written: "default" is what macvlans made later begin with. */
static const struct {
	const char *name, *value;
} interface_sysctls[] = {
	{"rp_filter", "0"}, /* packets arrive by one way and leave by another */
	{"send_redirects", "0"},
	{"arp_ignore", "1"}, /* one pod, several addresses on one network: each on its own device */
	{"arp_announce", "2"},
	{"arp_notify", "1"}, /* a floating address is announced when its device comes up */
};

/* "be_liberal": a flow taken over in its middle has a window that nobody here has seen. "time_wait": a
 * client uses the port of a closed connection again after 60 s. An entry that lasted longer (120 s)
 * would take the new connection's SYN for the old one's, on a gateway by the exit that one had
 * (nf_conntrack_proto_tcp.c: only where the other side has closed it does a SYN begin anew).
 * "udp_timeout_stream": conntrackd tells the peer of changes, and that a conversation goes on is none. So
 * the peer's copy ends that long after the conversation began, and takes the original along: at every
 * ten minutes instead of every two (120 s), and what RFC 4787 recommends (REQ-5: five or more). */
static const struct attach_sysctl forward_sysctls[] = {
	{"net/ipv4/ip_forward", "1"},
	{"net/netfilter/nf_conntrack_tcp_be_liberal", "1"},
	{"net/netfilter/nf_conntrack_tcp_timeout_time_wait", "10"},
	{"net/netfilter/nf_conntrack_udp_timeout_stream", "600"},
};

/* A router's refusals must come at once, however many: the kernel's limit is one ICMP error a
 * second for each client (icmp_ratelimit), and whoever is not told retries for minutes. */
static const struct attach_sysctl router_sysctls[] = {
	{"net/ipv4/icmp_ratemask", "0"},
};

/* What the kernel itself answers (RST, ICMP) leaves by the tunnel of the packet it answers. */
static const struct attach_sysctl gateway_sysctls[] = {
	{"net/ipv4/fwmark_reflect", "1"},
};

static size_t add_sysctls(struct attach_sysctl *list, size_t n, const struct attach_sysctl *more,
			  size_t n_more)
{
	for (size_t i = 0; i < n_more; i++) {
		assert(n < ROLE_SYSCTLS_MAX);
		list[n++] = more[i];
	}
	return n;
}

static size_t add_interface_sysctls(struct attach_sysctl *list, size_t n, const char *ifname)
{
	struct attach_sysctl s;

	for (size_t i = 0; i < array_len(interface_sysctls); i++) {
		snprintf(s.key, sizeof(s.key), "net/ipv4/conf/%s/%s", ifname,
			 interface_sysctls[i].name);
		snprintf(s.value, sizeof(s.value), "%s", interface_sysctls[i].value);
		n = add_sysctls(list, n, &s, 1);
	}
	return n;
}

size_t role_sysctls(enum cni_role role, const char *ifname,
		    struct attach_sysctl list[static ROLE_SYSCTLS_MAX])
{
	size_t n = 0;

	if (role == ROLE_CLIENT || role == ROLE_SYNC)
		return 0;
	n = add_sysctls(list, n, forward_sysctls, array_len(forward_sysctls));
	n = add_interface_sysctls(list, n, "all");
	n = add_interface_sysctls(list, n, "default");
	n = add_interface_sysctls(list, n, ifname);
	if (role == ROLE_ROUTER)
		n = add_sysctls(list, n, router_sysctls, array_len(router_sysctls));
	if (role == ROLE_GATEWAY)
		n = add_sysctls(list, n, gateway_sysctls, array_len(gateway_sysctls));
	return n;
}
