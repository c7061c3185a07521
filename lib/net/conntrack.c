/* Written by hand, not with libnetfilter_conntrack, for the batches and the kernel's own words that the
 * rest of lib/net has. */
#include "conntrack.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "internal.h"

#define CT_MESSAGE(type) (NFNL_SUBSYS_CTNETLINK << 8 | (type))

/* --- entries made --- */

static void put_tuple(struct nl_msg *msg, int attr, uint8_t protocol, const struct flow_end *from,
		      const struct flow_end *to)
{
	bool v6 = from->addr.family == AF_INET6;
	struct nlattr *tuple = msg_nest(msg, attr), *nest;

	nest = msg_nest(msg, CTA_TUPLE_IP);
	msg_put_addr(msg, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, &from->addr);
	msg_put_addr(msg, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, &to->addr);
	nla_nest_end(msg, nest);
	nest = msg_nest(msg, CTA_TUPLE_PROTO);
	msg_put_u8(msg, CTA_PROTO_NUM, protocol);
	msg_put_u16(msg, CTA_PROTO_SRC_PORT, htons(from->port));
	msg_put_u16(msg, CTA_PROTO_DST_PORT, htons(to->port));
	nla_nest_end(msg, nest);
	nla_nest_end(msg, tuple);
}

/* No window has been seen on this machine: packets in the middle of a connection are taken as they
 * come (nf_conntrack_proto_tcp.c, nlattr_to_tcp). */
static void put_tcp(struct nl_msg *msg)
{
	const struct nf_ct_tcp_flags liberal = {IP_CT_TCP_FLAG_BE_LIBERAL,
						IP_CT_TCP_FLAG_BE_LIBERAL};
	struct nlattr *info = msg_nest(msg, CTA_PROTOINFO);
	struct nlattr *tcp = msg_nest(msg, CTA_PROTOINFO_TCP);

	msg_put_u8(msg, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	msg_put(msg, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, &liberal, sizeof(liberal));
	msg_put(msg, CTA_PROTOINFO_TCP_FLAGS_REPLY, &liberal, sizeof(liberal));
	nla_nest_end(msg, tcp);
	nla_nest_end(msg, info);
}

/* Without NLM_F_EXCL an entry that is there is changed. "Confirmed" must be said then, since that bit
 * may not change. No NAT bits: the kernel would translate the packets that IPVS has translated. */
static struct nl_msg *flow_message(const struct conntrack_flow *flow)
{
	const struct nfgenmsg header = {.nfgen_family = (uint8_t)flow->client.addr.family,
					.version = NFNETLINK_V0};
	struct nl_msg *msg =
		msg_new(CT_MESSAGE(IPCTNL_MSG_CT_NEW), NLM_F_CREATE, &header, sizeof(header));

	put_tuple(msg, CTA_TUPLE_ORIG, flow->protocol, &flow->client, &flow->service);
	put_tuple(msg, CTA_TUPLE_REPLY, flow->protocol, &flow->server, &flow->client);
	msg_put_u32(msg, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	msg_put_u32(msg, CTA_TIMEOUT, htonl(flow->timeout ? flow->timeout : 1));
	msg_put_u32(msg, CTA_MARK, htonl(flow->mark));
	if (flow->protocol == IPPROTO_TCP)
		put_tcp(msg);
	return msg;
}

/* Up to NET_BATCH_MAX of them. */
static int ensure_batch(struct nl_sock *sk, const struct conntrack_flow *flows, size_t n,
			size_t *refused, struct err *err)
{
	struct nl_msg *msgs[NET_BATCH_MAX] = {0};
	struct net_ack acks[NET_BATCH_MAX];
	int r;

	for (size_t i = 0; i < n; i++)
		msgs[i] = flow_message(&flows[i]);
	r = net_talk_each(sk, msgs, n, acks, err);
	for (size_t i = 0; i < n; i++) {
		nlmsg_free(msgs[i]);
		if (r == 0 && acks[i].code && !(*refused)++)
			net_ack_error(&acks[i], err);
	}
	return r;
}

int net_conntrack_ensure(struct net *net, const struct conntrack_flow *flows, size_t n,
			 size_t *refused, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = net_socket(NETLINK_NETFILTER, net->netns, &sk, err);

	*refused = 0;
	for (size_t i = 0; r == 0 && i < n; i += NET_BATCH_MAX)
		r = ensure_batch(sk, flows + i, n - i < NET_BATCH_MAX ? n - i : NET_BATCH_MAX,
				 refused, err);
	if (r < 0 || *refused)
		err_wrap(err, "conntrack");
	return r;
}

/* --- entries forgotten --- */

/* ctnetlink_del_conntrack(): a deletion without a tuple goes through the table, and CTA_MARK with its
 * mask picks the entries. */
int net_conntrack_forget(struct net *net, uint32_t mark, struct err *err)
{
	const struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
	auto_nl_msg struct nl_msg *msg =
		msg_new(CT_MESSAGE(IPCTNL_MSG_CT_DELETE), 0, &header, sizeof(header));
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = net_socket(NETLINK_NETFILTER, net->netns, &sk, err);

	if (r < 0)
		return r;
	msg_put_u32(msg, CTA_MARK, htonl(mark));
	msg_put_u32(msg, CTA_MARK_MASK, UINT32_MAX);
	r = net_talk(sk, msg, err);
	return r < 0 ? err_wrap(err, "forgetting the flows of mark %u", mark) : 0;
}
