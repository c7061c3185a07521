/* Theory of operation
 *
 * A client's default route stays the primary network's. What must not go there is covered by longer
 * prefixes, so that no order in which things happen, and no tool that replaces the default route,
 * opens a way out: the split routes by the VIP as long as the interface lives, and the same
 * prefixes as `unreachable` with a worse metric from before the interface is up until the namespace
 * ends.
 *
 * The global space of IPv6 is one `unreachable` route, because the network carries IPv4 alone.
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

static void add_unreachable(struct attachment *a, const struct prefix *dst)
{
	add_route(a, &(struct attach_route){.dst = *dst,
					    .type = ROUTE_UNREACHABLE,
					    .metric = ROLE_UNREACHABLE_METRIC});
}

void role_routes(const struct netconf *c, struct attachment *a)
{
	static const struct prefix everything = {.addr.family = AF_INET};
	auto_free struct prefix *split = NULL;
	struct prefix global;
	size_t n;

	if (c->role != ROLE_CLIENT)
		return;
	n = prefix_complement(&everything, c->intranet.items, c->intranet.n, &split);
	for (size_t i = 0; i < n; i++) {
		add_route(a, &(struct attach_route){
				     .dst = split[i], .type = ROUTE_UNICAST, .via = c->vip});
		add_unreachable(a, &split[i]);
	}
	if (prefix_parse("2000::/3", &global) < 0)
		abort();
	add_unreachable(a, &global);
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

/* "be_liberal": a flow taken over in its middle has a window that nobody here has seen. */
static const struct attach_sysctl forward_sysctls[] = {
	{"net/ipv4/ip_forward", "1"},
	{"net/netfilter/nf_conntrack_tcp_be_liberal", "1"},
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
