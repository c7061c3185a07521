/* Source: net/core/rtnetlink.c (rtnl_newlink_create: a link is made with group, master and IFF_UP in
 * one go, an alias and what its master knows of it are only taken by a change), drivers/net/veth.c
 * (veth_newlink: the peer's own attributes in VETH_INFO_PEER, its namespace by descriptor; a peer
 * that shall be up fails with ENOTCONN), net/bridge/br_input.c (br_handle_frame: frames to
 * 01:80:c2:00:00:0x teach the FDB without having seen netfilter, hence no learning). */
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
#include "isolation.h"
#include "mem.h"

void attachment_clear(struct attachment *a)
{
	free(a->routes);
	free(a->guard.allowed);
	a->routes = NULL;
	a->guard.allowed = NULL;
	a->n_routes = a->guard.n_allowed = 0;
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

bool attach_owns(const struct attachment *a, const char *alias)
{
	size_t len = strlen(a->alias);

	return !strncmp(alias, a->alias, len) && (!alias[len] || alias[len] == ' ');
}

unsigned int attach_link_index(struct nl_sock *sk, const char *name, unsigned int *mtu)
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

/* A veth has as many queues as the machine has processors if nobody says otherwise, and each costs
 * two directories in sysfs and two uevents when it is made; packets pass without any of them. */
static void msg_put_one_queue(struct nl_msg *msg)
{
	msg_put_u32(msg, IFLA_NUM_TX_QUEUES, 1);
	msg_put_u32(msg, IFLA_NUM_RX_QUEUES, 1);
}

static struct nl_msg *pair_message(const struct attachment *a, unsigned int bridge)
{
	const struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	const struct ifinfomsg down = {0};
	struct nl_msg *msg = msg_new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof(up));
	struct nlattr *info, *data, *peer;
	int r;

	msg_put_string(msg, IFLA_IFNAME, a->port);
	msg_put_u32(msg, IFLA_MTU, a->mtu);
	msg_put_one_queue(msg);
	msg_put_u32(msg, IFLA_MASTER, bridge);
	if (a->client)
		msg_put_u32(msg, IFLA_GROUP, ISOLATION_GROUP);
	info = msg_nest(msg, IFLA_LINKINFO);
	msg_put_string(msg, IFLA_INFO_KIND, "veth");
	data = msg_nest(msg, IFLA_INFO_DATA);
	peer = msg_nest(msg, VETH_INFO_PEER);
	r = nlmsg_append(msg, (void *)&down, sizeof(down), NLMSG_ALIGNTO);
	assert(r == 0);
	(void)r;
	msg_put_string(msg, IFLA_IFNAME, a->ifname);
	msg_put_u32(msg, IFLA_MTU, a->mtu);
	msg_put_u32(msg, IFLA_GROUP, ATTACH_POD_GROUP);
	msg_put_one_queue(msg);
	msg_put(msg, IFLA_ADDRESS, a->mac.bytes, sizeof(a->mac.bytes));
	msg_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)a->pod_netns);
	nla_nest_end(msg, peer);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return msg;
}

/* Nothing from it to another client's, nothing to it but what is its own or a broadcast, and no
 * frame of its own teaches the bridge where an address is. */
static void put_isolation(struct nl_msg *msg)
{
	struct nlattr *info = msg_nest(msg, IFLA_LINKINFO), *data;

	msg_put_string(msg, IFLA_INFO_SLAVE_KIND, "bridge");
	data = msg_nest(msg, IFLA_INFO_SLAVE_DATA);
	msg_put_u8(msg, IFLA_BRPORT_ISOLATED, 1);
	msg_put_u8(msg, IFLA_BRPORT_LEARNING, 0);
	msg_put_u8(msg, IFLA_BRPORT_UNICAST_FLOOD, 0);
	msg_put_u8(msg, IFLA_BRPORT_MCAST_FLOOD, 0);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
}

static struct isolation_entry entry_of(const struct attachment *a)
{
	struct isolation_entry entry = {.mac = a->mac, .addr = a->addr.addr};

	memcpy(entry.port, a->port, sizeof(entry.port));
	return entry;
}

static struct nl_msg *port_message(const struct attachment *a)
{
	const struct ifinfomsg header = {0};
	struct nl_msg *msg = msg_new(RTM_NEWLINK, 0, &header, sizeof(header));
	const struct isolation_entry entry = entry_of(a);
	char alias[OBJECT_ALIAS_MAX];

	memcpy(alias, a->alias, sizeof(alias));
	if (a->client) {
		isolation_alias_append(&entry, alias, sizeof(alias));
		put_isolation(msg);
	}
	msg_put_string(msg, IFLA_IFNAME, a->port);
	msg_put_string(msg, IFLA_IFALIAS, alias);
	return msg;
}

/* Where a client's MAC is, since its port does not learn. Sticky: no frame that comes in elsewhere
 * moves it. It goes with the port. */
static struct nl_msg *fdb_message(const struct attachment *a, unsigned int port)
{
	const struct ndmsg header = {.ndm_family = AF_BRIDGE,
				     .ndm_ifindex = (int)port,
				     .ndm_state = NUD_NOARP,
				     .ndm_flags = NTF_MASTER | NTF_STICKY};
	struct nl_msg *msg =
		msg_new(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header));

	msg_put(msg, NDA_LLADDR, a->mac.bytes, sizeof(a->mac.bytes));
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

static int isolate(const struct attachment *a, struct nl_sock *sk, struct err *err)
{
	const struct isolation_entry entry = entry_of(a);
	auto_nl_msg struct nl_msg *fdb = fdb_message(a, attach_link_index(sk, a->port, NULL));
	int r = net_talk(sk, fdb, err);

	if (r < 0)
		return err_wrap(err, "FDB entry of %s", a->port);
	r = isolation_enter(a->bridge_netns, &entry, err);
	return r == -ENOENT ? err->code = -ENODEV : r;
}

int attach_create(struct attachment *a, struct err *err)
{
	auto_nl_msg struct nl_msg *pair = NULL, *port = NULL;
	auto_nl_sock struct nl_sock *sk = NULL;
	struct net_ack acks[2] = {0};
	struct err ignored = {0};
	unsigned int bridge, mtu = 0;
	int r = net_socket(NETLINK_ROUTE, a->bridge_netns, &sk, err);

	if (r < 0)
		return r;
	bridge = attach_link_index(sk, a->bridge, &mtu);
	if (!bridge)
		return err_set(err, -ENODEV, "bridge %s is missing", a->bridge);
	if (a->client && a->addr.addr.family != AF_INET)
		return err_set(err, -EINVAL, "a client must have an IPv4 address");
	/* Before the alias says that it is ours. */
	if (attach_link_index(sk, a->port, NULL))
		return err_set(err, -EEXIST, "%s exists already", a->port);
	if (!a->mtu)
		a->mtu = mtu;
	if (a->mtu > mtu)
		return err_set(err, -EMSGSIZE, "MTU %u is more than the %u of bridge %s", a->mtu,
			       mtu, a->bridge);
	pair = pair_message(a, bridge);
	port = port_message(a);
	r = net_talk_batch(sk, (struct nl_msg *[]){pair, port}, 2, acks, err);
	if (r < 0)
		attach_delete(a, &ignored); /* made, perhaps, and the answer was lost */
	if (r == 0)
		r = ack_code(&acks[0], err);
	if (r < 0)
		return err_wrap(err, "veth %s to %s", a->ifname, a->port);
	a->created = true;
	r = ack_code(&acks[1], err);
	if (r < 0)
		err_wrap(err, "port %s", a->port);
	else if (a->client)
		r = isolate(a, sk, err);
	if (r < 0)
		attach_undo(a);
	return r;
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
	port = attach_link_index(sk, a->port, NULL);
	if (!port)
		return 0;
	msg_put_string(msg, IFLA_IFNAME, a->port);
	r = net_query(sk, msg, alias_answer, alias, err);
	if (r == 0 && attach_owns(a, alias))
		r = pair_delete(sk, port, err);
	return r == -ENODEV ? 0 : r; /* the pod's namespace went away meanwhile */
}

void attach_undo(struct attachment *a)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	struct err ignored = {0};
	unsigned int port;

	attach_pod_undo(a);
	if (!a->created || net_socket(NETLINK_ROUTE, a->bridge_netns, &sk, &ignored) < 0)
		return;
	port = attach_link_index(sk, a->port, NULL);
	if (port)
		pair_delete(sk, port, &ignored);
	if (a->client) {
		const struct isolation_entry entry = entry_of(a);

		isolation_leave(a->bridge_netns, &entry, &ignored);
	}
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
	return attach_link_index(sk, name, NULL) ? err_set(err, -EEXIST, "%s exists already", name)
						 : 0;
}
