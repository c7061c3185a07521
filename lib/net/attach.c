/* Source: net/core/rtnetlink.c (rtnl_newlink_create: a link is made with master and IFF_UP in one
 * go, an alias is only taken by a change), drivers/net/veth.c (veth_newlink: the peer's own
 * attributes in VETH_INFO_PEER, its namespace by descriptor; a peer that shall be up fails with
 * ENOTCONN). */
#include "attach.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"
#include "mem.h"

void attachment_clear(struct attachment *a)
{
	free(a->routes);
	a->routes = NULL;
	a->n_routes = 0;
}

void attach_name(struct attachment *a, const char *container_id, const char *ifname)
{
	uint64_t h = 14695981039346656037ULL; /* FNV-1a */

	snprintf(a->ifname, sizeof(a->ifname), "%s", ifname);
	snprintf(a->alias, sizeof(a->alias), "byway %s/%s", container_id, ifname);
	for (const char *p = a->alias; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211ULL;
	snprintf(a->port, sizeof(a->port), "p%012llx",
		 (unsigned long long)((h ^ h >> 48) & 0xffffffffffffULL));
}

/* Index of an interface in the socket's namespace, 0 where there is none; also its MTU. */
static unsigned int link_index(struct nl_sock *sk, const char *name, unsigned int *mtu)
{
	struct ifreq req = {0};
	unsigned int index;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(nl_socket_get_fd(sk), SIOCGIFINDEX, &req) < 0)
		return 0;
	index = (unsigned int)req.ifr_ifindex;
	if (mtu && ioctl(nl_socket_get_fd(sk), SIOCGIFMTU, &req) == 0)
		*mtu = (unsigned int)req.ifr_mtu;
	return index;
}

/* --- the pair --- */

static struct nl_msg *pair_message(const struct attachment *a, unsigned int bridge)
{
	const struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	const struct ifinfomsg down = {0};
	struct nl_msg *msg = msg_new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof(up));
	struct nlattr *info, *data, *peer;
	int r;

	msg_put_string(msg, IFLA_IFNAME, a->port);
	msg_put_u32(msg, IFLA_MTU, a->mtu);
	msg_put_u32(msg, IFLA_MASTER, bridge);
	info = msg_nest(msg, IFLA_LINKINFO);
	msg_put_string(msg, IFLA_INFO_KIND, "veth");
	data = msg_nest(msg, IFLA_INFO_DATA);
	peer = msg_nest(msg, VETH_INFO_PEER);
	r = nlmsg_append(msg, (void *)&down, sizeof(down), NLMSG_ALIGNTO);
	assert(r == 0);
	(void)r;
	msg_put_string(msg, IFLA_IFNAME, a->ifname);
	msg_put_u32(msg, IFLA_MTU, a->mtu);
	msg_put(msg, IFLA_ADDRESS, a->mac.bytes, sizeof(a->mac.bytes));
	msg_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)a->pod_netns);
	nla_nest_end(msg, peer);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return msg;
}

static struct nl_msg *alias_message(const struct attachment *a)
{
	const struct ifinfomsg header = {0};
	struct nl_msg *msg = msg_new(RTM_SETLINK, 0, &header, sizeof(header));

	msg_put_string(msg, IFLA_IFNAME, a->port);
	msg_put_string(msg, IFLA_IFALIAS, a->alias);
	return msg;
}

static int pair_delete(struct nl_sock *sk, unsigned int port, struct err *err)
{
	const struct ifinfomsg header = {.ifi_index = (int)port};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_DELLINK, 0, &header, sizeof(header));

	return net_talk(sk, msg, err);
}

static int ack_code(const struct net_ack *ack, struct err *err)
{
	if (!ack->code)
		return 0;
	return err_set(err, ack->code, "%s%s%s%s", strerror(-ack->code),
		       ack->text[0] ? " (kernel: " : "", ack->text, ack->text[0] ? ")" : "");
}

int attach_create(struct attachment *a, struct err *err)
{
	auto_nl_msg struct nl_msg *pair = NULL, *alias = NULL;
	auto_nl_sock struct nl_sock *sk = NULL;
	struct net_ack acks[2] = {0};
	struct err ignored = {0};
	unsigned int bridge, mtu = 0;
	int r = net_socket(NETLINK_ROUTE, a->bridge_netns, &sk, err);

	if (r < 0)
		return r;
	bridge = link_index(sk, a->bridge, &mtu);
	if (!bridge)
		return err_set(err, -ENODEV, "bridge %s is missing", a->bridge);
	/* Before the alias says that it is ours. */
	if (link_index(sk, a->port, NULL))
		return err_set(err, -EEXIST, "%s exists already", a->port);
	if (!a->mtu)
		a->mtu = mtu;
	pair = pair_message(a, bridge);
	alias = alias_message(a);
	r = net_talk_batch(sk, (struct nl_msg *[]){pair, alias}, 2, acks, err);
	if (r < 0)
		attach_delete(a, &ignored); /* made, perhaps, and the answer was lost */
	if (r == 0)
		r = ack_code(&acks[0], err);
	if (r < 0)
		return err_wrap(err, "veth %s to %s", a->ifname, a->port);
	a->created = true;
	r = ack_code(&acks[1], err);
	if (r < 0) {
		attach_undo(a);
		return err_wrap(err, "alias of %s", a->port);
	}
	return 0;
}

static int alias_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct nlattr *tb[IFLA_MAX + 1];
	int r = msg_parse(hdr, sizeof(struct ifinfomsg), tb, IFLA_MAX, err);

	if (r < 0)
		return r;
	if (tb[IFLA_IFALIAS])
		snprintf(data, OBJECT_ALIAS_MAX, "%.*s", nla_len(tb[IFLA_IFALIAS]),
			 (const char *)nla_data(tb[IFLA_IFALIAS]));
	return 0;
}

int attach_delete(const struct attachment *a, struct err *err)
{
	const struct ifinfomsg header = {0};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETLINK, 0, &header, sizeof(header));
	auto_nl_sock struct nl_sock *sk = NULL;
	char alias[OBJECT_ALIAS_MAX] = "";
	int r = net_socket(NETLINK_ROUTE, a->bridge_netns, &sk, err);
	unsigned int port;

	if (r < 0)
		return r;
	port = link_index(sk, a->port, NULL);
	if (!port)
		return 0;
	msg_put_string(msg, IFLA_IFNAME, a->port);
	r = net_query(sk, msg, alias_answer, alias, err);
	if (r == 0 && !strcmp(alias, a->alias))
		r = pair_delete(sk, port, err);
	return r == -ENODEV ? 0 : r; /* the pod's namespace went away meanwhile */
}

/* --- the pod's end --- */

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

static struct nl_msg *route_message(const struct attach_route *route, int type, unsigned int index)
{
	bool unicast = route->type == ROUTE_UNICAST;
	const struct rtmsg header = {.rtm_family = (uint8_t)route->dst.addr.family,
				     .rtm_dst_len = route->dst.len,
				     .rtm_table = RT_TABLE_MAIN,
				     .rtm_protocol = OBJECT_PROTOCOL,
				     .rtm_type = unicast ? RTN_UNICAST : RTN_UNREACHABLE};
	int flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nl_msg *msg = msg_new(type, flags, &header, sizeof(header));

	msg_put_addr(msg, RTA_DST, &route->dst.addr);
	if (route->metric)
		msg_put_u32(msg, RTA_PRIORITY, route->metric);
	if (unicast) {
		msg_put_addr(msg, RTA_GATEWAY, &route->via);
		msg_put_u32(msg, RTA_OIF, index);
	}
	return msg;
}

/* Requests on their way to the kernel: sent when full and at the end. `route` is what an entry
 * makes, or NULL. */
struct batch {
	struct nl_sock *sk;
	struct nl_msg *msgs[NET_BATCH_MAX];
	struct attach_route *routes[NET_BATCH_MAX];
	const char *what[NET_BATCH_MAX];
	size_t n;
};

static void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		nlmsg_free(b->msgs[i]);
	b->n = 0;
}
#define auto_batch __attribute__((cleanup(batch_clear)))

/* Is the failure of this request as good as success? */
static bool tolerable(const struct attach_route *route, int code)
{
	if (!route || route->type != ROUTE_UNREACHABLE)
		return false;
	if (code == -EEXIST)
		return true;
	return route->dst.addr.family == AF_INET6 && (code == -EOPNOTSUPP || code == -EAFNOSUPPORT);
}

static int batch_send(struct batch *b, struct err *err)
{
	struct net_ack acks[NET_BATCH_MAX] = {0};
	int failed = 0, r = net_talk_batch(b->sk, b->msgs, b->n, acks, err);

	for (size_t i = 0; r == 0 && i < b->n; i++) {
		struct attach_route *route = b->routes[i];
		char dst[PREFIX_STRLEN];

		if (route && !acks[i].code)
			route->made = true;
		if (failed || !acks[i].code || tolerable(route, acks[i].code))
			continue;
		failed = ack_code(&acks[i], err);
		err_wrap(err, "%s%s", b->what[i], route ? prefix_format(&route->dst, dst) : "");
	}
	batch_clear(b);
	return r < 0 ? r : failed;
}

static int batch_add(struct batch *b, struct nl_msg *msg, const char *what,
		     struct attach_route *route, struct err *err)
{
	int r = b->n == NET_BATCH_MAX ? batch_send(b, err) : 0;

	if (r < 0) {
		nlmsg_free(msg);
		return r;
	}
	b->msgs[b->n] = msg;
	b->what[b->n] = what;
	b->routes[b->n++] = route;
	return 0;
}

static int batch_add_routes(struct batch *b, struct attachment *a, enum route_type type,
			    unsigned int index, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->n_routes; i++) {
		if (a->routes[i].type == type)
			r = batch_add(b, route_message(&a->routes[i], RTM_NEWROUTE, index),
				      "route ", &a->routes[i], err);
	}
	return r;
}

int attach_configure(struct attachment *a, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	auto_batch struct batch b = {0};
	unsigned int index;
	int r = net_socket(NETLINK_ROUTE, a->pod_netns, &sk, err);

	if (r < 0)
		return r;
	b.sk = sk;
	index = link_index(sk, a->ifname, NULL);
	if (!index)
		return err_set(err, -ENODEV, "%s has vanished", a->ifname);
	if (a->addr.addr.family != AF_UNSPEC)
		r = batch_add(&b, addr_message(a, index), "address", NULL, err);
	if (r == 0)
		r = batch_add_routes(&b, a, ROUTE_UNREACHABLE, index, err);
	if (r == 0)
		r = batch_add(&b, up_message(index), "link up", NULL, err);
	if (r == 0)
		r = batch_add_routes(&b, a, ROUTE_UNICAST, index, err);
	return r < 0 ? r : batch_send(&b, err);
}

/* The unreachable routes; the others go with the link. */
static void undo_routes(struct attachment *a, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;

	if (net_socket(NETLINK_ROUTE, a->pod_netns, &sk, err) < 0)
		return;
	for (size_t i = 0; i < a->n_routes; i++) {
		auto_nl_msg struct nl_msg *msg = NULL;

		if (!a->routes[i].made || a->routes[i].type != ROUTE_UNREACHABLE)
			continue;
		msg = route_message(&a->routes[i], RTM_DELROUTE, 0);
		net_talk(sk, msg, err);
		a->routes[i].made = false;
	}
}

void attach_undo(struct attachment *a)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	struct err ignored = {0};
	unsigned int port;

	undo_routes(a, &ignored);
	if (!a->created || net_socket(NETLINK_ROUTE, a->bridge_netns, &sk, &ignored) < 0)
		return;
	port = link_index(sk, a->port, NULL);
	if (port)
		pair_delete(sk, port, &ignored);
	a->created = false;
}

int attach_sysctls(int netns_fd, const struct attach_sysctl *list, size_t n, struct err *err)
{
	auto_netns int saved = -1;
	int r = netns_enter(netns_fd, &saved, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = sysctl_write(list[i].key, list[i].value, err);
	return r;
}

int attach_absent(int netns_fd, const char *name, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = net_socket(NETLINK_ROUTE, netns_fd, &sk, err);

	if (r < 0)
		return r;
	return link_index(sk, name, NULL) ? err_set(err, -EEXIST, "%s exists already", name) : 0;
}

int attach_bridge_ready(int netns_fd, const char *bridge, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	struct ifreq req = {0};
	int r = net_socket(NETLINK_ROUTE, netns_fd, &sk, err);

	if (r < 0)
		return r;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", bridge);
	if (ioctl(nl_socket_get_fd(sk), SIOCGIFFLAGS, &req) < 0)
		return err_set(err, -ENODEV, "bridge %s is missing", bridge);
	if (!(req.ifr_flags & IFF_UP))
		return err_set(err, -ENETDOWN, "bridge %s is down", bridge);
	return 0;
}
