/* Source: net/netfilter/nf_conntrack_netlink.c, ctnetlink_del_conntrack(): a deletion without a tuple
 * goes through the table, and CTA_MARK with its mask picks the entries. */
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "internal.h"

int net_conntrack_forget(struct net *net, uint32_t mark, struct err *err)
{
	const struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
	auto_nl_msg struct nl_msg *msg = msg_new(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
						 0, &header, sizeof(header));
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = net_socket(NETLINK_NETFILTER, net->netns, &sk, err);

	if (r < 0)
		return r;
	msg_put_u32(msg, CTA_MARK, htonl(mark));
	msg_put_u32(msg, CTA_MARK_MASK, UINT32_MAX);
	r = net_talk(sk, msg, err);
	return r < 0 ? err_wrap(err, "forgetting the flows of mark %u", mark) : 0;
}
