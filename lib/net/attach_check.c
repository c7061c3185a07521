/* Does the kernel still have what was made? Both ends of the pair are looked at for themselves and
 * must be ends of one pair: a link of the right name may be somebody else's. Addresses and routes
 * of the pod are listed, which are few; others than the wanted ones are nobody's fault. */
#include "attach.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "internal.h"
#include "isolation.h"
#include "seal.h"

/* What the kernel takes for an IPv6 route without one (IP6_RT_PRIO_USER). */
#define IPV6_METRIC 1024

/* A namespace for the decoders of net.h, which ask it for the names of interfaces. */
static int view_open(int netns_fd, struct net *ret, struct err *err)
{
	*ret = (struct net){.netns = netns_fd, .underlay = -1};
	return net_socket(NETLINK_ROUTE, netns_fd, &ret->rtnl, err);
}

static void view_close(struct net *view)
{
	if (view->rtnl)
		nl_socket_free(view->rtnl);
}
#define auto_view __attribute__((cleanup(view_close)))

struct link_view {
	const struct net *net;
	struct link_object link;
	unsigned int index;
	unsigned int peer;  /* index of a veth's other end, in its own namespace */
	unsigned int group; /* IFLA_GROUP */
	bool alone; /* a port that sends to no isolated one, learns nothing, is not flooded */
};

/* What attach_create() sets for a client's port. */
static bool is_alone(struct nlattr *info)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1], *port[IFLA_BRPORT_MAX + 1];
	static const struct {
		int attr;
		uint8_t value;
	} wanted[] = {{IFLA_BRPORT_ISOLATED, 1},
		      {IFLA_BRPORT_LEARNING, 0},
		      {IFLA_BRPORT_UNICAST_FLOOD, 0},
		      {IFLA_BRPORT_MCAST_FLOOD, 0}};

	if (nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0 || !tb[IFLA_INFO_SLAVE_DATA] ||
	    nla_parse_nested(port, IFLA_BRPORT_MAX, tb[IFLA_INFO_SLAVE_DATA], NULL) < 0)
		return false;
	for (size_t i = 0; i < array_len(wanted); i++) {
		const struct nlattr *attr = port[wanted[i].attr];

		if (!attr || nla_get_u8(attr) != wanted[i].value)
			return false;
	}
	return true;
}

static int link_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct link_view *v = data;
	struct nlattr *tb[IFLA_MAX + 1];
	struct object object;
	int r = msg_parse(hdr, sizeof(struct ifinfomsg), tb, IFLA_MAX, err);

	if (r == 0)
		r = link_decode(v->net, hdr, &object, err);
	if (r < 0)
		return r;
	v->link = object.link;
	v->index = (unsigned int)((const struct ifinfomsg *)nlmsg_data(hdr))->ifi_index;
	v->peer = tb[IFLA_LINK] ? nla_get_u32(tb[IFLA_LINK]) : 0;
	v->group = tb[IFLA_GROUP] ? nla_get_u32(tb[IFLA_GROUP]) : 0;
	v->alone = tb[IFLA_LINKINFO] && is_alone(tb[IFLA_LINKINFO]);
	return 0;
}

/* -ENODEV where there is none of that name. */
static int link_look(const struct net *net, const char *name, struct link_view *ret,
		     struct err *err)
{
	const struct ifinfomsg header = {0};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETLINK, 0, &header, sizeof(header));
	int r;

	*ret = (struct link_view){.net = net};
	msg_put_string(msg, IFLA_IFNAME, name);
	r = net_query(net->rtnl, msg, link_answer, ret, err);
	return r < 0 ? err_wrap(err, "interface %s", name) : 0;
}

/* --- the two ends --- */

static int check_port(const struct attachment *want, struct link_view *port, struct err *err)
{
	auto_view struct net view = {0};
	int r = view_open(want->bridge_netns, &view, err);

	if (r == 0)
		r = link_look(&view, want->port, port, err);
	if (r == -ENODEV)
		return err_set(err, r, "the port %s of bridge %s is missing", want->port,
			       want->bridge);
	if (r < 0)
		return r;
	if (!attach_owns(want, port->link.alias))
		return err_set(err, -ESTALE, "port %s is not ours: its alias is \"%.100s\"",
			       want->port, port->link.alias);
	if (strcmp(port->link.master, want->bridge) != 0)
		return err_set(err, -ESTALE, "port %s is not on bridge %s", want->port,
			       want->bridge);
	if (!port->link.up)
		return err_set(err, -ENETDOWN, "port %s is down", want->port);
	return 0;
}

/* The bridge does not learn where a client's MAC is: it has been told. */
static int check_fdb(const struct attachment *want, const struct link_view *port, struct err *err)
{
	const struct ndmsg header = {
		.ndm_family = AF_BRIDGE, .ndm_ifindex = (int)port->index, .ndm_flags = NTF_MASTER};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETNEIGH, 0, &header, sizeof(header));
	auto_nl_sock struct nl_sock *sk = NULL;
	char mac[MAC_STRLEN];
	int r = net_socket(NETLINK_ROUTE, want->bridge_netns, &sk, err);

	if (r < 0)
		return r;
	msg_put(msg, NDA_LLADDR, want->mac.bytes, sizeof(want->mac.bytes));
	if (net_query(sk, msg, NULL, NULL, err) < 0)
		return err_wrap(err, "port %s: the bridge's entry for MAC %s", want->port,
				mac_format(&want->mac, mac));
	return 0;
}

static int check_isolation(const struct attachment *want, const struct link_view *port,
			   struct err *err)
{
	struct isolation_entry entry = {.mac = want->mac, .addr = want->addr.addr};
	int r;

	if (!want->client)
		return 0;
	if (port->group != ISOLATION_GROUP || !port->alone)
		return err_set(err, -ESTALE, "port %s is not isolated", want->port);
	memcpy(entry.port, want->port, sizeof(entry.port));
	r = isolation_check(want->bridge_netns, &entry, err);
	return r < 0 ? r : check_fdb(want, port, err);
}

static int check_link(const struct attachment *want, const struct net *pod,
		      const struct link_view *port, struct err *err)
{
	static const struct mac any;
	char is[MAC_STRLEN], wanted[MAC_STRLEN];
	struct link_view link = {0};
	int r = link_look(pod, want->ifname, &link, err);

	if (r == -ENODEV)
		return err_set(err, r, "%s is missing in the pod", want->ifname);
	if (r < 0)
		return r;
	if (link.peer != port->index || port->peer != link.index)
		return err_set(err, -ESTALE, "%s is not the other end of port %s", want->ifname,
			       want->port);
	if (!mac_equal(&want->mac, &any) && !mac_equal(&want->mac, &link.link.mac))
		return err_set(err, -ESTALE, "%s has MAC %s instead of %s", want->ifname,
			       mac_format(&link.link.mac, is), mac_format(&want->mac, wanted));
	if (want->mtu && link.link.mtu != want->mtu)
		return err_set(err, -ESTALE, "%s has MTU %u instead of %u", want->ifname,
			       link.link.mtu, want->mtu);
	if (!link.link.up)
		return err_set(err, -ENETDOWN, "%s is down", want->ifname);
	return 0;
}

/* --- addresses and routes --- */

static void want_address(const struct attachment *a, struct object_list *list)
{
	struct address_object *address;

	if (a->addr.addr.family == AF_UNSPEC)
		return;
	address = &object_list_add(list, OBJECT_ADDRESS)->address;
	memcpy(address->dev, a->ifname, IFNAMSIZ);
	address->prefix = a->addr;
}

static void want_route(const struct attachment *a, const struct attach_route *wanted,
		       struct object_list *list)
{
	struct route_object *route = &object_list_add(list, OBJECT_ROUTE)->route;

	route->table = wanted->table ? wanted->table : RT_TABLE_MAIN;
	route->dst = wanted->dst;
	route->type = wanted->type;
	route->via = wanted->via;
	route->metric = wanted->metric;
	if (!route->metric && route->dst.addr.family == AF_INET6)
		route->metric = IPV6_METRIC;
	if (wanted->type == ROUTE_UNICAST)
		memcpy(route->dev, a->ifname, IFNAMSIZ);
}

/* The guard's rules: for all packets of a family. */
static void want_rule(const struct attachment *a, sa_family_t family, struct object_list *list)
{
	struct rule_object *rule = &object_list_add(list, OBJECT_RULE)->rule;

	rule->pref = a->guard.pref;
	rule->table = a->guard.table;
	if (family == AF_INET6)
		rule->from.addr.family = AF_INET6;
}

/* Where the kernel has no IPv6, attach_configure() left all of it out. */
static bool has_ipv6(void)
{
	auto_close int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0;
}

static void want_all(const struct attachment *a, struct object_list *list)
{
	bool ipv6 = has_ipv6();

	want_address(a, list);
	if (a->guard.table)
		want_rule(a, AF_INET, list);
	if (a->guard.table && ipv6)
		want_rule(a, AF_INET6, list);
	for (size_t i = 0; i < a->n_routes; i++) {
		if (ipv6 || a->routes[i].dst.addr.family != AF_INET6)
			want_route(a, &a->routes[i], list);
	}
}

struct pod_view {
	const struct net *net;
	struct object_index wanted;
	struct object_list seen; /* those in the place of a wanted one */
};

static void pod_view_free(struct pod_view *v)
{
	object_index_free(&v->wanted);
	object_list_free(&v->seen);
}

static int see(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct pod_view *v = data;
	struct object object;
	int r = wire_decode(v->net, hdr, &object, err);

	if (r > 0 && object_index_find(&v->wanted, &object, NULL))
		object_list_append(&v->seen, &object);
	return r < 0 ? r : 0;
}

static int see_all(struct pod_view *v, int type, const void *header, size_t size, struct err *err)
{
	auto_nl_msg struct nl_msg *msg = msg_new(type, NLM_F_DUMP, header, size);

	return net_query(v->net->rtnl, msg, see, v, err);
}

/* IPv4 has several routes of one destination and metric (they differ in type of service): one that
 * is as wanted will do. */
static bool is_satisfied(const struct object_index *seen, const struct object *wanted)
{
	const struct object *o = NULL;

	while ((o = object_index_find(seen, wanted, o))) {
		if (object_satisfies(o, wanted))
			return true;
	}
	return false;
}

static int find_missing(const struct object_list *wanted, const struct object_list *seen,
			struct err *err)
{
	auto_object_index struct object_index index = {0};

	object_index_build(&index, seen);
	for (size_t i = 0; i < wanted->n; i++) {
		auto_strbuf struct strbuf text = {0};

		if (is_satisfied(&index, &wanted->items[i]))
			continue;
		object_print(&wanted->items[i], &text);
		return err_set(err, -ESTALE, "missing in the pod: %s", strbuf_text(&text));
	}
	return 0;
}

static int check_objects(const struct attachment *want, const struct net *pod, struct err *err)
{
	__attribute__((cleanup(pod_view_free))) struct pod_view v = {.net = pod};
	auto_object_list struct object_list wanted = {0};
	int r;

	want_all(want, &wanted);
	object_index_build(&v.wanted, &wanted);
	r = see_all(&v, RTM_GETADDR, &(struct ifaddrmsg){0}, sizeof(struct ifaddrmsg), err);
	if (r == 0)
		r = see_all(&v, RTM_GETROUTE, &(struct rtmsg){0}, sizeof(struct rtmsg), err);
	if (r == 0)
		r = see_all(&v, RTM_GETRULE, &(struct fib_rule_hdr){0}, sizeof(struct fib_rule_hdr),
			    err);
	return r < 0 ? r : find_missing(&wanted, &v.seen, err);
}

int attach_check(const struct attachment *want, struct err *err)
{
	auto_view struct net pod = {0};
	struct link_view port = {0};
	int r = check_port(want, &port, err);

	if (r == 0)
		r = check_isolation(want, &port, err);
	if (r == 0)
		r = view_open(want->pod_netns, &pod, err);
	if (r == 0)
		r = check_link(want, &pod, &port, err);
	if (r == 0)
		r = check_objects(want, &pod, err);
	return r == 0 && want->guard.table ? seal_check(want->pod_netns, err) : r;
}

int attach_exists(const struct attachment *a, struct err *err)
{
	auto_view struct net view = {0};
	struct link_view port = {0};
	int r = view_open(a->bridge_netns, &view, err);

	if (r == 0)
		r = link_look(&view, a->port, &port, err);
	if (r == -ENODEV)
		return 0;
	return r < 0 ? r : attach_owns(a, port.link.alias);
}

int attach_network_ready(int netns_fd, const char *bridge, const char *vxlan, struct err *err)
{
	auto_view struct net view = {0};
	struct link_view link = {0};
	int r = view_open(netns_fd, &view, err);

	if (r == 0)
		r = link_look(&view, bridge, &link, err);
	if (r == -ENODEV)
		return err_set(err, r, "bridge %s is missing", bridge);
	if (r == 0 && !link.link.up)
		return err_set(err, -ENETDOWN, "bridge %s is down", bridge);
	if (r == 0)
		r = link_look(&view, vxlan, &link, err);
	if (r == -ENODEV)
		return err_set(err, -ENETDOWN, "%s, the way to other nodes, is missing", vxlan);
	if (r == 0 && strcmp(link.link.master, bridge) != 0)
		return err_set(err, -ENETDOWN, "%s is not on bridge %s", vxlan, bridge);
	if (r == 0 && !link.link.up)
		return err_set(err, -ENETDOWN, "%s is down", vxlan);
	return r;
}
