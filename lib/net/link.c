/* Interfaces to and from messages (net/core/rtnetlink.c, linux/if_link.h). */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

/* Marks a link as Byway's, at the start of its alias. */
static const char alias_mark[] = "byway";

/* What the kernel calls the kinds; LINK_ANY is none of them. */
static const char *const kind_names[] = {
	[LINK_BRIDGE] = "bridge",
	[LINK_VXLAN] = "vxlan",
	[LINK_MACVLAN] = "macvlan",
	[LINK_WIREGUARD] = "wireguard",
};

/* Hop limit of the underlay packets; 0 would ask the route of each. */
#define VXLAN_TTL 64

/* --- decoding --- */

static void copy_string(char *out, size_t size, const struct nlattr *attr)
{
	if (attr)
		snprintf(out, size, "%.*s", nla_len(attr), (const char *)nla_data(attr));
}

static void copy_addr(struct addr *out, sa_family_t family, const struct nlattr *attr)
{
	struct addr a = {.family = family};

	if (!attr || (size_t)nla_len(attr) != addr_size(&a))
		return;
	memcpy(a.bytes, nla_data(attr), addr_size(&a));
	*out = a;
}

static void decode_vxlan(struct nlattr *data, struct link_object *link)
{
	struct nlattr *tb[IFLA_VXLAN_MAX + 1] = {0};

	if (nla_parse_nested(tb, IFLA_VXLAN_MAX, data, NULL) < 0)
		return;
	if (tb[IFLA_VXLAN_ID])
		link->vni = nla_get_u32(tb[IFLA_VXLAN_ID]);
	if (tb[IFLA_VXLAN_PORT])
		link->port = ntohs(nla_get_u16(tb[IFLA_VXLAN_PORT]));
	copy_addr(&link->local, AF_INET, tb[IFLA_VXLAN_LOCAL]);
	copy_addr(&link->local, AF_INET6, tb[IFLA_VXLAN_LOCAL6]);
}

static void decode_kind(struct nlattr *info, struct link_object *link)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1] = {0};
	char name[32] = "";

	if (nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0)
		return;
	copy_string(name, sizeof(name), tb[IFLA_INFO_KIND]);
	for (size_t i = LINK_BRIDGE; i < array_len(kind_names); i++) {
		if (!strcmp(name, kind_names[i]))
			link->kind = (enum link_kind)i;
	}
	if (link->kind == LINK_VXLAN && tb[IFLA_INFO_DATA])
		decode_vxlan(tb[IFLA_INFO_DATA], link);
}

int link_decode(const struct net *net, struct nlmsghdr *hdr, struct object *ret, struct err *err)
{
	struct link_object *link = &ret->link;
	struct nlattr *tb[IFLA_MAX + 1];
	int r = msg_parse(hdr, sizeof(struct ifinfomsg), tb, IFLA_MAX, err);

	if (r < 0)
		return r;
	*ret = (struct object){.kind = OBJECT_LINK};
	link->up = ((const struct ifinfomsg *)nlmsg_data(hdr))->ifi_flags & IFF_UP;
	copy_string(link->name, sizeof(link->name), tb[IFLA_IFNAME]);
	copy_string(link->alias, sizeof(link->alias), tb[IFLA_IFALIAS]);
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == sizeof(link->mac))
		memcpy(&link->mac, nla_data(tb[IFLA_ADDRESS]), sizeof(link->mac));
	if (tb[IFLA_MTU])
		link->mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_MASTER])
		net_ifname(net, nla_get_u32(tb[IFLA_MASTER]), link->master);
	if (tb[IFLA_LINKINFO])
		decode_kind(tb[IFLA_LINKINFO], link);
	/* IFLA_LINK is an index of another namespace where IFLA_LINK_NETNSID stands beside it. */
	if (link->kind == LINK_MACVLAN && tb[IFLA_LINK] && !tb[IFLA_LINK_NETNSID])
		net_ifname(net, nla_get_u32(tb[IFLA_LINK]), link->parent);
	ret->ours = !strncmp(link->alias, alias_mark, strlen(alias_mark));
	return 0;
}

struct link_answer {
	const struct net *net;
	struct object object;
};

static int get_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct link_answer *a = data;

	return link_decode(a->net, hdr, &a->object, err);
}

int net_link_get(struct net *net, const char *name, struct link_object *ret, struct err *err)
{
	const struct ifinfomsg header = {.ifi_index = (int)net_ifindex(net, name)};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETLINK, 0, &header, sizeof(header));
	struct link_answer answer = {.net = net};
	int r;

	if (!header.ifi_index)
		return err_errno(err, -ENODEV, "interface %s", name);
	r = net_query(net->rtnl, msg, get_answer, &answer, err);
	if (r < 0)
		return err_wrap(err, "interface %s", name);
	*ret = answer.object.link;
	return 0;
}

/* --- encoding --- */

static int put_macvlan(const struct net *net, struct nl_msg *msg, const struct link_object *link,
		       struct err *err)
{
	struct nlattr *data = msg_nest(msg, IFLA_INFO_DATA);

	msg_put_u32(msg, IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE);
	nla_nest_end(msg, data);
	if (!net_ifindex(net, link->parent))
		return err_errno(err, -ENODEV, "interface %s", link->parent);
	return 0;
}

static void put_vxlan(struct nl_msg *msg, const struct link_object *link)
{
	struct nlattr *data = msg_nest(msg, IFLA_INFO_DATA);

	msg_put_u32(msg, IFLA_VXLAN_ID, link->vni);
	msg_put_u16(msg, IFLA_VXLAN_PORT, htons((uint16_t)link->port));
	msg_put_u8(msg, IFLA_VXLAN_LEARNING, 1);
	msg_put_u8(msg, IFLA_VXLAN_TTL, VXLAN_TTL);
	if (link->local.family == AF_INET)
		msg_put_addr(msg, IFLA_VXLAN_LOCAL, &link->local);
	else if (link->local.family == AF_INET6)
		msg_put_addr(msg, IFLA_VXLAN_LOCAL6, &link->local);
	nla_nest_end(msg, data);
}

/* No spanning tree (30 s to forwarding) and no multicast snooping (facts.md). libnl has no setters.
 */
static void put_bridge(struct nl_msg *msg)
{
	struct nlattr *data = msg_nest(msg, IFLA_INFO_DATA);

	msg_put_u32(msg, IFLA_BR_STP_STATE, 0);
	msg_put_u8(msg, IFLA_BR_MCAST_SNOOPING, 0);
	nla_nest_end(msg, data);
}

static int put_kind(const struct net *net, struct nl_msg *msg, const struct link_object *link,
		    struct err *err)
{
	struct nlattr *info = msg_nest(msg, IFLA_LINKINFO);
	int r = 0;

	msg_put_string(msg, IFLA_INFO_KIND, kind_names[link->kind]);
	switch (link->kind) {
	case LINK_BRIDGE:
		put_bridge(msg);
		break;
	case LINK_VXLAN:
		put_vxlan(msg, link);
		break;
	case LINK_MACVLAN:
		r = put_macvlan(net, msg, link, err);
		break;
	case LINK_WIREGUARD:
	case LINK_ANY:
		break;
	}
	nla_nest_end(msg, info);
	return r;
}

/* The message that makes the device. A VXLAN device keeps its UDP socket in the namespace in which
 * it is created, so that it goes out by the underlay, and is born in the managed one. */
static int create_device(struct net *net, const struct link_object *link, struct err *err)
{
	const struct ifinfomsg header = {0};
	auto_nl_msg struct nl_msg *msg =
		msg_new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	int r;

	msg_put_string(msg, IFLA_IFNAME, link->name);
	if (!mac_equal(&link->mac, &(struct mac){0}))
		msg_put(msg, IFLA_ADDRESS, link->mac.bytes, sizeof(link->mac.bytes));
	/* A bridge's MTU is set afterwards: then it stays, whatever its ports have
	 * (br_mtu_auto_adjust). */
	if (link->mtu && link->kind != LINK_BRIDGE)
		msg_put_u32(msg, IFLA_MTU, link->mtu);
	if (link->kind == LINK_MACVLAN)
		msg_put_u32(msg, IFLA_LINK, net_ifindex(net, link->parent));
	if (link->kind == LINK_VXLAN)
		msg_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)net->netns);
	r = put_kind(net, msg, link, err);
	if (r < 0)
		return r;
	return net_talk(link->kind == LINK_VXLAN ? net->rtnl_underlay : net->rtnl, msg, err);
}

/* No IPv6 link-local address, and so neither duplicate address detection nor router solicitations.
 * The members of a pair carry macvlans with the same MAC: what a standby sends from its own would
 * teach the bridges that the address is there. Needs a message of its own before the device is up
 * (do_setlink() sets the flags first), and fails without harm where there is no IPv6. */
static int silence_ipv6(struct net *net, const struct link_object *link, struct err *err)
{
	const struct ifinfomsg header = {.ifi_index = (int)net_ifindex(net, link->name)};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_SETLINK, 0, &header, sizeof(header));
	struct nlattr *spec = msg_nest(msg, IFLA_AF_SPEC);
	struct nlattr *inet6 = msg_nest(msg, AF_INET6);
	int r;

	msg_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nla_nest_end(msg, inet6);
	nla_nest_end(msg, spec);
	r = net_talk(net->rtnl, msg, err);
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

static int put_master(const struct net *net, struct nl_msg *msg, const char *master,
		      struct err *err)
{
	unsigned int index = net_ifindex(net, master);

	if (!index)
		return err_errno(err, -ENODEV, "interface %s", master);
	msg_put_u32(msg, IFLA_MASTER, index);
	return 0;
}

int link_update(struct net *net, const struct link_object *link, struct err *err)
{
	struct ifinfomsg header = {0};
	auto_nl_msg struct nl_msg *msg = NULL;
	struct link_object now = {0};
	int r = net_link_get(net, link->name, &now, err);

	if (r < 0)
		return r;
	header.ifi_index = (int)net_ifindex(net, link->name);
	if (link->up != now.up && (link->up || link->kind != LINK_ANY)) {
		header.ifi_change = IFF_UP;
		header.ifi_flags = link->up ? IFF_UP : 0;
	}
	msg = msg_new(RTM_SETLINK, 0, &header, sizeof(header));
	if (!mac_equal(&link->mac, &(struct mac){0}) && !mac_equal(&link->mac, &now.mac))
		msg_put(msg, IFLA_ADDRESS, link->mac.bytes, sizeof(link->mac.bytes));
	if (link->mtu && link->mtu != now.mtu)
		msg_put_u32(msg, IFLA_MTU, link->mtu);
	if (link->alias[0] && strcmp(link->alias, now.alias) != 0)
		msg_put(msg, IFLA_IFALIAS, link->alias, strlen(link->alias));
	if (link->master[0] && strcmp(link->master, now.master) != 0)
		r = put_master(net, msg, link->master, err);
	return r < 0 ? r : net_talk(net->rtnl, msg, err);
}

int link_create(struct net *net, const struct link_object *link, struct err *err)
{
	struct err ignored;
	int r;

	if (link->kind == LINK_ANY)
		return err_errno(err, -ENODEV, "interface %s", link->name);
	r = create_device(net, link, err);
	if (r < 0)
		return r;
	if (link->kind == LINK_MACVLAN)
		r = silence_ipv6(net, link, err);
	/* The kernel takes no alias at creation: a link without our mark must not stay behind. */
	if (r >= 0)
		r = link_update(net, link, err);
	if (r < 0)
		link_delete(net, link, &ignored);
	return r;
}

int link_delete(struct net *net, const struct link_object *link, struct err *err)
{
	const struct ifinfomsg header = {.ifi_index = (int)net_ifindex(net, link->name)};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_DELLINK, 0, &header, sizeof(header));
	int r = header.ifi_index ? net_talk(net->rtnl, msg, err) : 0;

	return r == -ENODEV ? 0 : r;
}
