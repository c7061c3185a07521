/* Theory of operation
 *
 * Routing alone does not stop a socket that is bound to an interface, which any process may do
 * since Linux 5.7 (SO_BINDTODEVICE, IP_UNICAST_IF, IP_PKTINFO). Where IPv4 finds no route by that
 * interface it takes the destination for a neighbour on it, also against an unreachable route
 * (net/ipv4/route.c, ip_route_output_key_hash_rcu: "apparently, routing tables are wrong"), and a
 * primary network that answers every ARP request carries the packet away. IPv6 skips unreachable
 * routes, which are on lo, and takes the next route that is by the interface (net/ipv6/route.c,
 * rt6_score_route).
 *
 * So the packets themselves are looked at behind all routing: one chain in postrouting whose policy
 * is to drop. The messages are built by hand, since libnftables is too heavy for a program that
 * runs once a pod. A transaction is one datagram, and only its last request asks for an
 * acknowledgement.
 *
 * Whoever closes an nftables socket waits until what was deleted through it is gone, which takes
 * the grace period of RCU, some 10 ms (nft_rcv_nl_event). So a seal that is as wanted already is
 * left alone: the table's comment has a hash over all that the rules are made of.
 *
 * Source: net/netfilter/nf_tables_api.c, linux/netfilter/nf_tables.h.
 */
#include "seal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "mem.h"

#define CHAIN "guard"

/* The loopback device of every namespace (include/net/net_namespace.h). */
#define LOOPBACK_INDEX 1

/* A transaction in the making. */
struct transaction {
	uint8_t family; /* of the table: NFPROTO_INET or NFPROTO_IPV4 */
	struct nl_msg **msgs;
	size_t n;
};

static void transaction_free(struct transaction *t)
{
	for (size_t i = 0; i < t->n; i++)
		nlmsg_free(t->msgs[i]);
	free(t->msgs);
}
#define auto_transaction __attribute__((cleanup(transaction_free)))

static struct nl_msg *append(struct transaction *t, struct nl_msg *msg)
{
	t->msgs = xreallocarray(t->msgs, t->n + 1, sizeof(struct nl_msg *));
	t->msgs[t->n++] = msg;
	return msg;
}

static struct nl_msg *append_request(struct transaction *t, int type, int flags)
{
	const struct nfgenmsg header = {.nfgen_family = t->family};

	return append(t, msg_new(NFNL_SUBSYS_NFTABLES << 8 | type, flags, &header, sizeof(header)));
}

static void put_be32(struct nl_msg *msg, int attr, uint32_t value)
{
	msg_put_u32(msg, attr, htonl(value));
}

/* --- table and chain --- */

/* A comment as nft(8) writes it: type, length, text (libnftnl, udata.h). */
struct comment {
	uint8_t type; /* NFTNL_UDATA_TABLE_COMMENT */
	uint8_t len;
	char text[24];
};

static struct comment comment_of(unsigned int group, const struct prefix *allowed, size_t n)
{
	struct comment c = {.len = sizeof(c.text)};
	uint64_t h = 14695981039346656037ULL ^ group; /* FNV-1a */
	char text[PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++) {
		for (const char *p = prefix_format(&allowed[i], text); *p; p++)
			h = (h ^ (uint8_t)*p) * 1099511628211ULL;
		h = (h ^ ' ') * 1099511628211ULL;
	}
	snprintf(c.text, sizeof(c.text), "seal %016llx", (unsigned long long)h);
	return c;
}

static void append_table(struct transaction *t, const struct comment *comment)
{
	struct nl_msg *msg = append_request(t, NFT_MSG_NEWTABLE, NLM_F_CREATE);

	msg_put_string(msg, NFTA_TABLE_NAME, SEAL_TABLE);
	msg_put(msg, NFTA_TABLE_USERDATA, comment, sizeof(*comment));
}

static void append_delete_table(struct transaction *t)
{
	msg_put_string(append_request(t, NFT_MSG_DELTABLE, 0), NFTA_TABLE_NAME, SEAL_TABLE);
}

static void append_chain(struct transaction *t)
{
	struct nl_msg *msg = append_request(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	struct nlattr *hook;

	msg_put_string(msg, NFTA_CHAIN_TABLE, SEAL_TABLE);
	msg_put_string(msg, NFTA_CHAIN_NAME, CHAIN);
	msg_put_string(msg, NFTA_CHAIN_TYPE, "filter");
	put_be32(msg, NFTA_CHAIN_POLICY, NF_DROP);
	hook = msg_nest(msg, NFTA_CHAIN_HOOK);
	put_be32(msg, NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
	put_be32(msg, NFTA_HOOK_PRIORITY, 0);
	nla_nest_end(msg, hook);
}

/* --- rules --- */

/* A rule in the making: expressions that all must hold, and what then happens. */
struct rule {
	struct nl_msg *msg;
	struct nlattr *expressions, *expression, *data;
};

static struct rule rule_begin(struct transaction *t)
{
	struct rule r = {.msg = append_request(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND)};

	msg_put_string(r.msg, NFTA_RULE_TABLE, SEAL_TABLE);
	msg_put_string(r.msg, NFTA_RULE_CHAIN, CHAIN);
	r.expressions = msg_nest(r.msg, NFTA_RULE_EXPRESSIONS);
	return r;
}

static void expression_begin(struct rule *r, const char *name)
{
	r->expression = msg_nest(r->msg, NFTA_LIST_ELEM);
	msg_put_string(r->msg, NFTA_EXPR_NAME, name);
	r->data = msg_nest(r->msg, NFTA_EXPR_DATA);
}

static void expression_end(struct rule *r)
{
	nla_nest_end(r->msg, r->data);
	nla_nest_end(r->msg, r->expression);
}

static void put_value(struct rule *r, int attr, const void *value, size_t size)
{
	struct nlattr *nest = msg_nest(r->msg, attr);

	msg_put(r->msg, NFTA_DATA_VALUE, value, size);
	nla_nest_end(r->msg, nest);
}

/* Register 1 is what was loaded. */
static void rule_compare(struct rule *r, const void *value, size_t size)
{
	expression_begin(r, "cmp");
	put_be32(r->msg, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(r->msg, NFTA_CMP_OP, NFT_CMP_EQ);
	put_value(r, NFTA_CMP_DATA, value, size);
	expression_end(r);
}

static void rule_match_meta(struct rule *r, enum nft_meta_keys key, const void *value, size_t size)
{
	expression_begin(r, "meta");
	put_be32(r->msg, NFTA_META_KEY, key);
	put_be32(r->msg, NFTA_META_DREG, NFT_REG_1);
	expression_end(r);
	rule_compare(r, value, size);
}

static void rule_match_destination(struct rule *r, const struct prefix *dst)
{
	static const uint8_t zero[16];
	const struct prefix network = prefix_network(dst);
	const struct addr last = prefix_range(dst).last;
	bool ipv6 = dst->addr.family == AF_INET6;
	uint32_t size = (uint32_t)addr_size(&dst->addr);
	uint8_t mask[16];

	/* Bits that the lowest and the highest address of a prefix share are those of the prefix;
	 * where both are 0 their difference is, too. */
	for (size_t i = 0; i < size; i++)
		mask[i] = (uint8_t) ~(network.addr.bytes[i] ^ last.bytes[i]);
	expression_begin(r, "payload");
	put_be32(r->msg, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_be32(r->msg, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	put_be32(r->msg, NFTA_PAYLOAD_OFFSET, ipv6 ? 24 : 16); /* of the destination address */
	put_be32(r->msg, NFTA_PAYLOAD_LEN, size);
	expression_end(r);
	expression_begin(r, "bitwise");
	put_be32(r->msg, NFTA_BITWISE_SREG, NFT_REG_1);
	put_be32(r->msg, NFTA_BITWISE_DREG, NFT_REG_1);
	put_be32(r->msg, NFTA_BITWISE_LEN, size);
	put_value(r, NFTA_BITWISE_MASK, mask, size);
	put_value(r, NFTA_BITWISE_XOR, zero, size);
	expression_end(r);
	rule_compare(r, network.addr.bytes, size);
}

static void rule_accept(struct rule *r)
{
	struct nlattr *data, *verdict;

	expression_begin(r, "immediate");
	put_be32(r->msg, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = msg_nest(r->msg, NFTA_IMMEDIATE_DATA);
	verdict = msg_nest(r->msg, NFTA_DATA_VERDICT);
	put_be32(r->msg, NFTA_VERDICT_CODE, NF_ACCEPT);
	nla_nest_end(r->msg, verdict);
	nla_nest_end(r->msg, data);
	expression_end(r);
	nla_nest_end(r->msg, r->expressions);
}

static void append_meta_rule(struct transaction *t, enum nft_meta_keys key, uint32_t value)
{
	struct rule r = rule_begin(t);

	rule_match_meta(&r, key, &value, sizeof(value));
	rule_accept(&r);
}

static void append_destination_rule(struct transaction *t, const struct prefix *dst)
{
	uint8_t family = dst->addr.family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	struct rule r;

	if (t->family != NFPROTO_INET && t->family != family)
		return;
	r = rule_begin(t);
	rule_match_meta(&r, NFT_META_NFPROTO, &family, sizeof(family));
	rule_match_destination(&r, dst);
	rule_accept(&r);
}

/* --- transactions --- */

static int nftables_socket(int netns_fd, struct nl_sock **ret, struct err *err)
{
	int r = net_socket(NETLINK_NETFILTER, netns_fd, ret, err);

	if (r == 0)
		nl_socket_disable_auto_ack(*ret); /* not of begin and end, before Linux 6.10 */
	return r;
}

static int transaction_send(struct transaction *t, struct nl_sock *sk, struct err *err)
{
	auto_free struct net_ack *acks = xcalloc(t->n, sizeof(*acks));
	int r;

	nlmsg_hdr(t->msgs[t->n - 2])->nlmsg_flags |= NLM_F_ACK; /* the last before the end */
	r = net_talk_batch(sk, t->msgs, t->n, acks, err);
	return r < 0 ? r : net_ack_error(&acks[t->n - 2], err);
}

/* What a seal is to be made of. */
struct seal {
	uint8_t family;
	unsigned int group;
	const struct prefix *allowed;
	size_t n;
	struct comment comment;
	bool replace; /* there is another one */
};

/* A table that is deleted takes its chain and rules along; the new one begins empty. */
static void append_begin(struct transaction *t, const struct seal *seal)
{
	if (seal->replace)
		append_delete_table(t);
	append_table(t, &seal->comment);
	append_chain(t);
	append_meta_rule(t, NFT_META_OIF, LOOPBACK_INDEX);
	append_meta_rule(t, NFT_META_OIFGROUP, seal->group);
}

/* In as many transactions as it takes: the first one closes, the others open more. */
static int make(struct nl_sock *sk, const struct seal *seal, struct err *err)
{
	size_t done = 0;
	int r;

	do {
		auto_transaction struct transaction t = {.family = seal->family};

		append(&t, msg_new_nft_boundary(NFNL_MSG_BATCH_BEGIN));
		if (!done)
			append_begin(&t, seal);
		while (done < seal->n && t.n < NET_BATCH_MAX - 1)
			append_destination_rule(&t, &seal->allowed[done++]);
		append(&t, msg_new_nft_boundary(NFNL_MSG_BATCH_END));
		r = transaction_send(&t, sk, err);
	} while (r == 0 && done < seal->n);
	return r;
}

static int table_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct comment *comment = data;
	struct nlattr *tb[NFTA_TABLE_MAX + 1];
	int r = msg_parse(hdr, sizeof(struct nfgenmsg), tb, NFTA_TABLE_MAX, err);

	if (r == 0 && tb[NFTA_TABLE_USERDATA] &&
	    nla_len(tb[NFTA_TABLE_USERDATA]) == sizeof(*comment))
		memcpy(comment, nla_data(tb[NFTA_TABLE_USERDATA]), sizeof(*comment));
	return r;
}

/* -ENOENT where there is no seal. */
static int look(struct nl_sock *sk, uint8_t family, struct comment *ret, struct err *err)
{
	const struct nfgenmsg header = {.nfgen_family = family};
	auto_nl_msg struct nl_msg *msg = msg_new(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
						 NLM_F_ACK, &header, sizeof(header));

	msg_put_string(msg, NFTA_TABLE_NAME, SEAL_TABLE);
	return net_query(sk, msg, table_answer, ret, err);
}

static int ensure(struct nl_sock *sk, struct seal *seal, bool *made, struct err *err)
{
	struct comment is = {0};
	int r = look(sk, seal->family, &is, err);

	if (r < 0 && r != -ENOENT)
		return r;
	*made = r == -ENOENT;
	seal->replace = !*made;
	if (r == 0 && !memcmp(&is, &seal->comment, sizeof(is)))
		return 0;
	return make(sk, seal, err);
}

static const uint8_t families[] = {NFPROTO_INET, NFPROTO_IPV4};

int seal_make(int netns_fd, unsigned int group, const struct prefix *allowed, size_t n, bool *made,
	      struct err *err)
{
	struct seal seal = {.group = group,
			    .allowed = allowed,
			    .n = n,
			    .comment = comment_of(group, allowed, n)};
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = nftables_socket(netns_fd, &sk, err);

	if (r < 0)
		return r;
	r = -EOPNOTSUPP;
	for (size_t i = 0; r == -EOPNOTSUPP && i < array_len(families); i++) {
		seal.family = families[i];
		r = ensure(sk, &seal, made, err);
	}
	return r < 0 ? err_wrap(err, "nftables table " SEAL_TABLE) : 0;
}

int seal_remove(int netns_fd, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = nftables_socket(netns_fd, &sk, err);

	if (r < 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; r < 0 && i < array_len(families); i++) {
		auto_transaction struct transaction t = {.family = families[i]};

		append(&t, msg_new_nft_boundary(NFNL_MSG_BATCH_BEGIN));
		append_delete_table(&t);
		append(&t, msg_new_nft_boundary(NFNL_MSG_BATCH_END));
		r = transaction_send(&t, sk, err);
	}
	return r == -ENOENT ? 0 : r;
}

/* --- looking --- */

static int see_policy(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct nlattr *tb[NFTA_CHAIN_MAX + 1];
	int r = msg_parse(hdr, sizeof(struct nfgenmsg), tb, NFTA_CHAIN_MAX, err);

	if (r == 0 && tb[NFTA_CHAIN_POLICY])
		*(bool *)data = ntohl(nla_get_u32(tb[NFTA_CHAIN_POLICY])) == NF_DROP;
	return r;
}

static int check(struct nl_sock *sk, uint8_t family, struct err *err)
{
	const struct nfgenmsg header = {.nfgen_family = family};
	auto_nl_msg struct nl_msg *msg =
		msg_new(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, 0, &header, sizeof(header));
	bool drops = false;
	int r;

	msg_put_string(msg, NFTA_CHAIN_TABLE, SEAL_TABLE);
	msg_put_string(msg, NFTA_CHAIN_NAME, CHAIN);
	r = net_query(sk, msg, see_policy, &drops, err);
	if (r == 0 && !drops)
		return err_set(err, -ENOENT, "chain " CHAIN " does not drop");
	return r;
}

int seal_check(int netns_fd, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = net_socket(NETLINK_NETFILTER, netns_fd, &sk, err);

	if (r < 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < array_len(families); i++)
		r = check(sk, families[i], err);
	return r < 0 ? err_wrap(err, "nftables table " SEAL_TABLE) : 0;
}
