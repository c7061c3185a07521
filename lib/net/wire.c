/* Addresses, routes, rules and FDB entries to and from messages (linux/rtnetlink.h, fib_rules.h,
 * neighbour.h). */
#include "internal.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

/* --- encoding --- */

/* Index of the interface an object names. */
static int want_ifindex(const struct net *net, const char *name, unsigned int *ret, struct err *err)
{
	*ret = net_ifindex(net, name);
	if (!*ret)
		return err_errno(err, -ENODEV, "interface %s", name);
	return 0;
}

static int encode_address(const struct net *net, const struct address_object *a, bool delete,
			  struct nl_msg **ret, struct err *err)
{
	struct ifaddrmsg header = {.ifa_family = (uint8_t)a->prefix.addr.family,
				   .ifa_prefixlen = a->prefix.len};
	struct nl_msg *msg;
	unsigned int index;
	int r = want_ifindex(net, a->dev, &index, err);

	if (r < 0)
		return r;
	header.ifa_index = index;
	/* Addresses here are handed out by someone who knows that they are free. */
	if (header.ifa_family == AF_INET6)
		header.ifa_flags = IFA_F_NODAD;
	msg = delete ? msg_new(RTM_DELADDR, 0, &header, sizeof(header))
		     : msg_new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	msg_put_addr(msg, IFA_LOCAL, &a->prefix.addr);
	msg_put_addr(msg, IFA_ADDRESS, &a->prefix.addr);
	if (!delete)
		msg_put_u8(msg, IFA_PROTO, OBJECT_PROTOCOL);
	*ret = msg;
	return 0;
}

static const uint8_t route_types[] = {
	[ROUTE_UNICAST] = RTN_UNICAST,
	[ROUTE_LOCAL] = RTN_LOCAL,
	[ROUTE_UNREACHABLE] = RTN_UNREACHABLE,
	[ROUTE_THROW] = RTN_THROW,
};

static uint8_t route_scope(const struct route_object *route)
{
	if (route->type == ROUTE_LOCAL)
		return RT_SCOPE_HOST;
	if (route->type == ROUTE_UNICAST && route->via.family == AF_UNSPEC)
		return RT_SCOPE_LINK;
	return RT_SCOPE_UNIVERSE;
}

static struct nl_msg *route_message(const struct route_object *route, enum verdict verdict)
{
	const struct rtmsg header = {
		.rtm_family = (uint8_t)route->dst.addr.family,
		.rtm_dst_len = route->dst.len,
		.rtm_table = RT_TABLE_UNSPEC,
		.rtm_protocol = OBJECT_PROTOCOL,
		.rtm_scope = verdict == VERDICT_DELETE ? RT_SCOPE_NOWHERE : route_scope(route),
		.rtm_type = route_types[route->type],
		.rtm_flags = route->onlink ? RTNH_F_ONLINK : 0,
	};

	if (verdict == VERDICT_DELETE)
		return msg_new(RTM_DELROUTE, 0, &header, sizeof(header));
	return msg_new(RTM_NEWROUTE,
		       NLM_F_CREATE | (verdict == VERDICT_UPDATE ? NLM_F_REPLACE : NLM_F_EXCL),
		       &header, sizeof(header));
}

static int encode_route(const struct net *net, const struct route_object *route,
			enum verdict verdict, struct nl_msg **ret, struct err *err)
{
	unsigned int index = 0;
	struct nl_msg *msg;
	int r = route->dev[0] ? want_ifindex(net, route->dev, &index, err) : 0;

	if (r < 0)
		return r;
	msg = route_message(route, verdict);
	msg_put_u32(msg, RTA_TABLE, route->table);
	if (route->dst.len)
		msg_put_addr(msg, RTA_DST, &route->dst.addr);
	if (route->metric)
		msg_put_u32(msg, RTA_PRIORITY, route->metric);
	if (route->via.family != AF_UNSPEC)
		msg_put_addr(msg, RTA_GATEWAY, &route->via);
	if (index)
		msg_put_u32(msg, RTA_OIF, index);
	if (route->src.family != AF_UNSPEC)
		msg_put_addr(msg, RTA_PREFSRC, &route->src);
	*ret = msg;
	return 0;
}

static struct nl_msg *encode_rule(const struct rule_object *rule, bool delete)
{
	const struct fib_rule_hdr header = {
		.family = (uint8_t)rule_family(rule),
		.src_len = rule->from.len,
		.dst_len = rule->to.len,
		.table = RT_TABLE_UNSPEC,
		.action = FR_ACT_TO_TBL,
	};
	struct nl_msg *msg =
		delete ? msg_new(RTM_DELRULE, 0, &header, sizeof(header))
		       : msg_new(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));

	msg_put_u32(msg, FRA_PRIORITY, rule->pref);
	msg_put_u32(msg, FRA_TABLE, rule->table);
	msg_put_u8(msg, FRA_PROTOCOL, OBJECT_PROTOCOL);
	if (rule->from.len)
		msg_put_addr(msg, FRA_SRC, &rule->from.addr);
	if (rule->to.len)
		msg_put_addr(msg, FRA_DST, &rule->to.addr);
	if (rule->fwmark)
		msg_put_u32(msg, FRA_FWMARK, rule->fwmark);
	if (rule->iif[0])
		msg_put_string(msg, FRA_IIFNAME, rule->iif);
	if (rule->oif[0])
		msg_put_string(msg, FRA_OIFNAME, rule->oif);
	return msg;
}

/* Several destinations of the zero address are appended to each other: head-end replication. */
static int encode_fdb(const struct net *net, const struct fdb_object *fdb, bool delete,
		      struct nl_msg **ret, struct err *err)
{
	bool replicates = mac_equal(&fdb->mac, &(struct mac){0});
	struct ndmsg header = {.ndm_family = AF_BRIDGE,
			       .ndm_state = NUD_NOARP | NUD_PERMANENT,
			       .ndm_flags = NTF_SELF};
	struct nl_msg *msg;
	unsigned int index;
	int r = want_ifindex(net, fdb->dev, &index, err);

	if (r < 0)
		return r;
	header.ndm_ifindex = (int)index;
	if (delete)
		msg = msg_new(RTM_DELNEIGH, 0, &header, sizeof(header));
	else
		msg = msg_new(RTM_NEWNEIGH,
			      NLM_F_CREATE | (replicates ? NLM_F_APPEND : NLM_F_REPLACE), &header,
			      sizeof(header));
	msg_put(msg, NDA_LLADDR, fdb->mac.bytes, sizeof(fdb->mac.bytes));
	msg_put_addr(msg, NDA_DST, &fdb->dst);
	*ret = msg;
	return 0;
}

int wire_encode(const struct net *net, const struct plan_step *step, struct nl_msg **ret,
		struct err *err)
{
	const struct object *object = &step->object;
	bool delete = step->verdict == VERDICT_DELETE;

	switch (object->kind) {
	case OBJECT_ADDRESS:
		return encode_address(net, &object->address, delete, ret, err);
	case OBJECT_ROUTE:
		return encode_route(net, &object->route, step->verdict, ret, err);
	case OBJECT_RULE:
		*ret = encode_rule(&object->rule, delete);
		return 0;
	case OBJECT_FDB:
		return encode_fdb(net, &object->fdb, delete, ret, err);
	case OBJECT_LINK:
	case OBJECT_IPVS_SERVICE:
	case OBJECT_IPVS_DESTINATION:
		break;
	}
	return err_set(err, -EINVAL, "not an address, route, rule or FDB entry");
}

/* --- decoding --- */

static void copy_addr(struct addr *out, uint8_t family, const struct nlattr *attr)
{
	struct addr a = {.family = family};

	if (!attr || (size_t)nla_len(attr) != addr_size(&a))
		return;
	memcpy(a.bytes, nla_data(attr), addr_size(&a));
	*out = a;
}

static void copy_name(char name[static IFNAMSIZ], const struct nlattr *attr)
{
	if (attr)
		snprintf(name, IFNAMSIZ, "%.*s", nla_len(attr), (const char *)nla_data(attr));
}

/* A prefix whose address is absent where its length is 0. */
static struct prefix any_prefix(uint8_t family, uint8_t len)
{
	return (struct prefix){.addr = {.family = family}, .len = len};
}

static bool is_ip(uint8_t family)
{
	return family == AF_INET || family == AF_INET6;
}

static int decode_address(const struct net *net, struct nlmsghdr *hdr, struct object *ret,
			  struct err *err)
{
	const struct ifaddrmsg *header = nlmsg_data(hdr);
	struct address_object *a = &ret->address;
	struct nlattr *tb[IFA_MAX + 1];
	int r = msg_parse(hdr, sizeof(*header), tb, IFA_MAX, err);

	if (r < 0 || !is_ip(header->ifa_family))
		return r;
	ret->kind = OBJECT_ADDRESS;
	ret->ours = tb[IFA_PROTO] && nla_get_u8(tb[IFA_PROTO]) == OBJECT_PROTOCOL;
	net_ifname(net, header->ifa_index, a->dev);
	a->prefix.len = header->ifa_prefixlen;
	/* On a point-to-point link IFA_ADDRESS is the other end. */
	copy_addr(&a->prefix.addr, header->ifa_family,
		  tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS]);
	return 1;
}

/* True with the type in *ret; false for those we never use. */
static bool route_type(uint8_t kernel, enum route_type *ret)
{
	for (size_t i = 0; i < array_len(route_types); i++) {
		if (route_types[i] == kernel) {
			*ret = (enum route_type)i;
			return true;
		}
	}
	return false;
}

static int decode_route(const struct net *net, struct nlmsghdr *hdr, struct object *ret,
			struct err *err)
{
	const struct rtmsg *header = nlmsg_data(hdr);
	struct route_object *route = &ret->route;
	struct nlattr *tb[RTA_MAX + 1];
	bool known;
	int r = msg_parse(hdr, sizeof(*header), tb, RTA_MAX, err);

	if (r < 0 || !is_ip(header->rtm_family) || (header->rtm_flags & RTM_F_CLONED))
		return r;
	ret->kind = OBJECT_ROUTE;
	known = route_type(header->rtm_type, &route->type);
	ret->ours = known && header->rtm_protocol == OBJECT_PROTOCOL;
	route->table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : header->rtm_table;
	route->dst = any_prefix(header->rtm_family, header->rtm_dst_len);
	copy_addr(&route->dst.addr, header->rtm_family, tb[RTA_DST]);
	if (tb[RTA_PRIORITY])
		route->metric = nla_get_u32(tb[RTA_PRIORITY]);
	copy_addr(&route->via, header->rtm_family, tb[RTA_GATEWAY]);
	copy_addr(&route->src, header->rtm_family, tb[RTA_PREFSRC]);
	/* IPv6 shows unreachable routes on lo. */
	if (tb[RTA_OIF] && route->type != ROUTE_UNREACHABLE && route->type != ROUTE_THROW)
		net_ifname(net, nla_get_u32(tb[RTA_OIF]), route->dev);
	route->onlink = header->rtm_flags & RTNH_F_ONLINK;
	return 1;
}

static int decode_rule(struct nlmsghdr *hdr, struct object *ret, struct err *err)
{
	const struct fib_rule_hdr *header = nlmsg_data(hdr);
	struct rule_object *rule = &ret->rule;
	struct nlattr *tb[FRA_MAX + 1];
	int r = msg_parse(hdr, sizeof(*header), tb, FRA_MAX, err);

	if (r < 0 || !is_ip(header->family))
		return r;
	ret->kind = OBJECT_RULE;
	ret->ours = header->action == FR_ACT_TO_TBL && tb[FRA_PROTOCOL] &&
		    nla_get_u8(tb[FRA_PROTOCOL]) == OBJECT_PROTOCOL;
	if (tb[FRA_PRIORITY])
		rule->pref = nla_get_u32(tb[FRA_PRIORITY]);
	rule->table = tb[FRA_TABLE] ? nla_get_u32(tb[FRA_TABLE]) : header->table;
	if (tb[FRA_FWMARK])
		rule->fwmark = nla_get_u32(tb[FRA_FWMARK]);
	copy_name(rule->iif, tb[FRA_IIFNAME]);
	copy_name(rule->oif, tb[FRA_OIFNAME]);
	if (header->src_len || (header->family == AF_INET6 && !header->dst_len))
		rule->from = any_prefix(header->family, header->src_len);
	if (header->dst_len)
		rule->to = any_prefix(header->family, header->dst_len);
	copy_addr(&rule->from.addr, header->family, tb[FRA_SRC]);
	copy_addr(&rule->to.addr, header->family, tb[FRA_DST]);
	return 1;
}

/* Of an FDB only what was configured matters, not what the device learned. */
static int decode_fdb(const struct net *net, struct nlmsghdr *hdr, struct object *ret,
		      struct err *err)
{
	const struct ndmsg *header = nlmsg_data(hdr);
	struct fdb_object *fdb = &ret->fdb;
	struct nlattr *tb[NDA_MAX + 1];
	int r = msg_parse(hdr, sizeof(*header), tb, NDA_MAX, err);

	if (r < 0 || header->ndm_family != AF_BRIDGE || !(header->ndm_state & NUD_PERMANENT) ||
	    !tb[NDA_DST] || !tb[NDA_LLADDR])
		return r;
	ret->kind = OBJECT_FDB;
	net_ifname(net, (unsigned int)header->ndm_ifindex, fdb->dev);
	if (nla_len(tb[NDA_LLADDR]) == sizeof(fdb->mac))
		memcpy(&fdb->mac, nla_data(tb[NDA_LLADDR]), sizeof(fdb->mac));
	copy_addr(&fdb->dst, nla_len(tb[NDA_DST]) == 4 ? AF_INET : AF_INET6, tb[NDA_DST]);
	return 1;
}

int wire_decode(const struct net *net, struct nlmsghdr *hdr, struct object *ret, struct err *err)
{
	*ret = (struct object){0};
	switch (hdr->nlmsg_type) {
	case RTM_NEWADDR:
		return decode_address(net, hdr, ret, err);
	case RTM_NEWROUTE:
		return decode_route(net, hdr, ret, err);
	case RTM_NEWRULE:
		return decode_rule(hdr, ret, err);
	case RTM_NEWNEIGH:
		return decode_fdb(net, hdr, ret, err);
	default:
		return 0;
	}
}
