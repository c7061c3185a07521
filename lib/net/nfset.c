/* Source: net/netfilter/nfnetlink.c (nfnetlink_rcv_batch: a transaction is one datagram, its first
 * message names the subsystem, and begin and end are not acknowledged before Linux 6.10),
 * net/netfilter/nf_tables_api.c (nft_add_set_elem), linux/netfilter/nf_tables.h. */
#include "nfset.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static_assert(NFSET_BATCH_MAX + 2 <= NET_BATCH_MAX, "a transaction is one batch");

static int nfset_socket(int netns_fd, struct nl_sock **ret, struct err *err)
{
	int r = net_socket(NETLINK_NETFILTER, netns_fd, ret, err);

	if (r == 0)
		nl_socket_disable_auto_ack(*ret); /* begin and end have none to wait for */
	return r;
}

struct nl_msg *msg_new_nft_boundary(int type)
{
	const struct nfgenmsg header = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};

	return msg_new(type, 0, &header, sizeof(header));
}

static struct nl_msg *set_message(int type, int flags, const char *table, const char *set)
{
	const struct nfgenmsg header = {.nfgen_family = NFPROTO_BRIDGE};
	struct nl_msg *msg =
		msg_new(NFNL_SUBSYS_NFTABLES << 8 | type, flags, &header, sizeof(header));

	msg_put_string(msg, NFTA_SET_ELEM_LIST_TABLE, table);
	msg_put_string(msg, NFTA_SET_ELEM_LIST_SET, set);
	return msg;
}

static struct nl_msg *element_message(int type, int flags, const char *table,
				      const struct nfset_key *k)
{
	struct nl_msg *msg = set_message(type, flags, table, k->set);
	struct nlattr *list = msg_nest(msg, NFTA_SET_ELEM_LIST_ELEMENTS);
	struct nlattr *element = msg_nest(msg, NFTA_LIST_ELEM);
	struct nlattr *key = msg_nest(msg, NFTA_SET_ELEM_KEY);

	msg_put(msg, NFTA_DATA_VALUE, k->bytes, k->len);
	nla_nest_end(msg, key);
	nla_nest_end(msg, element);
	nla_nest_end(msg, list);
	return msg;
}

static struct nl_msg *change_message(enum nfset_verb verb, const char *table,
				     const struct nfset_key *k)
{
	switch (verb) {
	case NFSET_ADD:
		return element_message(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_ACK, table, k);
	case NFSET_DELETE:
		return element_message(NFT_MSG_DELSETELEM, NLM_F_ACK, table, k);
	}
	abort();
}

/* A transaction on its way: begin, a message an element, end. */
struct transaction {
	struct nl_msg *msgs[NFSET_BATCH_MAX + 2];
	size_t n;
};

static void transaction_free(struct transaction *t)
{
	for (size_t i = 0; i < t->n; i++)
		nlmsg_free(t->msgs[i]);
}

int nfset_change(int netns_fd, enum nfset_verb verb, const char *table,
		 const struct nfset_key *keys, size_t n, struct err *err)
{
	__attribute__((cleanup(transaction_free))) struct transaction t = {0};
	struct net_ack acks[NFSET_BATCH_MAX + 2] = {0};
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = nfset_socket(netns_fd, &sk, err);

	assert(n <= NFSET_BATCH_MAX);
	if (r < 0)
		return r;
	t.msgs[t.n++] = msg_new_nft_boundary(NFNL_MSG_BATCH_BEGIN);
	for (size_t i = 0; i < n; i++)
		t.msgs[t.n++] = change_message(verb, table, &keys[i]);
	t.msgs[t.n++] = msg_new_nft_boundary(NFNL_MSG_BATCH_END);
	r = net_talk_batch(sk, t.msgs, t.n, acks, err);
	for (size_t i = 0; r == 0 && i < t.n; i++)
		r = net_ack_error(&acks[i], err);
	return r < 0 ? err_wrap(err, "nftables table bridge %s", table) : 0;
}

/* --- looking --- */

struct listing {
	const char *set;
	nfset_seen_fn *fn;
	void *data;
};

static void see_element(const struct listing *l, struct nlattr *element)
{
	struct nlattr *tb[NFTA_SET_ELEM_MAX + 1] = {0}, *value[NFTA_DATA_MAX + 1] = {0};
	struct nfset_key key = {.set = l->set};

	if (nla_parse_nested(tb, NFTA_SET_ELEM_MAX, element, NULL) < 0 || !tb[NFTA_SET_ELEM_KEY] ||
	    nla_parse_nested(value, NFTA_DATA_MAX, tb[NFTA_SET_ELEM_KEY], NULL) < 0 ||
	    !value[NFTA_DATA_VALUE] || (size_t)nla_len(value[NFTA_DATA_VALUE]) > sizeof(key.bytes))
		return;
	key.len = (size_t)nla_len(value[NFTA_DATA_VALUE]);
	memcpy(key.bytes, nla_data(value[NFTA_DATA_VALUE]), key.len);
	l->fn(&key, l->data);
}

static int elements_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct nlattr *tb[NFTA_SET_ELEM_LIST_MAX + 1], *list, *element;
	int left, r = msg_parse(hdr, sizeof(struct nfgenmsg), tb, NFTA_SET_ELEM_LIST_MAX, err);

	if (r < 0 || !tb[NFTA_SET_ELEM_LIST_ELEMENTS])
		return r;
	list = tb[NFTA_SET_ELEM_LIST_ELEMENTS];
	left = nla_len(list);
	for (element = nla_data(list); nla_ok(element, left); element = nla_next(element, &left))
		see_element(data, element);
	return 0;
}

int nfset_each(int netns_fd, const char *table, const char *set, nfset_seen_fn *fn, void *data,
	       struct err *err)
{
	struct listing listing = {.set = set, .fn = fn, .data = data};
	auto_nl_msg struct nl_msg *msg = set_message(NFT_MSG_GETSETELEM, NLM_F_DUMP, table, set);
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = nfset_socket(netns_fd, &sk, err);

	if (r == 0)
		r = net_query(sk, msg, elements_answer, &listing, err);
	return r < 0 ? err_wrap(err, "nftables table bridge %s, set %s", table, set) : 0;
}

static int ask(int netns_fd, struct nl_msg *msg, const char *table, const char *set,
	       struct err *err)
{
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = nfset_socket(netns_fd, &sk, err);

	if (r == 0)
		r = net_talk(sk, msg, err);
	return r < 0 ? err_wrap(err, "nftables table bridge %s, set %s", table, set) : 0;
}

int nfset_exists(int netns_fd, const char *table, const char *set, struct err *err)
{
	const struct nfgenmsg header = {.nfgen_family = NFPROTO_BRIDGE};
	auto_nl_msg struct nl_msg *msg = msg_new(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSET,
						 NLM_F_ACK, &header, sizeof(header));

	msg_put_string(msg, NFTA_SET_TABLE, table);
	msg_put_string(msg, NFTA_SET_NAME, set);
	return ask(netns_fd, msg, table, set, err);
}

int nfset_has(int netns_fd, const char *table, const struct nfset_key *key, struct err *err)
{
	auto_nl_msg struct nl_msg *msg = element_message(NFT_MSG_GETSETELEM, NLM_F_ACK, table, key);

	return ask(netns_fd, msg, table, key->set, err);
}
