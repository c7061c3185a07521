/* Theory of operation
 *
 * All requests for the pod's end go out in one batch, which the kernel carries out in order, each
 * for itself. Before that, one look at the routes of our protocol in the pod: there are none, but
 * where the namespace had an interface of ours before, or has another one now.
 *
 * The guard's table is asked before the main one: destinations that it throws fall through to main,
 * everything else is decided here, by the interface or, when that is gone, by an unreachable route.
 * So no route in main, however specific and whoever adds it, is a way around it. A route by the
 * interface to the network itself is in the table too, because the gateway of the default route
 * must be found there. Routes to nowhere have the scope of the universe, which the kernel skips
 * when it looks for a gateway: others can still add routes by gateways of their own
 * (net/ipv4/fib_semantics.c, fib_check_nh_v4_gw; fib_trie.c, fib_table_lookup).
 */
#include "attach.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "internal.h"
#include "mem.h"
#include "seal.h"

/* --- messages --- */

static struct nl_msg *addr_message(const struct attachment *a, unsigned int index)
{
	const struct ifaddrmsg header = {.ifa_family = (uint8_t)a->addr.addr.family,
					 .ifa_prefixlen = a->addr.len,
					 .ifa_index = index};
	struct nl_msg *msg =
		msg_new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	const struct addr last = prefix_range(&a->addr).last;

	msg_put_addr(msg, IFA_LOCAL, &a->addr.addr);
	msg_put_addr(msg, IFA_ADDRESS, &a->addr.addr);
	if (a->addr.len < 31)
		msg_put_addr(msg, IFA_BROADCAST, &last);
	return msg;
}

static struct nl_msg *up_message(unsigned int index)
{
	const struct ifinfomsg header = {
		.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	return msg_new(RTM_SETLINK, 0, &header, sizeof(header));
}

static uint8_t route_kind(enum route_type type)
{
	switch (type) {
	case ROUTE_UNICAST:
		return RTN_UNICAST;
	case ROUTE_LOCAL:
		return RTN_LOCAL;
	case ROUTE_UNREACHABLE:
		return RTN_UNREACHABLE;
	case ROUTE_THROW:
		return RTN_THROW;
	}
	return RTN_UNSPEC;
}

static struct nl_msg *route_message(const struct attach_route *route, int type, unsigned int index)
{
	bool unicast = route->type == ROUTE_UNICAST, on_link = route->via.family == AF_UNSPEC;
	bool overtakes = unicast && !route->table;
	const struct rtmsg header = {
		.rtm_family = (uint8_t)route->dst.addr.family,
		.rtm_dst_len = route->dst.len,
		.rtm_protocol = OBJECT_PROTOCOL,
		.rtm_scope = unicast && on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = route_kind(route->type),
	};
	/* Without NLM_F_EXCL a route goes before others of its destination (ip route prepend). */
	int flags = type != RTM_NEWROUTE ? 0 : overtakes ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_EXCL;
	struct nl_msg *msg = msg_new(type, flags, &header, sizeof(header));

	msg_put_u32(msg, RTA_TABLE, route->table ? route->table : RT_TABLE_MAIN);
	msg_put_addr(msg, RTA_DST, &route->dst.addr);
	if (route->metric)
		msg_put_u32(msg, RTA_PRIORITY, route->metric);
	if (unicast)
		msg_put_u32(msg, RTA_OIF, index);
	if (unicast && !on_link)
		msg_put_addr(msg, RTA_GATEWAY, &route->via);
	return msg;
}

/* For all packets. */
static struct nl_msg *rule_message(const struct attach_guard *guard, uint8_t family, int type)
{
	const struct fib_rule_hdr header = {.family = family, .action = FR_ACT_TO_TBL};
	int flags = type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nl_msg *msg = msg_new(type, flags, &header, sizeof(header));

	msg_put_u32(msg, FRA_PRIORITY, guard->pref);
	msg_put_u32(msg, FRA_TABLE, guard->table);
	msg_put_u8(msg, FRA_PROTOCOL, OBJECT_PROTOCOL);
	return msg;
}

static const uint8_t families[] = {AF_INET, AF_INET6};

/* --- the batch --- */

/* A request on its way to the kernel. */
struct request {
	struct nl_msg *msg;
	const char *what;
	const struct prefix *dst; /* of a route, else NULL */
	uint8_t family;
	int as_good; /* an error that is as good as success, 0: none */
	bool *made;  /* set where the kernel carried it out, or NULL */
};

/* Requests are sent when the batch is full and at the end. */
struct batch {
	struct nl_sock *sk;
	struct request requests[NET_BATCH_MAX];
	size_t n;
};

static void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		nlmsg_free(b->requests[i].msg);
	b->n = 0;
}
#define auto_batch __attribute__((cleanup(batch_clear)))

/* Is the failure of this request no failure? What the end of the interface does not take along may
 * be there already, or gone, and the kernel may have no IPv6. */
static bool tolerable(const struct request *r, int code)
{
	if (!r->as_good)
		return false;
	return code == r->as_good ||
	       (r->family == AF_INET6 && (code == -EOPNOTSUPP || code == -EAFNOSUPPORT));
}

static int batch_send(struct batch *b, struct err *err)
{
	struct nl_msg *msgs[NET_BATCH_MAX];
	struct net_ack acks[NET_BATCH_MAX] = {0};
	int failed = 0, r;

	for (size_t i = 0; i < b->n; i++)
		msgs[i] = b->requests[i].msg;
	r = net_talk_batch(b->sk, msgs, b->n, acks, err);
	for (size_t i = 0; r == 0 && i < b->n; i++) {
		const struct request *q = &b->requests[i];
		char dst[PREFIX_STRLEN];

		if (q->made && !acks[i].code)
			*q->made = true;
		if (failed || !acks[i].code || tolerable(q, acks[i].code))
			continue;
		failed = net_ack_error(&acks[i], err);
		err_wrap(err, "%s%s", q->what, q->dst ? prefix_format(q->dst, dst) : "");
	}
	batch_clear(b);
	return r < 0 ? r : failed;
}

static int batch_add(struct batch *b, const struct request *request, struct err *err)
{
	int r = b->n == NET_BATCH_MAX ? batch_send(b, err) : 0;

	if (r < 0) {
		nlmsg_free(request->msg);
		return r;
	}
	b->requests[b->n++] = *request;
	return 0;
}

/* A route to nowhere is nobody's, and the network itself may be reached by another interface. */
static bool by_other_is_as_good(const struct attach_route *route)
{
	return route->type != ROUTE_UNICAST || !route->way_out;
}

static int batch_add_route(struct batch *b, struct attach_route *route, unsigned int index,
			   struct err *err)
{
	return batch_add(b,
			 &(struct request){
				 .msg = route_message(route, RTM_NEWROUTE, index),
				 .what = "route ",
				 .dst = &route->dst,
				 .family = (uint8_t)route->dst.addr.family,
				 .as_good = by_other_is_as_good(route) ? -EEXIST : 0,
				 .made = &route->made,
			 },
			 err);
}

/* Those by the interface, or those to nowhere. */
static int batch_add_routes(struct batch *b, struct attachment *a, bool unicast, unsigned int index,
			    struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->n_routes; i++) {
		if ((a->routes[i].type == ROUTE_UNICAST) == unicast)
			r = batch_add_route(b, &a->routes[i], index, err);
	}
	return r;
}

static int batch_add_rules(struct batch *b, struct attachment *a, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && a->guard.table && i < array_len(families); i++)
		r = batch_add(b,
			      &(struct request){
				      .msg = rule_message(&a->guard, families[i], RTM_NEWRULE),
				      .what = "rule of the guard",
				      .family = families[i],
				      .as_good = -EEXIST,
				      .made = &a->guard.made[i],
			      },
			      err);
	return r;
}

static int batch_add_stale(struct batch *b, const struct attach_route *stale, size_t n,
			   struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = batch_add(b,
			      &(struct request){
				      .msg = route_message(&stale[i], RTM_DELROUTE, 0),
				      .what = "old route ",
				      .dst = &stale[i].dst,
				      .as_good = -ESRCH,
			      },
			      err);
	return r;
}

/* --- what is there already --- */

/* What routes of our protocol in the pod tell. */
struct earlier {
	bool has_way_out;	    /* another interface has it */
	struct attach_route *stale; /* to nowhere, and not wanted; owned */
	size_t n_stale;
};

static void earlier_free(struct earlier *e)
{
	free(e->stale);
}
#define auto_earlier __attribute__((cleanup(earlier_free)))

static bool is_wanted(const struct attachment *a, const struct attach_route *route)
{
	for (size_t i = 0; i < a->n_routes; i++) {
		const struct attach_route *w = &a->routes[i];

		if (w->type == route->type && w->table == route->table &&
		    w->metric == route->metric && prefix_equal(&w->dst, &route->dst))
			return true;
	}
	return false;
}

struct look {
	const struct net *pod;
	const struct attachment *a;
	struct earlier *ret;
};

static int see_route(struct nlmsghdr *hdr, void *data, struct err *err)
{
	const struct look *l = data;
	struct earlier *e = l->ret;
	struct attach_route route;
	struct object object;
	int r = wire_decode(l->pod, hdr, &object, err);

	if (r <= 0 || !object.ours)
		return r < 0 ? r : 0;
	route = (struct attach_route){
		.dst = object.route.dst,
		.type = object.route.type,
		.table = object.route.table == RT_TABLE_MAIN ? 0 : object.route.table,
		.metric = object.route.metric,
	};
	if (route.type == ROUTE_UNICAST) {
		e->has_way_out |= route.table == l->a->guard.table && !route.dst.len &&
				  strcmp(object.route.dev, l->a->ifname) != 0;
	} else if (!is_wanted(l->a, &route)) {
		e->stale = xreallocarray(e->stale, e->n_stale + 1, sizeof(*e->stale));
		e->stale[e->n_stale++] = route;
	}
	return 0;
}

/* The kernel picks ours out of all tables (NETLINK_GET_STRICT_CHK). */
static int look(struct nl_sock *sk, const struct attachment *a, struct earlier *ret,
		struct err *err)
{
	const struct net pod = {.netns = a->pod_netns, .underlay = -1, .rtnl = sk};
	const struct rtmsg header = {.rtm_protocol = OBJECT_PROTOCOL};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETROUTE, NLM_F_DUMP, &header, sizeof(header));
	struct look l = {.pod = &pod, .a = a, .ret = ret};
	const int on = 1;

	if (setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) <
	    0)
		return err_errno(err, -errno, "netlink socket options");
	if (net_query(sk, msg, see_route, &l, err) < 0)
		return err_wrap(err, "listing routes of ours");
	return 0;
}

static void drop_way_out(struct attachment *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_routes; i++) {
		if (!a->routes[i].way_out)
			a->routes[n++] = a->routes[i];
	}
	a->n_routes = n;
	a->guard.table = 0;
}

static int adapt(struct nl_sock *sk, struct attachment *a, struct earlier *ret, struct err *err)
{
	int r = a->guard.table ? look(sk, a, ret, err) : 0;

	if (r == 0 && ret->has_way_out) {
		drop_way_out(a);
		ret->n_stale = 0; /* the other's */
	}
	return r;
}

int attach_adapt(struct attachment *a, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	auto_earlier struct earlier earlier = {0};
	int r = net_socket(NETLINK_ROUTE, a->pod_netns, &sk, err);

	return r < 0 ? r : adapt(sk, a, &earlier, err);
}

/* --- configuring --- */

static int seal(struct attachment *a, struct err *err)
{
	if (!a->guard.table)
		return 0;
	return seal_make(a->pod_netns, ATTACH_POD_GROUP, a->guard.allowed, a->guard.n_allowed,
			 &a->guard.sealed, err);
}

static int configure(struct nl_sock *sk, struct attachment *a, unsigned int index,
		     const struct earlier *earlier, struct err *err)
{
	auto_batch struct batch b = {.sk = sk};
	int r = 0;

	if (a->addr.addr.family != AF_UNSPEC)
		r = batch_add(&b,
			      &(struct request){.msg = addr_message(a, index), .what = "address"},
			      err);
	if (r == 0)
		r = batch_add_stale(&b, earlier->stale, earlier->n_stale, err);
	if (r == 0)
		r = batch_add_routes(&b, a, false, index, err);
	if (r == 0)
		r = batch_add_rules(&b, a, err);
	if (r == 0)
		r = batch_add(&b, &(struct request){.msg = up_message(index), .what = "link up"},
			      err);
	if (r == 0)
		r = batch_add_routes(&b, a, true, index, err);
	return r < 0 ? r : batch_send(&b, err);
}

int attach_configure(struct attachment *a, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	auto_earlier struct earlier earlier = {0};
	unsigned int index;
	int r = net_socket(NETLINK_ROUTE, a->pod_netns, &sk, err);

	if (r < 0)
		return r;
	index = attach_link_index(sk, a->ifname, NULL);
	if (!index)
		return err_set(err, -ENODEV, "%s has vanished", a->ifname);
	r = adapt(sk, a, &earlier, err);
	if (r == 0)
		r = configure(sk, a, index, &earlier, err);
	return r < 0 ? r : seal(a, err);
}

/* --- undoing --- */

static void undo(struct nl_sock *sk, struct nl_msg *msg, bool *made)
{
	struct err ignored;

	net_talk(sk, msg, &ignored);
	nlmsg_free(msg);
	*made = false;
}

void attach_pod_undo(struct attachment *a)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	struct err ignored;

	if (net_socket(NETLINK_ROUTE, a->pod_netns, &sk, &ignored) < 0)
		return;
	for (size_t i = 0; i < array_len(families); i++) {
		if (a->guard.made[i])
			undo(sk, rule_message(&a->guard, families[i], RTM_DELRULE),
			     &a->guard.made[i]);
	}
	for (size_t i = 0; i < a->n_routes; i++) {
		struct attach_route *route = &a->routes[i];

		if (route->made && route->type != ROUTE_UNICAST)
			undo(sk, route_message(route, RTM_DELROUTE, 0), &route->made);
	}
	if (a->guard.sealed)
		seal_remove(a->pod_netns, &ignored);
	a->guard.sealed = false;
}
